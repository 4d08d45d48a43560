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
	changed = s.live.bury(&o.live, &o.seen, nil)
	if !s.seen.Contains(&o.seen) {
		unseen := o.seen.Diff(&s.seen)
		s.live.adopt(&o.live, unseen, nil)
		s.learn(unseen)
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
	s.live.bury(&o.live, &o.seen, func(_ E, d vclock.Dot, _ int) { novel.seen.Add(d) })
	if unseen := o.seen.Diff(&s.seen); unseen.Len() > 0 {
		s.live.adopt(&o.live, unseen, func(e E, d vclock.Dot, _ int) { novel.live.insert(e, d) })
		s.learn(unseen)
		novel.seen.Merge(unseen)
	}
	return novel, novel.seen.Len() > 0
}
