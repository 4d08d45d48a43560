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

// Handover gives the additions of departed replicas that were live at a cut to a successor, and forgets the
// others. See [HandoverError] for what must hold. It is exact whatever else is added and removed meanwhile. It
// takes O(size).
func (s *ORSet[E]) Handover(at *ORSet[E], to vclock.ReplicaID, from ...vclock.ReplicaID) (changed bool, err error) {
	if at == nil {
		at = new(ORSet[E])
	}
	e := estate{to: to, from: from}
	var elems []E
	for _, r := range e.sorted() {
		for span := range at.seen.SpansOf(r) {
			at.live.eachIn(span, func(elem E, d vclock.Dot) {
				e.dots, elems = append(e.dots, d), append(elems, elem)
			})
		}
	}
	rest, err := e.settle(&s.seen, &at.seen)
	if rest == nil {
		return false, err
	}
	var after ORSet[E]
	for span := range rest.All() {
		s.live.eachIn(span, func(elem E, d vclock.Dot) { after.live.insert(elem, d) })
	}
	after.seen = *rest
	e.inherit(&s.seen, func(i int, d vclock.Dot) bool { return s.live.lives(elems[i], d) },
		func(i int, d vclock.Dot, lives bool) {
			after.seen.Add(d)
			if lives {
				after.live.insert(elems[i], d)
			}
		})
	*s = after
	return true, nil
}
