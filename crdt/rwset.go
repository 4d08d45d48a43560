package crdt

import (
	"iter"
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// RWSet is a set with removal in which a removal wins. If one replica removes an element while another adds it, the
// element is out, also if it was not in where it was removed. Only an addition that saw the removal brings it back.
//
// Exactly: an element is in if there is an addition of it, and each removal of it was seen by a later addition of it.
// That is so wherever events arrive after those that they saw, as they do with whole states. Where single deltas
// arrive in another order, an addition or removal speaks of just the events which it ended: those of its element
// that were in force where it happened.
//
// Additions and removals are both events, and those of an element end all of either sort that they saw. So what was
// removed costs as much as what is in, until it is added again or reset. Choose [ORSet], which forgets the removed,
// unless a removal must not be undone by someone who had not heard of it: access lists, bans, withdrawals.
//
// The zero RWSet is empty and ready to use. It may be read by several goroutines, but not while one changes it; copy
// it by Clone. Add, Remove and Has take O(1) map operations an element. Merging costs O(size of the argument + what it
// ends), whatever the size of the receiver: give Merge the delta. See the package documentation for the types that
// can be encoded; others work in memory.
//
// It is the remove-wins set of Baquero, Almeida, Cunha, Ferreira, "Composition in State-based Replicated Data Types",
// 2017, and of Almeida, Shoker, Baquero, "Delta State Replicated Data Types", 2018, section 7.3: a map from elements
// to the dots of their additions and of their removals.
type RWSet[E comparable] struct {
	seen vclock.Context // every dot seen, those of the live included
	live dotStore[mark[E]]
	n    int // elements that are in
}

// mark is what a dot says of an element: that it was added, or removed. An element has up to one mark of each sort,
// with the dots of those that raced.
type mark[E comparable] struct {
	elem    E
	removal bool
}

// Add puts the elements in on behalf of replica r and returns the delta. Each addition is an event of its own. It
// ends the removals that are known here; one that is not wins over it. Only one writer may use r at a time, and r
// must never be used again by one who has forgotten events of r. If r is zero, or has no sequence numbers left,
// nothing is added.
func (s *RWSet[E]) Add(r vclock.ReplicaID, elems ...E) (delta *RWSet[E]) {
	return s.write(r, elems, false)
}

// Remove takes the elements out on behalf of replica r and returns the delta. Each removal is an event of its own,
// also if the element is not in: it wins over the additions that have not seen it. For r see [RWSet.Add].
func (s *RWSet[E]) Remove(r vclock.ReplicaID, elems ...E) (delta *RWSet[E]) {
	return s.write(r, elems, true)
}

func (s *RWSet[E]) write(r vclock.ReplicaID, elems []E, removal bool) (delta *RWSet[E]) {
	delta = new(RWSet[E])
	var killed grave
	for _, e := range elems {
		m := mark[E]{e, removal}
		if delta.hasMark(m) {
			continue
		}
		d := s.seen.Next(r)
		if d.IsZero() {
			break
		}
		s.kill(e, &killed)
		s.mint(m, d)
		delta.mint(m, d)
	}
	killed.into(&delta.seen)
	s.live.trim()
	return delta
}

func (s *RWSet[E]) mint(m mark[E], d vclock.Dot) {
	s.seen.Add(d)
	s.insert(m, d)
}

// kill ends the life of all dots of e, and adds them to killed.
func (s *RWSet[E]) kill(e E, killed *grave) {
	for _, m := range [...]mark[E]{{e, false}, {e, true}} {
		for i, ok := s.live.lookup(m); ok; i, ok = s.live.lookup(m) {
			*killed = append(*killed, s.live.dot(i))
			s.drop(i)
		}
	}
}

// insert makes d a live dot of m, and reports whether it was no live dot yet.
func (s *RWSet[E]) insert(m mark[E], d vclock.Dot) bool {
	marks := s.live.n
	fresh := s.live.insert(m, d)
	s.count(m, s.live.n-marks)
	return fresh
}

// drop ends the life of the dot in slot i.
func (s *RWSet[E]) drop(i uint32) {
	marks, m := s.live.n, s.live.elem(i)
	s.live.drop(i)
	s.count(m, s.live.n-marks)
}

// count keeps n right when mark m came (+1), went (-1), or did neither.
func (s *RWSet[E]) count(m mark[E], by int) {
	switch {
	case by == 0:
	case !m.removal && !s.hasMark(mark[E]{m.elem, true}):
		s.n += by
	case m.removal && s.hasMark(mark[E]{m.elem, false}):
		s.n -= by
	}
}

func (s *RWSet[E]) hasMark(m mark[E]) bool {
	_, ok := s.live.lookup(m)
	return ok
}

// Reset forgets all additions and removals that are known here, and returns the delta. It mints no event and is no
// removal: additions, and removals, that it has not seen stand.
func (s *RWSet[E]) Reset() (delta *RWSet[E]) {
	delta = &RWSet[E]{seen: *s.living()}
	s.live, s.n = dotStore[mark[E]]{}, 0
	return delta
}

// living returns the context of the live dots.
func (s *RWSet[E]) living() *vclock.Context {
	c := new(vclock.Context)
	for span := range s.live.spans() {
		c.AddSpan(span)
	}
	return c
}

// Has reports whether e is in.
func (s *RWSet[E]) Has(e E) bool {
	return s != nil && s.hasMark(mark[E]{e, false}) && !s.hasMark(mark[E]{e, true})
}

// Explain names the additions and the removals of e that are in force: with any removal it is out.
func (s *RWSet[E]) Explain(e E) Explanation {
	if s == nil {
		return Explanation{}
	}
	return Explanation{
		Present: s.Has(e),
		For:     s.dots(mark[E]{e, false}, nil),
		Against: s.dots(mark[E]{e, true}, nil),
	}
}

// dots appends the live dots of m, in order.
func (s *RWSet[E]) dots(m mark[E], dots []vclock.Dot) []vclock.Dot {
	i, ok := s.live.lookup(m)
	if !ok {
		return dots
	}
	for k := range s.live.ring(i) {
		dots = append(dots, s.live.dot(k))
	}
	slices.SortFunc(dots, vclock.Dot.Compare)
	return dots
}

// Len is the number of elements.
func (s *RWSet[E]) Len() int {
	if s == nil {
		return 0
	}
	return s.n
}

// Empty reports whether there are no elements. Removals may still be remembered.
func (s *RWSet[E]) Empty() bool { return s.Len() == 0 }

// All yields the elements in no particular order. The set must not change meanwhile.
func (s *RWSet[E]) All() iter.Seq[E] {
	return func(yield func(E) bool) {
		if s == nil {
			return
		}
		for i := range s.live.heads() {
			m := s.live.elem(i)
			if !m.removal && !s.hasMark(mark[E]{m.elem, true}) && !yield(m.elem) {
				return
			}
		}
	}
}

// Context returns a copy of the causal context: all additions and removals that were seen.
func (s *RWSet[E]) Context() *vclock.Context {
	if s == nil {
		return new(vclock.Context)
	}
	return s.seen.Clone()
}

// Clone returns a set of its own with the same state.
func (s *RWSet[E]) Clone() *RWSet[E] {
	if s == nil {
		return new(RWSet[E])
	}
	return &RWSet[E]{seen: *s.seen.Clone(), live: s.live.clone(), n: s.n}
}
