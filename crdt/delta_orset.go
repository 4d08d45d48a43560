package crdt

import "github.com/eventual-go/eventual/vclock"

// Delta returns what a peer with that context lacks: the additions not in it, and the removal of all others that
// were removed. It costs O(what it returns + number of live additions / 256) where those have few gaps. See [Causal].
func (s *ORSet[E]) Delta(since *vclock.Context) (delta *ORSet[E]) {
	delta = new(ORSet[E])
	if s == nil {
		return delta
	}
	if !s.seen.Intersects(since) {
		return s.Clone()
	}
	unseen := s.seen.Diff(since)
	delta.live.adopt(&s.live, unseen, nil)
	delta.seen = *s.seen.Diff(s.live.living())
	delta.seen.Merge(unseen)
	return delta
}

// Explain says which additions keep e in. Removals leave nothing behind that names an element, so there is never
// anything against one.
func (s *ORSet[E]) Explain(e E) (x Explanation) {
	if s == nil {
		return x
	}
	x.For = s.live.appendDots(nil, e)
	x.Present = len(x.For) > 0
	return x
}
