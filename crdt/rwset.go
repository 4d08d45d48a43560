package crdt

import (
	"iter"

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
// removed costs as much as what is in, until it is added again or reset, also where deleted keys are forgotten
// ([Value.Spent]). Choose [ORSet], which forgets the removed, unless a removal must not be undone by someone who had not
// heard of it: access lists, bans, withdrawals.
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
	past[E] // every dot seen, those of the live included
	added   dotStore[E]
	removed dotStore[E]
	both    int // elements that were added and removed
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
		if delta.side(removal).has(e) {
			continue
		}
		d := s.seen.Next(r)
		if d.IsZero() {
			break
		}
		s.kill(e, &killed)
		for _, set := range [...]*RWSet[E]{s, delta} {
			set.mint(d, d.Seq)
			set.insert(removal, e, d)
		}
	}
	killed.into(&delta.seen)
	s.added.trim()
	s.removed.trim()
	return delta
}

// insert puts a removal or an addition of e into force.
func (s *RWSet[E]) insert(removal bool, e E, d vclock.Dot) {
	side := s.side(removal)
	n := side.n
	side.insert(e, d)
	s.count(e, s.side(!removal), side.n-n)
}

// side returns the removals or the additions.
func (s *RWSet[E]) side(removal bool) *dotStore[E] {
	if removal {
		return &s.removed
	}
	return &s.added
}

// kill ends the life of all dots of e, and adds them to killed.
func (s *RWSet[E]) kill(e E, killed *grave) {
	if s.added.has(e) && s.removed.has(e) {
		s.both--
	}
	for _, side := range [...]*dotStore[E]{&s.added, &s.removed} {
		if hash, i, ok := side.find(e); ok {
			*killed = side.kill(hash, i, *killed)
		}
	}
}

// Reset forgets all additions and removals that are known here, and returns the delta. It mints no event and is no
// removal: additions, and removals, that it has not seen stand.
func (s *RWSet[E]) Reset() (delta *RWSet[E]) {
	delta = new(RWSet[E])
	delta.seen = *s.living()
	s.added.clear()
	s.removed.clear()
	s.both = 0
	return delta
}

// living returns the context of the live dots.
func (s *RWSet[E]) living() *vclock.Context {
	c := s.added.living()
	c.Merge(s.removed.living())
	return c
}

// Has reports whether e is in.
func (s *RWSet[E]) Has(e E) bool {
	return s != nil && s.added.has(e) && !s.removed.has(e)
}

// Explain names the additions and the removals of e that are in force: with any removal it is out.
func (s *RWSet[E]) Explain(e E) Explanation {
	if s == nil {
		return Explanation{}
	}
	return Explanation{
		Present: s.Has(e),
		For:     s.added.appendDots(nil, e),
		Against: s.removed.appendDots(nil, e),
	}
}

// Len is the number of elements.
func (s *RWSet[E]) Len() int {
	if s == nil {
		return 0
	}
	return s.added.n - s.both
}

// Empty reports whether there are no elements. Removals may still be in force.
func (s *RWSet[E]) Empty() bool { return s.Len() == 0 }

// lasting reports whether a removal is in force: it still wins over additions that have not seen it, and if it came back
// after it was forgotten, over those that were made since.
func (s *RWSet[E]) lasting() bool { return s.removed.n > 0 }

// All yields the elements in no particular order. The set must not change meanwhile.
func (s *RWSet[E]) All() iter.Seq[E] {
	return func(yield func(E) bool) {
		if s == nil {
			return
		}
		s.added.elements(func(e E) bool { return s.removed.has(e) || yield(e) })
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
	return &RWSet[E]{
		past:  past[E]{seen: *s.seen.Clone()},
		added: s.added.clone(), removed: s.removed.clone(), both: s.both,
	}
}

// Decompose reports the additions and removals in force, each with its element, and the context. See [Decomposable].
func (s *RWSet[E]) Decompose(report func(part []byte, n int)) error {
	all := sink{report: report}
	to := newElementParts[E](&all)
	if s == nil || to == nil {
		return all.err
	}
	to.context(&s.seen, 1)
	s.added.each(func(e E, d vclock.Dot) { to.dotted(e, d, 1) })
	s.removed.each(func(e E, d vclock.Dot) { to.gone(e, d, 1) })
	return all.err
}

// Track reports additions and removals as they come into force and end, and the context as it grows. See
// [Decomposable].
func (s *RWSet[E]) Track(by *Tracker[*RWSet[E]]) {
	s.track = newElementParts[E](by.target())
	s.added.track, s.removed.track = nil, nil
	if s.track != nil {
		s.added.track, s.removed.track = s.track.dotted, s.track.gone
	}
}

// TrackedBy reports whether by is told. See [Decomposable].
func (s *RWSet[E]) TrackedBy(by *Tracker[*RWSet[E]]) bool { return s.track.base().goTo(by.target()) }
