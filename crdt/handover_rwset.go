package crdt

import "github.com/eventual-go/eventual/vclock"

// Handover gives the additions and removals of departed replicas that were in force at a cut to a successor, and
// forgets the others. See [HandoverError] for what must hold. It is exact whatever else is added and removed
// meanwhile: what was out stays out, until an addition that saw the removal, by its old name or its new one. It takes
// O(size).
func (s *RWSet[E]) Handover(at *RWSet[E], to vclock.ReplicaID, from ...vclock.ReplicaID) (changed bool, err error) {
	if at == nil {
		at = new(RWSet[E])
	}
	e := estate{to: to, from: from}
	left := at.leave(&e)
	rest, err := e.settle(&s.seen, &at.seen)
	if rest == nil {
		return false, err
	}
	var after RWSet[E]
	after.seen = *rest
	for span := range rest.All() {
		s.inForce(span, after.enforce)
	}
	e.inherit(&s.seen, func(i int, d vclock.Dot) bool { return s.side(left[i].removal).lives(left[i].elem, d) },
		func(i int, d vclock.Dot, lives bool) {
			after.seen.Add(d)
			if lives {
				after.enforce(left[i], d)
			}
		})
	*s = after
	return true, nil
}

// rwEvent is what an addition or a removal says.
type rwEvent[E comparable] struct {
	elem    E
	removal bool
}

// leave makes what is in force at the cut s of the departed their estate, and returns it.
func (s *RWSet[E]) leave(e *estate) (left []rwEvent[E]) {
	for _, r := range e.sorted() {
		for span := range s.seen.SpansOf(r) {
			s.inForce(span, func(event rwEvent[E], d vclock.Dot) {
				e.dots, left = append(e.dots, d), append(left, event)
			})
		}
	}
	return left
}

// inForce visits the additions in a span that are in force, in order, and then the removals.
func (s *RWSet[E]) inForce(span vclock.Span, visit func(event rwEvent[E], d vclock.Dot)) {
	for _, removal := range [...]bool{false, true} {
		s.side(removal).eachIn(span, func(elem E, d vclock.Dot) { visit(rwEvent[E]{elem, removal}, d) })
	}
}

// enforce puts an event in force.
func (s *RWSet[E]) enforce(event rwEvent[E], d vclock.Dot) {
	side := s.side(event.removal)
	before := side.n
	side.insert(event.elem, d)
	s.count(event.elem, s.side(!event.removal), side.n-before)
}
