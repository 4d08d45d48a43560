package merkle

import "sync/atomic"

// This file is what happens to a sketch that is not of its tree's elements: because a
// bit of it flipped, say, or a write raced with another. Sessions notice, as what they
// read does not make up for the difference of the roots. The sketch is then compared
// with one built anew, which takes a pass over the tree: not while it is written to,
// where others would have to wait, but by who reads a snapshot next. As peers can bring
// that about, it has to be paid for by what the sketch was used for.

// health is what a sketch shares with its copies: those that snapshots have, and what
// becomes of it as the tree is written to. A snapshot that is written to has its own.
type health struct {
	suspect atomic.Bool  // a session did not end as it would with a sketch that holds
	paid    atomic.Int64 // what it was used for since it was built or compared, in cells
	mended  atomic.Pointer[mended]
}

// mended is a sketch that does not hold, and the one in its place.
type mended struct{ of, is *sketch }

// current returns the sketch of t, or what was found to be right in its place.
func (t *Tree) current() *sketch {
	s := t.sketch
	for s != nil {
		m := s.health.mended.Load()
		if m == nil || m.of != s {
			return s
		}
		s = m.is
	}
	return nil
}

// sound returns the sketch of t for a use of it, or nil where it has none or one that
// is plainly at odds with it. It makes the comparison that is due.
func (t *Tree) sound() *sketch {
	s := t.current()
	if s == nil {
		return nil
	}
	h := s.health
	paid := h.paid.Add(int64(s.cells()))
	if s.sum != t.Root() {
		h.suspect.Store(true)
	}
	if paid >= int64(t.Len()) && h.suspect.CompareAndSwap(true, false) {
		h.paid.Store(0)
		s = t.audit(s)
	}
	if s.sum != t.Root() {
		return nil
	}
	return s
}

// audit compares s with what it should be, and returns the one that is right.
func (t *Tree) audit(s *sketch) *sketch {
	is := t.build(new(owner), s.cells())
	if is.equal(s) {
		return s
	}
	s.health.mended.Store(&mended{of: s, is: is})
	return is
}

// doubt has the sketch compared with the tree when that is paid for.
func (t *Tree) doubt() {
	if s := t.current(); s != nil {
		s.health.suspect.Store(true)
	}
}

// adopt mends s, which is the owner's own, by what was found wrong with the sketch that
// it was copied from. Sketches are linear, so that fits whatever was written since.
func (s *sketch) adopt() {
	for m := s.health.mended.Load(); m != nil; m = s.health.mended.Load() {
		s.sum = s.sum.Add(m.is.sum).Sub(m.of.sum)
		for i := range s.counts {
			s.counts[i] += m.is.counts[i] - m.of.counts[i]
		}
		for i := range s.pages {
			s.mend(uint32(i), m.of.pages[i], m.is.pages[i])
		}
		s.health = m.is.health
	}
}

// mend adds to a page what two others differ by.
func (s *sketch) mend(n uint32, of, is *page) {
	if *of == *is {
		return
	}
	s.copyPage(n)
	p := s.pages[n]
	for i := range p.ids {
		p.ids[i] ^= of.ids[i] ^ is.ids[i]
		p.checks[i] += is.checks[i] - of.checks[i]
	}
}

func (s *sketch) equal(o *sketch) bool {
	if s.sum != o.sum || s.counts != o.counts {
		return false
	}
	for i := range s.pages {
		if *s.pages[i] != *o.pages[i] {
			return false
		}
	}
	return true
}
