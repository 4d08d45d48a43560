package crdt

import "github.com/eventual-go/eventual/vclock"

// Merge takes in what o knows. See [Lattice].
func (s *ORSet[E]) Merge(o *ORSet[E]) (changed bool) {
	if o == nil || s == o {
		return false
	}
	if s.seen.Len() == 0 && o.seen.Len() > 0 {
		*s = *o.Clone()
		return true
	}
	changed = s.bury(o, nil)
	if !s.seen.Contains(&o.seen) {
		s.adopt(o, o.seen.Diff(&s.seen), nil)
		changed = true
	}
	return changed
}

// MergeNovel merges o and returns what was new in it: additions not seen before, with their elements where
// they live, and removals of what lived here. See [Delta].
func (s *ORSet[E]) MergeNovel(o *ORSet[E]) (novel *ORSet[E], changed bool) {
	novel = new(ORSet[E])
	if o == nil || s == o {
		return novel, false
	}
	s.bury(o, &novel.seen)
	if unseen := o.seen.Diff(&s.seen); unseen.Len() > 0 {
		s.adopt(o, unseen, &novel.live)
		novel.seen.Merge(unseen)
	}
	return novel, novel.seen.Len() > 0
}

// bury drops the dots that live here while o has seen them and they do not live there. It adds them to killed
// unless that is nil, and reports whether there were any.
func (s *ORSet[E]) bury(o *ORSet[E], killed *vclock.Context) bool {
	var few [16]uint32
	dead := few[:0]
	for span := range o.seen.All() {
		dead = s.appendDead(dead, o, span)
	}
	for _, i := range dead {
		if killed != nil {
			killed.Add(s.live.dot(i))
		}
		s.live.drop(i)
	}
	s.live.trim()
	return len(dead) > 0
}

// appendDead appends the slots that live here in span, which o has seen, but not there. A dot that lives in
// different elements here and there is dead in both: its identity was used twice, and only that is an outcome
// which does not depend on the order of merging.
func (s *ORSet[E]) appendDead(dead []uint32, o *ORSet[E], span vclock.Span) []uint32 {
	mine := s.live.from(span.Replica, span.Lo)
	if _, ok := mine.slot(span.Hi); !ok {
		return dead
	}
	theirs := o.live.from(span.Replica, span.Lo)
	for i, ok := mine.slot(span.Hi); ok; i, ok = mine.slot(span.Hi) {
		if !theirs.finds(mine.seq(i), s.live.elem(i)) {
			dead = append(dead, i)
		}
		mine.next()
	}
	return dead
}

// adopt takes in the unseen events of o: the dots that live there, also into novel unless that is nil.
func (s *ORSet[E]) adopt(o *ORSet[E], unseen *vclock.Context, novel *dotStore[E]) {
	var few [16]arrival
	for span := range unseen.All() {
		theirs := o.live.from(span.Replica, span.Lo)
		for more := true; more; {
			var next []arrival
			next, more = s.live.hashNext(&theirs, span.Hi, few[:0])
			s.live.index.foresee(next)
			for _, a := range next {
				e, d := o.live.elem(a.slot), o.live.dot(a.slot)
				s.live.insertArrived(a.hash, e, d)
				if novel != nil {
					novel.insert(e, d)
				}
			}
		}
	}
	s.seen.Merge(unseen)
}

// arrival is a slot of another store, and what is known of its element here.
type arrival struct {
	hash, slot uint32
	tags       uint64 // in the place where it belongs
}

// foresee looks at the places of what arrives, one after the other, so that the processor waits for memory once for
// several of them, and not for each when it is put in.
func (t cells) foresee(next []arrival) {
	if t == nil {
		return
	}
	for k := range next {
		next[k].tags = t[t.home(next[k].hash)].tags
	}
}

// hashNext appends the dots that come next, up to hi and as many as there is room for, and reports whether there may be
// more.
func (s *dotStore[E]) hashNext(from *cursor[E], hi uint64, list []arrival) (next []arrival, more bool) {
	for len(list) < cap(list) {
		i, ok := from.slot(hi)
		if !ok {
			return list, false
		}
		list = append(list, arrival{slot: i, hash: s.hash(from.store.elem(i))})
		from.next()
	}
	return list, true
}
