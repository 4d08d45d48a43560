package crdt

import (
	"iter"
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// LWWSet is a set with removal in which, for each element by itself, the last write wins: it is in or out by the
// addition or removal with the latest timestamp, on all replicas alike. Of an addition and a removal with one
// timestamp the removal wins.
//
// A write comes after everything that its replica has seen of the element, also if the clock is behind, see
// [LWWSet.Add]. But of writes that have not seen one another it is the clocks that decide: choose [ORSet] or [RWSet]
// where the outcome must not depend on them.
//
// The zero LWWSet is empty and ready to use. It may be read by several goroutines, but not while one changes it; copy
// it by Clone. All operations take O(1) map operations an element, and merging costs O(size of the argument). An
// element costs 16 bytes beside itself, and a removed one remains, as its timestamp. See the package documentation
// for the types that can be encoded; others work in memory.
//
// It is the LWW-element-Set of Shapiro et al. 2011, section 3.3.3, with the later of both timestamps in place of two,
// and biased to removal as in Baquero's "delta-enabled-crdts". It is meant for the stamps of a [vclock.HLC].
type LWWSet[E comparable] struct {
	m       rows[E, lastWrite]
	writers roster
	n       int // elements that are in
	latest  vclock.Timestamp
	track   *elementParts[E] // nil unless tracked
}

// lastWrite is the last write of one element. Its replica is a place in the roster of the set.
type lastWrite struct {
	wall    int64
	logical uint32
	who     uint32 // place in the roster · 2, + 1 for a removal
}

func (w lastWrite) removal() bool { return w.who&1 == 1 }

// roster lists the replicas that a set speaks of, so that it needs to name each only once.
type roster struct {
	ids   []vclock.ReplicaID // in order of appearance
	order []uint32           // places in ids, in order of replica
}

// place returns the place of r in ids, and gives it one if need be.
func (t *roster) place(r vclock.ReplicaID) uint32 {
	i, ok := slices.BinarySearchFunc(t.order, r, func(at uint32, r vclock.ReplicaID) int {
		return t.ids[at].Compare(r)
	})
	if !ok {
		t.ids = append(t.ids, r)
		t.order = slices.Insert(t.order, i, uint32(len(t.ids)-1))
	}
	return t.order[i]
}

// Add puts the elements in and returns the delta. Where ts does not come after the last write of an element that is
// known here, the addition gets the next timestamp after that, with the replica of ts: a write wins over what it
// saw. Let the clock observe the timestamps of others, see [LWWSet.Latest], and that remains the exception. To add
// an element again is news, since it then outlasts later removals by others. At the end of time there is no next
// timestamp: an element that was written then stays as it is, unless the replica of ts comes after that one, and is not
// in the delta.
func (s *LWWSet[E]) Add(ts vclock.Timestamp, elems ...E) (delta *LWWSet[E]) {
	return s.write(ts, elems, false)
}

// Remove takes the elements out, also those that are not in, and returns the delta: additions with earlier
// timestamps that arrive later have no effect. For ts see [LWWSet.Add].
func (s *LWWSet[E]) Remove(ts vclock.Timestamp, elems ...E) (delta *LWWSet[E]) {
	return s.write(ts, elems, true)
}

func (s *LWWSet[E]) write(ts vclock.Timestamp, elems []E, removal bool) (delta *LWWSet[E]) {
	delta = loneWriter[E](ts.Replica)
	for _, e := range elems {
		if _, ok := delta.m.get(e); ok {
			continue
		}
		at := ts
		if last, ok := s.m.get(e); ok && ts.Compare(s.at(last)) <= 0 {
			at = successor(s.at(last), ts.Replica)
		}
		if s.put(e, at, removal) {
			delta.put(e, at, removal)
		}
	}
	return delta
}

// loneWriter returns an empty set that knows of one writer already, in one piece of memory.
func loneWriter[E comparable](r vclock.ReplicaID) *LWWSet[E] {
	s := &struct {
		LWWSet[E]
		ids   [1]vclock.ReplicaID
		order [1]uint32
	}{ids: [1]vclock.ReplicaID{r}}
	s.writers = roster{s.ids[:], s.order[:]}
	return &s.LWWSet
}

// at returns the timestamp of w, a write of s.
func (s *LWWSet[E]) at(w lastWrite) vclock.Timestamp {
	return vclock.Timestamp{Wall: w.wall, Logical: w.logical, Replica: s.writers.ids[w.who>>1]}
}

// put takes in a write of e, and reports whether it is the last one.
func (s *LWWSet[E]) put(e E, at vclock.Timestamp, removal bool) (changed bool) {
	last, known := s.m.get(e)
	if known {
		c := at.Compare(s.at(last))
		if c < 0 || c == 0 && (last.removal() || !removal) {
			return false
		}
	}
	was := known && !last.removal()
	w := lastWrite{at.Wall, at.Logical, s.writers.place(at.Replica) << 1}
	if removal {
		w.who++
	}
	s.m.put(e, w)
	if s.track != nil {
		if known {
			s.track.lastWritten(e, s.at(last), last.removal(), -1)
		}
		s.track.lastWritten(e, at, removal, 1)
	}
	switch {
	case was && removal:
		s.n--
	case !was && !removal:
		s.n++
	}
	if at.Compare(s.latest) > 0 {
		s.latest = at
	}
	return true
}

// Reset takes out all elements that are known here, and returns the delta: any later addition wins over it. Each is
// removed at the timestamp of its addition.
func (s *LWWSet[E]) Reset() (delta *LWWSet[E]) {
	delta = new(LWWSet[E])
	for e, last := range s.writes().all() {
		if !last.removal() {
			delta.put(e, s.at(last), true)
		}
	}
	s.Merge(delta)
	return delta
}

// Has reports whether e is in.
func (s *LWWSet[E]) Has(e E) bool {
	last, ok := s.writes().get(e)
	return ok && !last.removal()
}

// Explain tells when e was added, if it is in, or removed, if it is out. Earlier writes are forgotten.
func (s *LWWSet[E]) Explain(e E) Explanation {
	last, ok := s.writes().get(e)
	switch {
	case !ok:
		return Explanation{}
	case last.removal():
		return Explanation{AgainstAt: s.at(last)}
	}
	return Explanation{Present: true, ForAt: s.at(last)}
}

// Len is the number of elements.
func (s *LWWSet[E]) Len() int {
	if s == nil {
		return 0
	}
	return s.n
}

// Empty reports whether there are no elements. Removals may still be remembered.
func (s *LWWSet[E]) Empty() bool { return s.Len() == 0 }

// Latest returns the latest timestamp in the set, of additions and removals, for the clock to observe.
func (s *LWWSet[E]) Latest() vclock.Timestamp {
	if s == nil {
		return vclock.Timestamp{}
	}
	return s.latest
}

// All yields the elements in no particular order. The set must not change meanwhile.
func (s *LWWSet[E]) All() iter.Seq[E] {
	return func(yield func(E) bool) {
		for e, last := range s.writes().all() {
			if !last.removal() && !yield(e) {
				return
			}
		}
	}
}

func (s *LWWSet[E]) writes() (all rows[E, lastWrite]) {
	if s != nil {
		all = s.m
	}
	return all
}

// Context returns an empty context: this set goes by time and mints no events.
func (s *LWWSet[E]) Context() *vclock.Context { return new(vclock.Context) }

// Delta returns the whole set: a context says nothing about timestamps, so no write can be ruled out.
func (s *LWWSet[E]) Delta(*vclock.Context) *LWWSet[E] { return s.Clone() }

// Merge takes in what o knows. See [Lattice].
func (s *LWWSet[E]) Merge(o *LWWSet[E]) (changed bool) {
	if s == o {
		return false
	}
	for e, last := range o.writes().all() {
		changed = s.put(e, o.at(last), last.removal()) || changed
	}
	return changed
}

// MergeNovel merges o and returns what was new in it: the writes that won. See [Delta].
func (s *LWWSet[E]) MergeNovel(o *LWWSet[E]) (novel *LWWSet[E], changed bool) {
	novel = new(LWWSet[E])
	if s == o {
		return novel, false
	}
	for e, last := range o.writes().all() {
		if at := o.at(last); s.put(e, at, last.removal()) {
			novel.put(e, at, last.removal())
		}
	}
	return novel, novel.m.len() > 0
}

// Clone returns a set of its own with the same state.
func (s *LWWSet[E]) Clone() *LWWSet[E] {
	if s == nil {
		return new(LWWSet[E])
	}
	writers := roster{slices.Clone(s.writers.ids), slices.Clone(s.writers.order)}
	return &LWWSet[E]{m: s.m.clone(), writers: writers, n: s.n, latest: s.latest}
}

// Decompose reports the last write of each element. See [Decomposable].
func (s *LWWSet[E]) Decompose(report func(part []byte, n int)) error {
	all := sink{report: report}
	to := newElementParts[E](&all)
	if to == nil {
		return all.err
	}
	for e, last := range s.writes().all() {
		to.lastWritten(e, s.at(last), last.removal(), 1)
	}
	return all.err
}

// Track reports last writes as they come and go. See [Decomposable].
func (s *LWWSet[E]) Track(by *Tracker[*LWWSet[E]]) { s.track = newElementParts[E](by.target()) }

// TrackedBy reports whether by is told. See [Decomposable].
func (s *LWWSet[E]) TrackedBy(by *Tracker[*LWWSet[E]]) bool { return s.track.base().goTo(by.target()) }

// lastWritten reports that e was added or removed last at that time.
func (p *elementParts[E]) lastWritten(e E, at vclock.Timestamp, removal bool, n int) {
	kind := uint64(partItem)
	if removal {
		kind = partGone
	}
	w := p.begin(kind)
	writeWholeTimestamp(w, at)
	p.send(w, n, p.codec.write(w, e))
}
