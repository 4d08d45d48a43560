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
	seen vclock.Context // every dot seen, those of the live included
	live dotStore[E]
}

// Add puts the elements in on behalf of replica r and returns the delta. Each addition is an event of its own
// that survives the removals which have not seen it, so adding an element again is news. Only one writer may
// use r at a time, and r must never be used again by one who has forgotten events of r. If r is zero, or has
// no sequence numbers left, nothing is added.
func (s *ORSet[E]) Add(r vclock.ReplicaID, elems ...E) (delta *ORSet[E]) {
	delta = new(ORSet[E])
	for _, e := range elems {
		if delta.Has(e) {
			continue
		}
		d := s.seen.Next(r)
		if d.IsZero() {
			break
		}
		s.kill(e, &delta.seen)
		s.mint(e, d)
		delta.mint(e, d)
	}
	return delta
}

func (s *ORSet[E]) mint(e E, d vclock.Dot) {
	s.seen.Add(d)
	s.live.insert(e, d)
}

// kill ends the life of all dots of e, and adds them to killed.
func (s *ORSet[E]) kill(e E, killed *vclock.Context) {
	for i, ok := s.live.lookup(e); ok; i, ok = s.live.lookup(e) {
		killed.Add(s.live.dot(i))
		s.live.drop(i)
	}
}

// Remove takes the elements out as far as their additions are known here, and returns the delta, which names
// only the additions taken away. It is empty if there are none.
func (s *ORSet[E]) Remove(elems ...E) (delta *ORSet[E]) {
	delta = new(ORSet[E])
	for _, e := range elems {
		s.kill(e, &delta.seen)
	}
	return delta
}

// Reset takes out all elements that are known here, and returns the delta.
func (s *ORSet[E]) Reset() (delta *ORSet[E]) {
	delta = new(ORSet[E])
	for _, k := range s.live.order {
		for _, chunk := range s.live.lanes[k].chunks {
			for _, i := range chunk {
				delta.seen.Add(s.live.dot(i))
			}
		}
	}
	s.live = dotStore[E]{}
	return delta
}

// Has reports whether e is in.
func (s *ORSet[E]) Has(e E) bool {
	if s == nil {
		return false
	}
	_, ok := s.live.lookup(e)
	return ok
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
		for i := range s.live.heads() {
			if !yield(s.live.slots[i].elem) {
				return
			}
		}
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
	return &ORSet[E]{seen: *s.seen.Clone(), live: s.live.clone()}
}
