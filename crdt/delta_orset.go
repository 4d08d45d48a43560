package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// Delta returns what a peer with that context lacks: the additions not in it, and the removal of all others that
// were removed. It takes O(n) for n live additions, and O(log) of the spans of since for each. See [Causal].
func (s *ORSet[E]) Delta(since *vclock.Context) (delta *ORSet[E]) {
	delta = new(ORSet[E])
	if s == nil {
		return delta
	}
	if !s.seen.Intersects(since) {
		return s.Clone()
	}
	for span := range s.seen.All() {
		rest := span // what follows the last addition that both know
		s.eachLive(span, func(e E, d vclock.Dot) {
			if !since.Has(d) {
				delta.live.insert(e, d)
				return
			}
			if d.Seq > rest.Lo {
				delta.seen.AddSpan(vclock.Span{Replica: d.Replica, Lo: rest.Lo, Hi: d.Seq - 1})
			}
			rest.Lo = d.Seq + 1
		})
		delta.seen.AddSpan(rest) // nothing if that is empty
	}
	return delta
}

// eachLive visits the live dots in span, in order.
func (s *ORSet[E]) eachLive(span vclock.Span, visit func(e E, d vclock.Dot)) {
	k := s.live.from(span.Replica, span.Lo)
	for i, ok := k.slot(span.Hi); ok; i, ok = k.slot(span.Hi) {
		visit(s.live.elem(i), s.live.dot(i))
		k.next()
	}
}

// lives reports whether d is a live dot of e.
func (s *ORSet[E]) lives(e E, d vclock.Dot) bool {
	k := s.live.from(d.Replica, d.Seq)
	i, ok := k.slot(d.Seq)
	return ok && s.live.elem(i) == e
}

// Explain says which additions keep e in. Removals leave nothing behind that names an element, so there is never
// anything against one.
func (s *ORSet[E]) Explain(e E) (x Explanation) {
	if s == nil {
		return x
	}
	i, ok := s.live.lookup(e)
	if !ok {
		return x
	}
	x.Present = true
	for k := range s.live.ring(i) {
		x.For = append(x.For, s.live.dot(k))
	}
	slices.SortFunc(x.For, vclock.Dot.Compare)
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
			at.eachLive(span, func(elem E, d vclock.Dot) {
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
		s.eachLive(span, func(elem E, d vclock.Dot) { after.live.insert(elem, d) })
	}
	after.seen = *rest
	e.inherit(&s.seen, func(i int, d vclock.Dot) bool { return s.lives(elems[i], d) },
		func(i int, d vclock.Dot, lives bool) {
			after.seen.Add(d)
			if lives {
				after.live.insert(elems[i], d)
			}
		})
	*s = after
	return true, nil
}
