package crdt

import "github.com/eventual-go/eventual/vclock"

// visitor is told that d came as a live dot of e, or went, and by how many elements there are more for it.
type visitor[E comparable] func(e E, d vclock.Dot, elements int)

// bury drops the dots that live here while o, which has seen them, does not have them. It tells visit if that is not
// nil, and reports whether there were any.
func (s *dotStore[E]) bury(o *dotStore[E], seen *vclock.Context, visit visitor[E]) bool {
	var few [16]uint32
	dead := few[:0]
	for span := range seen.All() {
		dead = s.appendDead(dead, o, span)
	}
	for _, i := range dead {
		if visit == nil {
			s.drop(i)
			continue
		}
		e, d, n := s.elem(i), s.dot(i), s.n
		s.drop(i)
		visit(e, d, s.n-n)
	}
	s.trim()
	return len(dead) > 0
}

// appendDead appends the slots that live here in span, which o has seen, but not there. A dot that lives in
// different elements here and there is dead in both: its identity was used twice, and only that is an outcome
// which does not depend on the order of merging.
func (s *dotStore[E]) appendDead(dead []uint32, o *dotStore[E], span vclock.Span) []uint32 {
	mine := s.from(span.Replica, span.Lo)
	if _, ok := mine.slot(span.Hi); !ok {
		return dead
	}
	theirs := o.from(span.Replica, span.Lo)
	for i, ok := mine.slot(span.Hi); ok; i, ok = mine.slot(span.Hi) {
		if !theirs.finds(mine.seq(i), s.elem(i)) {
			dead = append(dead, i)
		}
		mine.next()
	}
	return dead
}

// adopt takes in the dots that live in o and were not seen here. It tells visit if that is not nil.
func (s *dotStore[E]) adopt(o *dotStore[E], unseen *vclock.Context, visit visitor[E]) {
	s.openLanes(o, unseen)
	var few [16]arrival
	for span := range unseen.All() {
		theirs := o.from(span.Replica, span.Lo)
		for more := true; more; {
			next := s.hashNext(&theirs, span.Hi, few[:])
			more = len(next) == len(few)
			s.index.foresee(next)
			for _, a := range next {
				e, d, n := o.elem(a.slot), o.dot(a.slot), s.n
				s.insertArrived(a.hash, e, d)
				if visit != nil {
					visit(e, d, s.n-n)
				}
			}
		}
	}
}

// arrival is a slot, here or in another store, whose element is to get a place in the index.
type arrival struct {
	hash, slot uint32
	seen       uint64 // of the place where it belongs
}

// foresee looks at the places of what arrives, one after the other, so that the processor waits for memory once for
// several of them, and not for each when it is put in. Where a group is full, that is the next one too.
func (t cells[E]) foresee(next []arrival) {
	if t == nil {
		return
	}
	for k := range next {
		p := t.home(next[k].hash)
		next[k].seen = t[p].ends()
		if t[p].isFull() {
			next[k].seen ^= t[t.after(p)].ends()
		}
	}
}

// ends is of what stands first and last in a group: of strings that is all of its lines of the cache.
func (g *group[E]) ends() uint64 { return g.tags ^ uint64(g.slots[groupSize-1]) }

// hashNext returns the dots that come next, up to hi and as many as there is room for.
func (s *dotStore[E]) hashNext(from *cursor[E], hi uint64, room []arrival) []arrival {
	for k := range room {
		i, ok := from.slot(hi)
		if !ok {
			return room[:k]
		}
		room[k] = arrival{slot: i, hash: s.hash(from.store.elem(i))}
		from.next()
	}
	return room
}
