package crdt

func (s *LWWSet[E]) Parts() (parts []*LWWSet[E]) {
	for e, last := range s.m.all() {
		part := new(LWWSet[E])
		part.put(e, s.at(last), last.removal())
		parts = append(parts, part)
	}
	return parts
}

// CheckInvariants panics where what the set keeps beside its elements contradicts them.
func (s *LWWSet[E]) CheckInvariants() {
	n := 0
	latest := new(LWWSet[E]).latest
	for _, last := range s.m.all() {
		if !last.removal() {
			n++
		}
		if at := s.at(last); at.Compare(latest) > 0 {
			latest = at
		}
	}
	if n != s.n || latest != s.latest {
		panic("number of elements, or latest timestamp")
	}
	for i, at := range s.writers.order {
		if i > 0 && s.writers.ids[s.writers.order[i-1]].Compare(s.writers.ids[at]) >= 0 {
			panic("replicas out of order")
		}
	}
}
