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
	if !s.seen.Intersects(since) {
		return s.Clone()
	}
	delta.adopt(s, s.seen.Diff(since), nil)
	delta.seen.Merge(s.seen.Diff(s.living()))
	return delta
}

// bury ends what is in force here while o has seen it and it is not in force there. It adds that to killed unless it
// is nil, and reports whether there was any.
func (s *RWSet[E]) bury(o *RWSet[E], killed *vclock.Context) bool {
	visit := func(other *dotStore[E]) visitor[E] {
		return func(e E, d vclock.Dot, elements int) {
			s.count(e, other, elements)
			if killed != nil {
				killed.Add(d)
			}
		}
	}
	added := s.added.bury(&o.added, &o.seen, visit(&s.removed))
	removed := s.removed.bury(&o.removed, &o.seen, visit(&s.added))
	return added || removed
}

// adopt takes in the unseen events of o: those that are in force there, also into novel unless that is nil.
func (s *RWSet[E]) adopt(o *RWSet[E], unseen *vclock.Context, novel *RWSet[E]) {
	s.added.adopt(&o.added, unseen, func(e E, d vclock.Dot, elements int) {
		s.count(e, &s.removed, elements)
		if novel != nil {
			novel.insert(false, e, d)
		}
	})
	s.removed.adopt(&o.removed, unseen, func(e E, d vclock.Dot, elements int) {
		s.count(e, &s.added, elements)
		if novel != nil {
			novel.insert(true, e, d)
		}
	})
	s.learn(unseen)
}

// count keeps both right when e came to one side (elements is 1), went from it (-1), or did neither.
func (s *RWSet[E]) count(e E, other *dotStore[E], elements int) {
	if elements != 0 && other.has(e) {
		s.both += elements
	}
}
