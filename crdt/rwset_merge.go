package crdt

import "github.com/eventual-go/eventual/vclock"

// Merge takes in what o knows. See [Lattice].
func (s *RWSet[E]) Merge(o *RWSet[E]) (changed bool) {
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

// MergeNovel merges o and returns what was new in it: events not seen before, with their elements where they are in
// force, and the end of such as were in force here. See [Delta].
func (s *RWSet[E]) MergeNovel(o *RWSet[E]) (novel *RWSet[E], changed bool) {
	novel = new(RWSet[E])
	if o == nil || s == o {
		return novel, false
	}
	s.bury(o, &novel.seen)
	if unseen := o.seen.Diff(&s.seen); unseen.Len() > 0 {
		s.adopt(o, unseen, novel)
		novel.seen.Merge(unseen)
	}
	return novel, novel.seen.Len() > 0
}

// Delta returns what a replica with the context since may lack: the events in force that it has not seen, and all
// that have ended, since it may hold those in force. Of the events in force that it has seen it says nothing. It
// costs O(what it returns + number of events in force / 256) where those have few gaps.
func (s *RWSet[E]) Delta(since *vclock.Context) *RWSet[E] {
	delta := new(RWSet[E])
	if s == nil {
		return delta
	}
	delta.adopt(s, s.seen.Diff(since), nil)
	delta.seen.Merge(s.seen.Diff(s.living()))
	return delta
}

// bury drops the dots that live here while o has seen them and they do not live there. It adds them to killed
// unless that is nil, and reports whether there were any.
func (s *RWSet[E]) bury(o *RWSet[E], killed *vclock.Context) bool {
	var dead []uint32
	for span := range o.seen.All() {
		dead = s.appendDead(dead, o, span)
	}
	for _, i := range dead {
		if killed != nil {
			killed.Add(s.live.dot(i))
		}
		s.drop(i)
	}
	s.live.trim()
	return len(dead) > 0
}

// appendDead appends the slots that live here in span, which o has seen, but not there. A dot that has different
// marks here and there is dead in both: its identity was used twice, and only that is an outcome which does not
// depend on the order of merging.
func (s *RWSet[E]) appendDead(dead []uint32, o *RWSet[E], span vclock.Span) []uint32 {
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
func (s *RWSet[E]) adopt(o *RWSet[E], unseen *vclock.Context, novel *RWSet[E]) {
	for span := range unseen.All() {
		theirs := o.live.from(span.Replica, span.Lo)
		for i, ok := theirs.slot(span.Hi); ok; i, ok = theirs.slot(span.Hi) {
			m, d := o.live.elem(i), o.live.dot(i)
			s.insert(m, d)
			if novel != nil {
				novel.insert(m, d)
			}
			theirs.next()
		}
	}
	s.seen.Merge(unseen)
}
