package crdt

import (
	"iter"
	"maps"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
)

// GSet is a set that only grows. Concurrent additions are all kept; nothing is ever removed, so it needs no
// identities and cannot be reset.
//
// The zero GSet is empty and ready to use. It may be read by several goroutines, but not while one changes
// it; copy it by Clone. It costs what a map costs, and merging costs O(size of the argument). See the package
// documentation for the types that can be encoded; others work in memory.
//
// It is the G-Set of Shapiro et al. 2011, section 3.3.1.
type GSet[E comparable] struct {
	m     map[E]struct{}
	track *elementParts[E] // nil unless tracked
}

// Add puts the elements in and returns the delta: those that were not in yet.
func (s *GSet[E]) Add(elems ...E) (delta *GSet[E]) {
	delta = new(GSet[E])
	for _, e := range elems {
		if s.insert(e) {
			delta.insert(e)
		}
	}
	return delta
}

func (s *GSet[E]) insert(e E) (changed bool) {
	if s.Has(e) {
		return false
	}
	if s.m == nil {
		s.m = make(map[E]struct{})
	}
	s.m[e] = struct{}{}
	s.track.element(e, 1)
	return true
}

// Has reports whether e is in.
func (s *GSet[E]) Has(e E) bool {
	_, ok := s.elements()[e]
	return ok
}

// Len is the number of elements.
func (s *GSet[E]) Len() int { return len(s.elements()) }

// Empty reports whether there are no elements.
func (s *GSet[E]) Empty() bool { return s.Len() == 0 }

// All yields the elements in no particular order. The set must not change meanwhile.
func (s *GSet[E]) All() iter.Seq[E] {
	return func(yield func(E) bool) { maps.Keys(s.elements())(yield) }
}

func (s *GSet[E]) elements() map[E]struct{} {
	if s == nil {
		return nil
	}
	return s.m
}

// Merge takes in what o knows. See [Lattice].
func (s *GSet[E]) Merge(o *GSet[E]) (changed bool) {
	for e := range o.elements() {
		changed = s.insert(e) || changed
	}
	return changed
}

// MergeNovel merges o and returns what was new in it. See [Delta].
func (s *GSet[E]) MergeNovel(o *GSet[E]) (novel *GSet[E], changed bool) {
	novel = new(GSet[E])
	for e := range o.elements() {
		if s.insert(e) {
			novel.insert(e)
		}
	}
	return novel, novel.Len() > 0
}

// Clone returns a set of its own with the same elements.
func (s *GSet[E]) Clone() *GSet[E] { return &GSet[E]{m: maps.Clone(s.elements())} }

// Decompose reports the elements. See [Decomposable].
func (s *GSet[E]) Decompose(report func(part []byte, n int)) error {
	all := sink{report: report}
	to := newElementParts[E](&all)
	for e := range s.elements() {
		to.element(e, 1)
	}
	return all.err
}

// Track reports elements as they come. See [Decomposable].
func (s *GSet[E]) Track(by *Tracker[*GSet[E]]) { s.track = newElementParts[E](by.target()) }

// TrackedBy reports whether by is told. See [Decomposable].
func (s *GSet[E]) TrackedBy(by *Tracker[*GSet[E]]) bool { return s.track.base().goTo(by.target()) }

// AppendBinary appends the wire form. It returns a [*TypeError] if E cannot be encoded.
func (s *GSet[E]) AppendBinary(b []byte) ([]byte, error) {
	c, elems, err := s.sorted()
	if err != nil {
		return b, err
	}
	w := formGSet.begin(b, 1)
	w.Array(len(elems))
	for _, e := range elems {
		if err := c.write(w, e); err != nil {
			return w.Done()[:len(b)], err
		}
	}
	return w.Done(), nil
}

// sorted returns the elements in canonical order.
func (s *GSet[E]) sorted() (codec[E], []E, error) {
	c, err := elementCodecOf[E]()
	if err != nil {
		return nil, nil, err
	}
	elems := slices.AppendSeq(make([]E, 0, s.Len()), s.All())
	return c, elems, sortElements(c, elems, identity[E])
}

func identity[E any](e E) E { return e }

// UnmarshalBinary replaces the set by the one in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError], [*VersionError] or [*TypeError] and changes nothing if b is not a GSet of E.
func (s *GSet[E]) UnmarshalBinary(b []byte) error {
	c, err := elementCodecOf[E]()
	if err != nil {
		return err
	}
	r, err := formGSet.openOf(b, 1)
	if err != nil {
		return err
	}
	m := readElements(r, c)
	if err := formGSet.close(r); err != nil {
		return err
	}
	*s = GSet[E]{m: m}
	return nil
}

func readElements[E comparable](r *wire.Reader, c codec[E]) map[E]struct{} {
	n := r.Array()
	m := make(map[E]struct{}, min(n, 1<<12)) // what n claims is not yet paid for
	var prev E
	for i := range n {
		e := c.read(r)
		if r.Err() != nil {
			return nil
		}
		if i > 0 && c.compare(prev, e) >= 0 {
			r.Fail("elements out of order")
		}
		m[e] = struct{}{}
		prev = e
	}
	if len(m) != n {
		r.Fail("element twice")
	}
	return m
}

// MarshalJSON writes the elements as an array, in canonical order. It returns a [*TypeError] if E cannot be
// encoded.
func (s *GSet[E]) MarshalJSON() ([]byte, error) {
	_, elems, err := s.sorted()
	if err != nil {
		return nil, err
	}
	return marshalArray(elems)
}
