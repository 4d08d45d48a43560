package crdt

import (
	"iter"

	"github.com/eventual-go/eventual/vclock"
)

// ORSet is a set with removal. If one replica removes an element while another adds it, the addition wins: a
// removal takes away exactly the additions that it saw.
//
// The zero ORSet is empty and ready to use. It may be read by several goroutines, but not while one changes
// it; copy it by Clone. Elements that were removed leave nothing behind but their place in the context, which
// takes one span for each unbroken run of events of a replica. Add, Remove and Has take O(1) map operations an
// element. Merging costs O(size of the argument + what it removes), whatever the size of the receiver: give
// Merge the delta. See the package documentation for the types that can be encoded; others work in memory.
//
// It is the optimized OR-Set of Bieniusa et al., "An optimized conflict-free replicated set", 2012, in the
// delta form of Almeida, Shoker, Baquero, "Delta State Replicated Data Types", 2018, section 7.3.
type ORSet[E comparable] struct {
	past[E] // every dot seen, those of the live included
	live    dotStore[E]
}

// Add puts the elements in on behalf of replica r and returns the delta. Each addition is an event of its own
// that survives the removals which have not seen it, so adding an element again is news. Only one writer may
// use r at a time, and r must never be used again by one who has forgotten events of r. If r is zero, or has
// no sequence numbers left, nothing is added.
func (s *ORSet[E]) Add(r vclock.ReplicaID, elems ...E) (delta *ORSet[E]) {
	first := s.seen.Next(r)
	if len(elems) != 1 || first.IsZero() {
		return s.addAll(first, elems)
	}
	delta = lone(elems[0], first)
	hash, i, ok := s.live.find(elems[0])
	if ok {
		var few [fewDots]vclock.Dot
		s.live.kill(hash, i, few[:0]).into(&delta.seen)
		s.live.trim()
	}
	s.live.insertHashed(hash, elems[0], first)
	delta.seen.Add(first)
	s.mint(first, first.Seq)
	return delta
}

// addAll adds elements by the dots from the first one on.
func (s *ORSet[E]) addAll(first vclock.Dot, elems []E) (delta *ORSet[E]) {
	delta = new(ORSet[E])
	delta.live.reserve(len(elems))
	next := first
	var killed grave
	for _, e := range elems {
		hash, i, ok := s.live.find(e)
		if ok && s.live.isSince(first, i) {
			continue
		}
		if next.Seq == 0 {
			break
		}
		if ok {
			killed = s.live.kill(hash, i, killed)
		}
		s.live.insertHashed(hash, e, next)
		delta.live.insert(e, next)
		next.Seq++
	}
	killed.into(&delta.seen)
	delta.mint(first, next.Seq-1)
	s.mint(first, next.Seq-1)
	s.live.trim()
	return delta
}

// lone returns a set of one element, but for its context. It is one piece of memory.
func lone[E comparable](e E, d vclock.Dot) *ORSet[E] {
	s := &struct {
		set    ORSet[E]
		blocks [1][]slot[E]
		slots  [1]slot[E]
		lanes  [1]lane
		chunks [1]chunk
		order  [1]uint32
	}{}
	s.slots[0] = slot[E]{elem: e, low: uint32(d.Seq)}
	s.chunks[0] = chunk{low: uint32(d.Seq), top: uint32(d.Seq), n: 1}
	s.lanes[0] = lane{replica: d.Replica, high: uint32(d.Seq >> 32), chunks: s.chunks[:]}
	s.blocks[0] = s.slots[:]
	s.set.live = dotStore[E]{blocks: s.blocks[:], lanes: s.lanes[:], order: s.order[:], n: 1}
	return &s.set
}

// Remove takes the elements out as far as their additions are known here, and returns the delta, which names
// only the additions taken away. It is empty if there are none.
func (s *ORSet[E]) Remove(elems ...E) (delta *ORSet[E]) {
	delta = new(ORSet[E])
	var few [fewDots]vclock.Dot
	killed := grave(few[:0])
	for _, e := range elems {
		if hash, i, ok := s.live.find(e); ok {
			killed = s.live.kill(hash, i, killed)
		}
	}
	killed.into(&delta.seen)
	s.live.trim()
	return delta
}

// Reset takes out all elements that are known here, and returns the delta.
func (s *ORSet[E]) Reset() (delta *ORSet[E]) {
	delta = new(ORSet[E])
	delta.seen = *s.live.living()
	s.live.clear()
	return delta
}

// Has reports whether e is in.
func (s *ORSet[E]) Has(e E) bool {
	if s == nil {
		return false
	}
	return s.live.has(e)
}

// Len is the number of elements.
func (s *ORSet[E]) Len() int {
	if s == nil {
		return 0
	}
	return s.live.n
}

// Empty reports whether there are no elements.
func (s *ORSet[E]) Empty() bool { return s.Len() == 0 }

// All yields the elements in no particular order. The set must not change meanwhile.
func (s *ORSet[E]) All() iter.Seq[E] {
	return func(yield func(E) bool) {
		if s == nil {
			return
		}
		s.live.elements(yield)
	}
}

// Context returns a copy of the causal context: all additions that were seen, of elements that are in and of
// such that were removed.
func (s *ORSet[E]) Context() *vclock.Context {
	if s == nil {
		return new(vclock.Context)
	}
	return s.seen.Clone()
}

// Clone returns a set of its own with the same state.
func (s *ORSet[E]) Clone() *ORSet[E] {
	if s == nil {
		return new(ORSet[E])
	}
	return &ORSet[E]{past: past[E]{seen: *s.seen.Clone()}, live: s.live.clone()}
}

// Decompose reports the elements with the events that brought them, and the context. See [Decomposable].
func (s *ORSet[E]) Decompose(report func(part []byte, n int)) error {
	all := sink{report: report}
	to := newElementParts[E](&all)
	if s == nil || to == nil {
		return all.err
	}
	to.context(&s.seen, 1)
	s.live.each(func(e E, d vclock.Dot) { to.dotted(e, d, 1) })
	return all.err
}

// Track reports elements with the events that brought them as they come and go, and the context as it grows. See
// [Decomposable].
func (s *ORSet[E]) Track(by *Tracker[*ORSet[E]]) {
	s.track = newElementParts[E](by.target())
	s.live.track = nil
	if s.track != nil {
		s.live.track = s.track.dotted
	}
}

// TrackedBy reports whether by is told. See [Decomposable].
func (s *ORSet[E]) TrackedBy(by *Tracker[*ORSet[E]]) bool { return s.track.base().goTo(by.target()) }
