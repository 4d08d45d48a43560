package crdt

import "github.com/eventual-go/eventual/vclock"

// Handover gives the additions of departed replicas that were live at a cut to a successor, and forgets the
// others. See [HandoverError] for what must hold. It is exact whatever else is added and removed meanwhile. It
// takes O(size).
func (s *ORSet[E]) Handover(at *ORSet[E], to vclock.ReplicaID, from ...vclock.ReplicaID) (changed bool, err error) {
	if at == nil {
		at = new(ORSet[E])
	}
	after, err := s.dotted().handOver(at.dotted(), &estate{to: to, from: from})
	if after == nil {
		return false, err
	}
	*s = ORSet[E]{past: past[E]{seen: *after.seen}, live: *after.stores[0]}
	return true, nil
}

func (s *ORSet[E]) dotted() *dotted[E] { return &dotted[E]{&s.seen, []*dotStore[E]{&s.live}} }

// Handover gives the additions and removals of departed replicas that were in force at a cut to a successor, and
// forgets the others. See [HandoverError] for what must hold. It is exact whatever else is added and removed
// meanwhile: what was out stays out, until an addition that saw the removal, by its old name or its new one. It takes
// O(size).
func (s *RWSet[E]) Handover(at *RWSet[E], to vclock.ReplicaID, from ...vclock.ReplicaID) (changed bool, err error) {
	if at == nil {
		at = new(RWSet[E])
	}
	after, err := s.dotted().handOver(at.dotted(), &estate{to: to, from: from})
	if after == nil {
		return false, err
	}
	*s = RWSet[E]{past: past[E]{seen: *after.seen}, added: *after.stores[0], removed: *after.stores[1]}
	for i := range s.removed.heads() {
		s.count(s.removed.elem(i), &s.added, 1)
	}
	return true, nil
}

func (s *RWSet[E]) dotted() *dotted[E] {
	return &dotted[E]{&s.seen, []*dotStore[E]{&s.added, &s.removed}}
}

// dotted is what a handover needs of a set: what it has seen, and its live dots, of one sort or several.
type dotted[E comparable] struct {
	seen   *vclock.Context
	stores []*dotStore[E]
}

// bequest is what a live dot of the departed says.
type bequest[E comparable] struct {
	elem E
	sort int // its store
}

// handOver returns s without the departed, whose live dots at the cut are the successor's; nil if there are none.
func (s *dotted[E]) handOver(at *dotted[E], e *estate) (after *dotted[E], err error) {
	left := at.leave(e)
	rest, err := e.settle(uint64(len(e.dots)), s.seen, at.seen, s.aliveIn)
	if rest == nil {
		return nil, err
	}
	after = &dotted[E]{rest, make([]*dotStore[E], len(s.stores))}
	for sort := range s.stores {
		after.stores[sort] = new(dotStore[E])
	}
	for span := range rest.All() {
		s.eachIn(span, after.insert)
	}
	e.inherit(s.seen, func(i int, d vclock.Dot) bool { return s.stores[left[i].sort].lives(left[i].elem, d) },
		func(i int, d vclock.Dot, lives bool) {
			after.seen.Add(d)
			if lives {
				after.insert(left[i], d)
			}
		})
	return after, nil
}

// aliveIn reports whether an event in span is alive.
func (s *dotted[E]) aliveIn(span vclock.Span) (alive bool) {
	s.eachIn(span, func(bequest[E], vclock.Dot) { alive = true })
	return alive
}

// leave makes the dots of the departed that live at the cut s their estate, and returns what they say.
func (s *dotted[E]) leave(e *estate) (left []bequest[E]) {
	for _, r := range e.sorted() {
		for span := range s.seen.SpansOf(r) {
			s.eachIn(span, func(b bequest[E], d vclock.Dot) { e.dots, left = append(e.dots, d), append(left, b) })
		}
	}
	return left
}

// eachIn visits the live dots in span: sort by sort, each in order.
func (s *dotted[E]) eachIn(span vclock.Span, visit func(b bequest[E], d vclock.Dot)) {
	for sort, store := range s.stores {
		store.eachIn(span, func(elem E, d vclock.Dot) { visit(bequest[E]{elem, sort}, d) })
	}
}

func (s *dotted[E]) insert(b bequest[E], d vclock.Dot) { s.stores[b.sort].insert(b.elem, d) }
