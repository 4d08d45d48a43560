package crdt

import "github.com/eventual-go/eventual/vclock"

func (s *RWSet[E]) Parts() (parts []*RWSet[E]) {
	for d := range dots(&s.seen) {
		part := new(RWSet[E])
		part.seen.Add(d)
		for i := range s.live.slots {
			if s.live.slots[i].seq > 0 && s.live.dot(uint32(i)) == d {
				part.insert(s.live.slots[i].elem, d)
			}
		}
		parts = append(parts, part)
	}
	return parts
}

// Living returns the dots in force, found one by one.
func (s *RWSet[E]) Living() *vclock.Context {
	c := new(vclock.Context)
	for i := range s.live.slots {
		if s.live.slots[i].seq > 0 {
			c.Add(s.live.dot(uint32(i)))
		}
	}
	return c
}

// CheckInvariants panics where the index of the set contradicts itself.
func (s *RWSet[E]) CheckInvariants() {
	(&ORSet[mark[E]]{seen: s.seen, live: s.live}).CheckInvariants()
	n := 0
	for range s.All() {
		n++
	}
	if n != s.n || s.Living().Compare(s.living()) != vclock.Equal {
		panic("number of elements, or living dots")
	}
}
