package crdt

import (
	"cmp"
	"iter"
	"math"
	"math/bits"
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// CounterField is a counter in an [ORMap]. All additions count but those that a removal has seen.
type CounterField[K comparable] struct{ at orPlace[K] }

// Add counts n more, or less if n is negative, on behalf of replica r and returns the delta, which is empty if n
// is 0 or r is zero. Only one writer may use r at a time, and r must never be used again by one who has forgotten
// events of r.
func (c CounterField[K]) Add(r vclock.ReplicaID, n int64) (delta *ORMap[K]) {
	if n == 0 {
		return new(ORMap[K])
	}
	return c.at.write(r, orEntry[K]{n: n}, nil)
}

// Value is the sum of what was added and not removed. It stops at the ends of int64 instead of wrapping round. It
// takes O(n) for n additions that are not folded.
func (c CounterField[K]) Value() int64 { return c.at.node().sum() }

// sum adds up the entries of a counter in 128 bits.
func (n *orNode[K]) sum() int64 {
	var hi int64
	var lo, carry uint64
	for e := n.first(""); e != nil; e = e.next {
		lo, carry = bits.Add64(lo, uint64(e.n), 0)
		hi += e.n>>63 + int64(carry)
	}
	switch {
	case hi == int64(lo)>>63:
		return int64(lo)
	case hi < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// Empty reports whether nothing was added, or all of it was removed; then there is no such counter. One that went
// up and down again is 0 and not empty.
func (c CounterField[K]) Empty() bool { return c.at.node() == nil }

// Reset takes away what was added as far as it is known here, and returns the delta.
func (c CounterField[K]) Reset() (delta *ORMap[K]) { return c.at.reset() }

// SetField is a set of strings in an [ORMap]. An addition wins over a removal that has not seen it.
type SetField[K comparable] struct{ at orPlace[K] }

// Add puts the elements in on behalf of replica r and returns the delta. For r see [CounterField.Add].
func (s SetField[K]) Add(r vclock.ReplicaID, elems ...string) (delta *ORMap[K]) {
	var killed grave
	delta = new(ORMap[K])
	there := SetField[K]{orPlace[K]{delta, s.at.path, FieldSet}}
	for _, elem := range elems {
		if !there.Has(elem) {
			s.at.writeTo(delta, r, orEntry[K]{text: elem}, s.at.node().first(elem), &killed)
		}
	}
	killed.into(&delta.seen)
	return delta
}

// Remove takes the elements out as far as their additions are known here, and returns the delta.
func (s SetField[K]) Remove(elems ...string) (delta *ORMap[K]) {
	var killed grave
	for _, elem := range elems {
		walkChain(s.at.node().first(elem), func(e *orEntry[K]) { s.at.m.kill(e, &killed) })
	}
	return named[K](killed)
}

// Has reports whether elem is in.
func (s SetField[K]) Has(elem string) bool { return s.at.node().first(elem) != nil }

// Len is the number of elements.
func (s SetField[K]) Len() int {
	if n := s.at.node(); n != nil {
		return n.elems.len()
	}
	return 0
}

// All yields the elements in no particular order. The map must not change meanwhile.
func (s SetField[K]) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		n := s.at.node()
		if n == nil {
			return
		}
		for elem := range n.elems.all() {
			if !yield(elem) {
				return
			}
		}
	}
}

// Empty reports whether there are no elements; then there is no such set.
func (s SetField[K]) Empty() bool { return s.at.node() == nil }

// Reset takes out all elements that are known here, and returns the delta.
func (s SetField[K]) Reset() (delta *ORMap[K]) { return s.at.reset() }

// LWWField is a register in an [ORMap]. Of concurrent writes it shows the one with the latest timestamp, and of
// equal timestamps the greater value. The others are kept, unseen, until a write or a removal that knows of them
// takes them away: if the latest is removed by one who knew only of that, the next is shown.
type LWWField[K comparable] struct{ at orPlace[K] }

// Set writes v on behalf of replica r over all that is known here, and returns the delta. If ts does not come
// after the present timestamp, the write gets the next one after that, as in [LWWRegister.Set]. For r see
// [CounterField.Add].
func (l LWWField[K]) Set(r vclock.ReplicaID, ts vclock.Timestamp, v string) (delta *ORMap[K]) {
	if last := l.at.node().latest(); last != nil && ts.Compare(last.more.time) <= 0 {
		ts = successor(last.more.time, ts.Replica)
	}
	return l.at.write(r, orEntry[K]{text: v, more: &orMore{time: ts}}, l.at.node().first(""))
}

// latest returns the entry that a register shows, or nil.
func (n *orNode[K]) latest() (last *orEntry[K]) {
	for e := n.first(""); e != nil; e = e.next {
		if last == nil || cmp.Or(e.more.time.Compare(last.more.time), cmp.Compare(e.text, last.text)) > 0 {
			last = e
		}
	}
	return last
}

// Value returns the value, and whether there is one.
func (l LWWField[K]) Value() (v string, ok bool) {
	if last := l.at.node().latest(); last != nil {
		return last.text, true
	}
	return "", false
}

// Timestamp returns when the value was written, the zero Timestamp if there is none.
func (l LWWField[K]) Timestamp() vclock.Timestamp {
	if last := l.at.node().latest(); last != nil {
		return last.more.time
	}
	return vclock.Timestamp{}
}

// Empty reports whether there is no value; then there is no such register.
func (l LWWField[K]) Empty() bool { return l.at.node() == nil }

// Reset takes away the writes that are known here, and returns the delta. Other than with [LWWRegister.Reset] a
// write that this one has not seen stays, whatever its timestamp.
func (l LWWField[K]) Reset() (delta *ORMap[K]) { return l.at.reset() }

// MVField is a register in an [ORMap] that holds the values of all writes that were not overwritten, as [MVRegister]
// does.
type MVField[K comparable] struct{ at orPlace[K] }

// Set writes v on behalf of replica r over all values that are known here, and returns the delta. For r see
// [CounterField.Add].
func (v MVField[K]) Set(r vclock.ReplicaID, value string) (delta *ORMap[K]) {
	return v.at.write(r, orEntry[K]{text: value}, v.at.node().first(""))
}

// Put writes value on behalf of replica r over exactly the values that since has seen, and returns the delta. Give it
// the [MVField.Context] that came with the values which the writer read, on whatever replica: values that were written
// since then remain as siblings, and those that the writer read elsewhere are overwritten also if they arrive only
// later. (What these had overwritten in their turn goes when that is known here.) With a nil context nothing is
// overwritten. For r see [CounterField.Add].
//
// since must be authentic, and that of this register: [ORMap.Context] speaks of other fields too, and what it claims
// of those to come would be lost. What lives here in another field is never taken away. If since has any of that, it
// is no register's, and overwrites only what lives here. Events of r that this map has not numbered are left out of it.
func (v MVField[K]) Put(r vclock.ReplicaID, since *vclock.Context, value string) (delta *ORMap[K]) {
	m, delta := v.at.m, new(ORMap[K])
	next := v.at.next(r)
	if next.IsZero() {
		return delta
	}
	n := v.at.node()
	saw := m.overwritten(n, since, next)
	var killed grave
	walkChain(n.first(""), func(e *orEntry[K]) {
		if saw.Has(e.dot) {
			m.kill(e, &killed)
		}
	})
	m.seeAll(saw.Diff(&m.seen))
	delta.seen = *saw
	v.at.writeTo(delta, r, orEntry[K]{text: value}, nil, &killed)
	return delta
}

// overwritten returns what of since a write by d overwrites in the register n.
func (m *ORMap[K]) overwritten(n *orNode[K], since *vclock.Context, d vclock.Dot) *vclock.Context {
	all, here, foreign := new(vclock.Context), new(vclock.Context), false
	for s := range since.All() {
		if s.Replica == d.Replica {
			s.Hi = min(s.Hi, d.Seq-1)
		}
		all.AddSpan(s) // ignored if nothing is left of it
		for seq, e := range m.live.in(s) {
			if e.at == n {
				here.Add(vclock.Dot{Replica: s.Replica, Seq: seq})
			} else {
				foreign = true
			}
		}
	}
	if foreign {
		return here
	}
	return all
}

// Context returns the events that wrote the values, for [MVField.Put].
func (v MVField[K]) Context() *vclock.Context {
	var dots grave
	walkChain(v.at.node().first(""), func(e *orEntry[K]) { dots = append(dots, e.dot) })
	seen := new(vclock.Context)
	dots.into(seen)
	return seen
}

// Values returns the values in order, nil if there are none. Equal ones, written concurrently, are all there.
func (v MVField[K]) Values() []string { return v.at.node().texts() }

func (n *orNode[K]) texts() (texts []string) {
	for e := n.first(""); e != nil; e = e.next {
		texts = append(texts, e.text)
	}
	slices.Sort(texts)
	return texts
}

// Empty reports whether there are no values; then there is no such register.
func (v MVField[K]) Empty() bool { return v.at.node() == nil }

// Reset takes away the values that are known here, and returns the delta.
func (v MVField[K]) Reset() (delta *ORMap[K]) { return v.at.reset() }

// FlagField is a flag in an [ORMap]. Enabling it wins over disabling it at the same time.
type FlagField[K comparable] struct{ at orPlace[K] }

// Enable raises the flag on behalf of replica r and returns the delta. For r see [CounterField.Add].
func (f FlagField[K]) Enable(r vclock.ReplicaID) (delta *ORMap[K]) {
	return f.at.write(r, orEntry[K]{}, f.at.node().first(""))
}

// Disable lowers the flag as far as it is known here to be up, and returns the delta. Then there is no such flag.
func (f FlagField[K]) Disable() (delta *ORMap[K]) { return f.at.reset() }

// Enabled reports whether the flag is up.
func (f FlagField[K]) Enabled() bool { return f.at.node() != nil }
