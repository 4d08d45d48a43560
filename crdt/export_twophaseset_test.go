package crdt

func (s *TwoPhaseSet[E]) Parts() (parts []*TwoPhaseSet[E]) {
	for e, p := range s.m.all() {
		part := new(TwoPhaseSet[E])
		part.move(e, p)
		parts = append(parts, part)
	}
	return parts
}
