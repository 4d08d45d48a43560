package crdt

import "github.com/eventual-go/eventual/vclock"

func (s *RWSet[E]) Parts() (parts []*RWSet[E]) {
	for d := range dots(&s.seen) {
		part := new(RWSet[E])
		part.seen.Add(d)
		for side, into := range map[*dotStore[E]]*dotStore[E]{&s.added: &part.added, &s.removed: &part.removed} {
			side.each(func(e E, live vclock.Dot) {
				if live == d {
					into.insert(e, d)
				}
			})
		}
		parts = append(parts, part)
	}
	return parts
}

// Living returns the dots in force, found one by one.
func (s *RWSet[E]) Living() *vclock.Context {
	c := new(vclock.Context)
	for _, side := range []*dotStore[E]{&s.added, &s.removed} {
		side.each(func(_ E, d vclock.Dot) { c.Add(d) })
	}
	return c
}

// CheckInvariants panics where the index of the set contradicts itself.
func (s *RWSet[E]) CheckInvariants() {
	for _, side := range []*dotStore[E]{&s.added, &s.removed} {
		(&ORSet[E]{past: s.past, live: *side}).CheckInvariants()
	}
	n := 0
	for range s.All() {
		n++
	}
	must(n == s.Len() && s.Living().Compare(s.living()) == vclock.Equal, "number of elements, or living dots")
	must(!s.added.living().Intersects(s.removed.living()), "added and removed by one event")
}
