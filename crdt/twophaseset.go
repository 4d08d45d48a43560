package crdt

import (
	"iter"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

var formTwoPhaseSet = form{"twophaseset", 9}

// TwoPhaseSet is a set in which removal is final: an element that was removed anywhere, by someone who had seen it
// or not, is out and never comes back. An element is in if it was added and never removed.
//
// It needs no identities and no clocks. The price is that removed elements are kept, and all that this set can say
// of an element is one of: never heard of, in, out. Take it where an element has one life, such as an order, a ticket
// or a key that may be revoked; else take [ORSet].
//
// The zero TwoPhaseSet is empty and ready to use. It may be read by several goroutines, but not while one changes
// it; copy it by Clone. It costs what a map costs, and merging costs O(size of the argument). See the package
// documentation for the types that can be encoded; others work in memory.
//
// It is the 2P-Set of Shapiro et al. 2011, section 3.3.2, in which an element may also be removed ahead of its
// addition.
type TwoPhaseSet[E comparable] struct {
	m     rows[E, phase]
	n     int              // elements that are in
	track *elementParts[E] // nil unless tracked
}

// phase is how far the life of an element has come. What is not in the map is in phase 0.
type phase uint8

const (
	phaseIn phase = 1 + iota
	phaseOut
)

// Add puts the elements in, except those that were removed, and returns the delta: those that were not in yet.
func (s *TwoPhaseSet[E]) Add(elems ...E) (delta *TwoPhaseSet[E]) { return s.advance(elems, phaseIn) }

// Remove takes the elements out for ever, also those that were not in, and returns the delta.
func (s *TwoPhaseSet[E]) Remove(elems ...E) (delta *TwoPhaseSet[E]) {
	return s.advance(elems, phaseOut)
}

func (s *TwoPhaseSet[E]) advance(elems []E, p phase) (delta *TwoPhaseSet[E]) {
	delta = new(TwoPhaseSet[E])
	for _, e := range elems {
		if s.move(e, p) {
			delta.move(e, p)
		}
	}
	return delta
}

// move brings e to a phase, and reports whether it had not come so far.
func (s *TwoPhaseSet[E]) move(e E, p phase) (changed bool) {
	was, _ := s.m.get(e)
	if was >= p {
		return false
	}
	s.m.put(e, p)
	if s.track != nil {
		s.track.inPhase(e, was, -1)
		s.track.inPhase(e, p, 1)
	}
	switch {
	case p == phaseIn:
		s.n++
	case was == phaseIn:
		s.n--
	}
	return true
}

// Reset takes out all elements that are in, and returns the delta. As with any removal they never come back;
// elements that are not known here may still come.
func (s *TwoPhaseSet[E]) Reset() (delta *TwoPhaseSet[E]) {
	return s.Remove(slices.Collect(s.All())...)
}

// Has reports whether e is in.
func (s *TwoPhaseSet[E]) Has(e E) bool { return s.phase(e) == phaseIn }

// Removed reports whether e is out for ever.
func (s *TwoPhaseSet[E]) Removed(e E) bool { return s.phase(e) == phaseOut }

func (s *TwoPhaseSet[E]) phase(e E) phase {
	p, _ := s.phases().get(e)
	return p
}

// Explain says whether e is in. This set keeps no events.
func (s *TwoPhaseSet[E]) Explain(e E) Explanation { return Explanation{Present: s.Has(e)} }

// Len is the number of elements that are in.
func (s *TwoPhaseSet[E]) Len() int {
	if s == nil {
		return 0
	}
	return s.n
}

// Empty reports whether no elements are in.
func (s *TwoPhaseSet[E]) Empty() bool { return s.Len() == 0 }

// All yields the elements that are in, in no particular order. The set must not change meanwhile.
func (s *TwoPhaseSet[E]) All() iter.Seq[E] {
	return func(yield func(E) bool) {
		for e, p := range s.phases().all() {
			if p == phaseIn && !yield(e) {
				return
			}
		}
	}
}

func (s *TwoPhaseSet[E]) phases() (all rows[E, phase]) {
	if s != nil {
		all = s.m
	}
	return all
}

// Context returns an empty context: additions and removals are not events here.
func (s *TwoPhaseSet[E]) Context() *vclock.Context { return new(vclock.Context) }

// Delta returns the whole set: a context says nothing about elements, so none can be ruled out.
func (s *TwoPhaseSet[E]) Delta(*vclock.Context) *TwoPhaseSet[E] { return s.Clone() }

// Merge takes in what o knows. See [Lattice].
func (s *TwoPhaseSet[E]) Merge(o *TwoPhaseSet[E]) (changed bool) {
	for e, p := range o.phases().all() {
		changed = s.move(e, p) || changed
	}
	return changed
}

// MergeNovel merges o and returns what was new in it. See [Delta].
func (s *TwoPhaseSet[E]) MergeNovel(o *TwoPhaseSet[E]) (novel *TwoPhaseSet[E], changed bool) {
	novel = new(TwoPhaseSet[E])
	for e, p := range o.phases().all() {
		if s.move(e, p) {
			novel.move(e, p)
		}
	}
	return novel, novel.m.len() > 0
}

// Clone returns a set of its own with the same state.
func (s *TwoPhaseSet[E]) Clone() *TwoPhaseSet[E] {
	if s == nil {
		return new(TwoPhaseSet[E])
	}
	return &TwoPhaseSet[E]{m: s.m.clone(), n: s.n}
}

// Decompose reports the elements, those that are in and those that are out. See [Decomposable].
func (s *TwoPhaseSet[E]) Decompose(report func(part []byte, n int)) error {
	all := sink{report: report}
	to := newElementParts[E](&all)
	if to == nil {
		return all.err
	}
	for e, p := range s.phases().all() {
		to.inPhase(e, p, 1)
	}
	return all.err
}

// Track reports elements as they come and go. See [Decomposable].
func (s *TwoPhaseSet[E]) Track(by *Tracker[*TwoPhaseSet[E]]) {
	s.track = newElementParts[E](by.target())
}

// TrackedBy reports whether by is told. See [Decomposable].
func (s *TwoPhaseSet[E]) TrackedBy(by *Tracker[*TwoPhaseSet[E]]) bool {
	return s.track.base().goTo(by.target())
}

// inPhase reports that e is in, or out for ever; in phase 0 it has no part.
func (p *elementParts[E]) inPhase(e E, at phase, n int) {
	switch at {
	case phaseIn:
		p.element(e, n)
	case phaseOut:
		w := p.begin(partGone)
		p.send(w, n, p.codec.write(w, e))
	}
}

// AppendBinary appends the wire form. It returns a [*TypeError] if E cannot be encoded.
func (s *TwoPhaseSet[E]) AppendBinary(b []byte) ([]byte, error) {
	c, elems, err := s.sorted()
	if err != nil {
		return b, err
	}
	w := formTwoPhaseSet.begin(b, 2)
	for _, p := range []phase{phaseIn, phaseOut} {
		if err := s.writePhase(w, c, elems, p); err != nil {
			return w.Done()[:len(b)], err
		}
	}
	return w.Done(), nil
}

// sorted returns all elements, in and out, in canonical order.
func (s *TwoPhaseSet[E]) sorted() (codec[E], []E, error) {
	c, err := elementCodecOf[E]()
	if err != nil {
		return nil, nil, err
	}
	elems := make([]E, 0, s.phases().len())
	for e := range s.phases().all() {
		elems = append(elems, e)
	}
	return c, elems, sortElements(c, elems, identity[E])
}

// writePhase writes those of the elements that are in phase p.
func (s *TwoPhaseSet[E]) writePhase(w *wire.Writer, c codec[E], elems []E, p phase) error {
	n := s.Len()
	if p == phaseOut {
		n = len(elems) - n
	}
	w.Array(n)
	for _, e := range elems {
		if s.phase(e) != p {
			continue
		}
		if err := c.write(w, e); err != nil {
			return err
		}
	}
	return nil
}

// UnmarshalBinary replaces the set by the one in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError], [*VersionError] or [*TypeError] and changes nothing if b is not a TwoPhaseSet of E.
func (s *TwoPhaseSet[E]) UnmarshalBinary(b []byte) error {
	c, err := elementCodecOf[E]()
	if err != nil {
		return err
	}
	r, err := formTwoPhaseSet.openOf(b, 2)
	if err != nil {
		return err
	}
	var read TwoPhaseSet[E]
	for _, p := range []phase{phaseIn, phaseOut} {
		read.readPhase(r, c, p)
	}
	if err := formTwoPhaseSet.close(r); err != nil {
		return err
	}
	*s = read
	return nil
}

func (s *TwoPhaseSet[E]) readPhase(r *wire.Reader, c codec[E], p phase) {
	for e := range readElements(r, c) {
		if s.phase(e) != 0 {
			r.Fail("element both in and out")
			return
		}
		s.move(e, p)
	}
}

// MarshalJSON writes the elements that are in as an array, in canonical order. It returns a [*TypeError] if E cannot
// be encoded.
func (s *TwoPhaseSet[E]) MarshalJSON() ([]byte, error) {
	_, elems, err := s.sorted()
	if err != nil {
		return nil, err
	}
	return marshalArray(slices.DeleteFunc(elems, s.Removed))
}
