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
	var dead []uint32
	for span := range o.seen.All() {
		dead = s.appendDead(dead, o, span)
	}
	for _, i := range dead {
		if killed != nil {
			killed.Add(s.live.dot(i))
		}
		s.live.drop(i)
	}
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
		if at := &s.live.slots[i]; !theirs.finds(at.seq, at.elem) {
			dead = append(dead, i)
		}
		mine.next()
	}
	return dead
}

// adopt takes in the unseen events of o: the dots that live there, also into novel unless that is nil.
func (s *ORSet[E]) adopt(o *ORSet[E], unseen *vclock.Context, novel *dotStore[E]) {
	for span := range unseen.All() {
		theirs := o.live.from(span.Replica, span.Lo)
		for i, ok := theirs.slot(span.Hi); ok; i, ok = theirs.slot(span.Hi) {
			e, d := o.live.slots[i].elem, o.live.dot(i)
			s.live.insert(e, d)
			if novel != nil {
				novel.insert(e, d)
			}
			theirs.next()
		}
	}
	s.seen.Merge(unseen)
}
