package crdt

import (
	"cmp"
	"iter"
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// Log is a list of entries in the order of their timestamps, to which entries are only ever added. Concurrent
// entries are all kept; on all replicas they come in one order.
//
// An entry comes after everything that its replica has seen of the log, also if the clock is behind, see
// [Log.Append]: an answer never stands before its question. What arrives late goes where its timestamp says, which
// may be far from the end, so a reader that wants to miss nothing goes by [Log.Delta] and not by time.
//
// An entry is its timestamp, its dot and its value. No two have the same timestamp, unless an identity was used by
// two writers at a time, or time has ended: then all are kept, in order of their dots and values.
//
// The zero Log is empty and ready to use. It may be read by several goroutines, but not while one changes it; copy
// it by Clone. An entry takes 24 bytes beside its value. Append takes O(log n) for n entries, and merging
// O(size of the argument * log n), wherever its entries go: give Merge the delta. Values are kept as they are
// given: do not change what a slice or pointer in T refers to. See the package documentation for the types that
// can be encoded; others work in memory.
//
// There is no Handover (see [HandoverError]). Entries stay for ever, with the replicas in their timestamps: these order
// entries of one moment, and are what readers hold on to. So a successor could take the place of departed replicas
// only where entries are numbered, and nothing would shrink for it: the numbers of a replica leave no gaps, so its
// place in the context is one run, less than a single entry of its takes.
//
// It is a grow-only set (Shapiro et al. 2011, section 3.3.1) of entries in a total order that respects
// causality (Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", 1978), meant for the
// stamps of a [vclock.HLC].
type Log[T any] struct {
	seen   vclock.Context     // the dots of all entries
	names  []vclock.ReplicaID // which entries refer to, in order of appearance
	order  []uint32           // names in order of replica
	chunks [][]logEntry[T]    // in order; none is empty
	n      int                // entries
	track  *entryParts[T]     // nil unless tracked
}

// logEntry is an entry of a log that knows its replica by name.
type logEntry[T any] struct {
	wall    int64
	seq     uint64
	logical uint32
	name    uint32
	value   T
}

// Append adds entries on behalf of the replica of ts, and returns the delta. The first gets ts, or the first
// moment after the last entry here if ts does not come after that, and each further one the moment after the one
// before. Let the clock observe the timestamps of others, see [Log.Latest], and that remains the exception. Only
// one writer may use a replica at a time, and it must never be used again by one who has forgotten entries of it.
// If ts has no replica, or that has no sequence numbers left, nothing is added. At the end of time, which has no next
// moment, entries get the last one: they are kept, but in order of replicas, and so maybe before what was seen.
func (l *Log[T]) Append(ts vclock.Timestamp, values ...T) (delta *Log[T]) {
	first := l.seen.Next(ts.Replica)
	if len(values) == 0 || first.IsZero() {
		return new(Log[T])
	}
	if last := l.Latest(); l.n > 0 && ts.Compare(last) <= 0 {
		ts = successor(last, ts.Replica)
	}
	delta = logOf[T](ts.Replica, len(values))
	next := first
	for _, v := range values {
		delta.push(logEntry[T]{wall: ts.Wall, seq: next.Seq, logical: ts.Logical, value: v})
		if next.Seq++; next.Seq == 0 {
			break
		}
		ts = successor(ts, ts.Replica)
	}
	delta.seen.AddSpan(vclock.Span{Replica: first.Replica, Lo: first.Seq, Hi: next.Seq - 1})
	l.extend(delta)
	return delta
}

// logOf returns an empty log that has a name already, and room for so many entries. With one entry it is one piece of
// memory.
func logOf[T any](r vclock.ReplicaID, entries int) *Log[T] {
	l := &struct {
		Log[T]
		names  [1]vclock.ReplicaID
		order  [1]uint32
		chunks [1][]logEntry[T]
		first  [1]logEntry[T]
	}{names: [1]vclock.ReplicaID{r}}
	l.Log.names, l.Log.order = l.names[:], l.order[:]
	if l.chunks[0] = l.first[:0]; entries > 1 {
		l.chunks[0] = make([]logEntry[T], 0, min(entries, logChunk))
	}
	l.Log.chunks = l.chunks[:]
	return &l.Log
}

// extend puts the entries of o in, of which all have one name and mostly all come after those in l.
func (l *Log[T]) extend(o *Log[T]) {
	if at := l.first(o); at.c < len(l.chunks) {
		l.absorb(o, nil)
		return
	}
	name := l.intern(o.names[0])
	for _, e := range o.placed() {
		moved := *e
		moved.name = name
		l.push(moved)
		l.track.entry(o, e, 1)
	}
	l.seen.Merge(&o.seen)
}

// intern returns the name of a replica.
func (l *Log[T]) intern(r vclock.ReplicaID) uint32 {
	i, ok := slices.BinarySearchFunc(l.order, r, func(name uint32, r vclock.ReplicaID) int {
		return l.names[name].Compare(r)
	})
	if !ok {
		l.order = slices.Insert(l.order, i, uint32(len(l.names)))
		l.names = append(l.names, r)
	}
	return l.order[i]
}

func (l *Log[T]) timestamp(e *logEntry[T]) vclock.Timestamp {
	return vclock.Timestamp{Wall: e.wall, Logical: e.logical, Replica: l.names[e.name]}
}

func (l *Log[T]) dot(e *logEntry[T]) vclock.Dot {
	return vclock.Dot{Replica: l.names[e.name], Seq: e.seq}
}

// compare tells which of two entries comes first, e of l or f of o. It is 0 only for one and the same.
func (l *Log[T]) compare(e *logEntry[T], o *Log[T], f *logEntry[T]) int {
	if c := l.compareTime(e, o.timestamp(f)); c != 0 {
		return c
	}
	if c := cmp.Compare(e.seq, f.seq); c != 0 {
		return c
	}
	c, err := codecOf[T]()
	if err != nil {
		return 0
	}
	return c.compare(e.value, f.value)
}

func (l *Log[T]) compareTime(e *logEntry[T], t vclock.Timestamp) int {
	if e.wall != t.Wall {
		return cmp.Compare(e.wall, t.Wall)
	}
	return l.timestamp(e).Compare(t)
}

// Len is the number of entries.
func (l *Log[T]) Len() int {
	if l == nil {
		return 0
	}
	return l.n
}

// Empty reports whether there are no entries.
func (l *Log[T]) Empty() bool { return l.Len() == 0 }

// Latest returns the timestamp of the last entry, for the clock to observe; the zero Timestamp if there is none.
func (l *Log[T]) Latest() vclock.Timestamp {
	if l.Empty() {
		return vclock.Timestamp{}
	}
	last := l.chunks[len(l.chunks)-1]
	return l.timestamp(&last[len(last)-1])
}

// All yields the entries in order. The log must not change meanwhile.
func (l *Log[T]) All() iter.Seq2[vclock.Timestamp, T] { return l.from(0, 0) }

// Range yields the entries from the moment from on and before the moment to, in order; without a limit if to is
// zero. It finds the first in O(log n). The log must not change meanwhile.
func (l *Log[T]) Range(from, to vclock.Timestamp) iter.Seq2[vclock.Timestamp, T] {
	return func(yield func(vclock.Timestamp, T) bool) {
		for t, v := range l.from(l.find(from, false)) {
			if !to.IsZero() && t.Compare(to) >= 0 || !yield(t, v) {
				return
			}
		}
	}
}

// Since yields the entries after the moment t, in order. It finds the first in O(log n). Entries that arrive
// later may come before t. The log must not change meanwhile.
func (l *Log[T]) Since(t vclock.Timestamp) iter.Seq2[vclock.Timestamp, T] {
	return func(yield func(vclock.Timestamp, T) bool) { l.from(l.find(t, true))(yield) }
}

// Tail yields the last n entries, in order, or all if there are fewer. The log must not change meanwhile.
func (l *Log[T]) Tail(n int) iter.Seq2[vclock.Timestamp, T] {
	return func(yield func(vclock.Timestamp, T) bool) { l.from(l.last(n))(yield) }
}

// last returns the place of the first of the last n entries.
func (l *Log[T]) last(n int) (c, p int) {
	if n >= l.Len() {
		return 0, 0
	}
	c = len(l.chunks)
	for left := n; left > 0; left -= len(l.chunks[c]) {
		c--
		p = max(0, len(l.chunks[c])-left)
	}
	return c, p
}

// from yields the entries from place p in chunk c on.
func (l *Log[T]) from(c, p int) iter.Seq2[vclock.Timestamp, T] {
	return func(yield func(vclock.Timestamp, T) bool) {
		if l.Empty() {
			return
		}
		p := p
		for _, chunk := range l.chunks[c:] {
			for i := range chunk[p:] {
				e := &chunk[p+i]
				if !yield(l.timestamp(e), e.value) {
					return
				}
			}
			p = 0
		}
	}
}

// find returns the place of the first entry that is not before t, or if past is set, of the first that is after t.
func (l *Log[T]) find(t vclock.Timestamp, past bool) (c, p int) {
	if l.Empty() {
		return 0, 0
	}
	before := func(e *logEntry[T]) bool {
		c := l.compareTime(e, t)
		return c < 0 || c == 0 && past
	}
	return l.search(0, before)
}

// search returns the place of the first entry, from chunk c on, that before does not hold for.
func (l *Log[T]) search(c int, before func(e *logEntry[T]) bool) (int, int) {
	c += firstNot(len(l.chunks)-c, func(i int) bool { chunk := l.chunks[c+i]; return before(&chunk[len(chunk)-1]) })
	if c == len(l.chunks) {
		return c, 0
	}
	return c, firstNot(len(l.chunks[c]), func(i int) bool { return before(&l.chunks[c][i]) })
}

// firstNot returns the first of n places that before does not hold for.
func firstNot(n int, before func(i int) bool) int {
	low, high := 0, n
	for low < high {
		if mid := int(uint(low+high) / 2); before(mid) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// Context returns a copy of the causal context: the dots of all entries. Those of one replica count its entries.
func (l *Log[T]) Context() *vclock.Context {
	if l == nil {
		return new(vclock.Context)
	}
	return l.seen.Clone()
}

// Delta returns the entries that are not in since: what a log with that [Log.Context] lacks. It looks back as far
// as the first of them.
func (l *Log[T]) Delta(since *vclock.Context) (delta *Log[T]) {
	delta = new(Log[T])
	if l == nil {
		return delta
	}
	missing := l.seen.Diff(since)
	left := missing.Count()
	if uint64(l.n) != l.seen.Count() && left > 0 {
		left = uint64(l.n) // a dot has several entries
	}
	var entries []*logEntry[T]
	for c := len(l.chunks) - 1; c >= 0 && left > 0; c-- {
		for p := len(l.chunks[c]) - 1; p >= 0 && left > 0; p-- {
			if e := &l.chunks[c][p]; missing.Has(l.dot(e)) {
				entries = append(entries, e)
				left--
			}
		}
	}
	names := translation[T]{to: delta, from: l}
	for _, e := range slices.Backward(entries) {
		delta.push(names.translate(e))
	}
	delta.seen = *missing
	return delta
}

// Clone returns a log of its own with the same entries.
func (l *Log[T]) Clone() *Log[T] {
	if l == nil {
		return new(Log[T])
	}
	c := &Log[T]{seen: *l.seen.Clone(), names: slices.Clone(l.names), order: slices.Clone(l.order), n: l.n}
	c.chunks = make([][]logEntry[T], len(l.chunks))
	for i := range c.chunks {
		c.chunks[i] = slices.Clone(l.chunks[i])
	}
	return c
}
