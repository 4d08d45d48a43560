package crdt

import "github.com/eventual-go/eventual/vclock"

func (s *RWSet[E]) Parts() (parts []*RWSet[E]) {
	for d := range dots(&s.seen) {
		part := new(RWSet[E])
		part.seen.Add(d)
		for m, live := range s.marks() {
			if live == d {
				part.insert(m, d)
			}
		}
		parts = append(parts, part)
	}
	return parts
}

// marks yields the marks in force with their dots, found by way of the elements.
func (s *RWSet[E]) marks() func(yield func(mark[E], vclock.Dot) bool) {
	return func(yield func(mark[E], vclock.Dot) bool) {
		for head := range s.live.heads() {
			for i := range s.live.ring(head) {
				if !yield(s.live.elem(i), s.live.dot(i)) {
					return
				}
			}
		}
	}
}

// Living returns the dots in force, found one by one.
func (s *RWSet[E]) Living() *vclock.Context {
	c := new(vclock.Context)
	for _, d := range s.marks() {
		c.Add(d)
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
