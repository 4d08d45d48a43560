package crdt

import (
	"cmp"
	"iter"

	"github.com/eventual-go/eventual/vclock"
)

// LWWMap holds a value for each key. Of concurrent writes to one key, removals included, the one with the latest
// timestamp stays and the others are lost, on all replicas alike; writes to different keys do not meet.
//
// The order is total: by timestamp; then a removal before a value; then by value, in canonical order; and a reset
// after the value that it took away. So replicas agree even where two writes have one timestamp. A write comes
// after everything that its replica has seen of the key, also if the clock is behind, see [LWWMap.Set].
//
// The zero LWWMap is empty and ready to use. It may be read by several goroutines, but not while one changes it;
// copy it by Clone. Operations cost what they cost on a map, and merging costs O(size of the argument): give Merge
// the delta. That of a write to one key is one piece of memory. A removed key stays as its timestamp. Values are kept
// as they are given: do not change what a slice or pointer in V refers to. See the package documentation for the types
// that can be encoded, of which a key must be one that can be an element; others work in memory, where two values with
// one timestamp are not ordered.
//
// It is a map of LWW-Registers (Shapiro et al. 2011, section 3.2.1), meant for the stamps of a [vclock.HLC].
type LWWMap[K comparable, V any] struct {
	m      rows[K, binding[V]]
	n      int // keys that have a value
	latest vclock.Timestamp
	track  *bindingParts[K, V] // nil unless tracked
}

// binding is the last write to a key.
type binding[V any] struct {
	at    vclock.Timestamp
	tie   bindingState
	value V // zero unless bound
}

// bindingState orders what has one timestamp.
type bindingState uint8

const (
	bindingRemoved bindingState = iota
	bindingSet                  // has a value
	bindingReset                // had a value, which was reset
	bindingStates
)

func (b *binding[V]) compare(o *binding[V]) int {
	if c := cmp.Or(b.at.Compare(o.at), cmp.Compare(b.tie, o.tie)); c != 0 || b.tie != bindingSet {
		return c
	}
	c, err := codecOf[V]()
	if err != nil {
		return 0
	}
	return c.compare(b.value, o.value)
}

// Set writes v under k and returns the delta. If ts does not come after the present timestamp of the key, the
// write gets the next one after that, with the replica of ts: a write wins over what it saw. Let the clock observe
// the timestamps of others, see [LWWMap.Latest], and that remains the exception. After the end of time, which is
// the greatest timestamp, there is no next one: nothing is written, and the delta is empty.
func (m *LWWMap[K, V]) Set(ts vclock.Timestamp, k K, v V) (delta *LWWMap[K, V]) {
	return m.write(ts, k, binding[V]{tie: bindingSet, value: v})
}

// Remove takes the keys out and returns the delta. It is a write to each as [LWWMap.Set] is, also where a key is not
// known: whatever was set before its timestamp stays away, wherever that is now. Keys that were written at the end of
// time stay, and are not in the delta.
func (m *LWWMap[K, V]) Remove(ts vclock.Timestamp, keys ...K) (delta *LWWMap[K, V]) {
	if len(keys) == 1 {
		return m.write(ts, keys[0], binding[V]{})
	}
	delta = new(LWWMap[K, V])
	for _, k := range keys {
		if _, twice := delta.m.get(k); twice {
			continue
		}
		if at, ok := m.after(k, ts); ok {
			delta.join(k, binding[V]{at: at})
			m.join(k, binding[V]{at: at})
		}
	}
	return delta
}

// after returns ts, or the first moment after the last write to k, and whether there is one.
func (m *LWWMap[K, V]) after(k K, ts vclock.Timestamp) (at vclock.Timestamp, ok bool) {
	last, known := m.m.get(k)
	if known && ts.Compare(last.at) <= 0 {
		ts = successor(last.at, ts.Replica)
	}
	return ts, !known || ts.Compare(last.at) > 0
}

// write joins a write and returns it by itself, in one piece of memory.
func (m *LWWMap[K, V]) write(ts vclock.Timestamp, k K, b binding[V]) (delta *LWWMap[K, V]) {
	at, ok := m.after(k, ts)
	if !ok {
		return new(LWWMap[K, V])
	}
	b.at = at
	alone := &struct {
		LWWMap[K, V]
		row row[K, binding[V]]
	}{row: row[K, binding[V]]{k, b}}
	alone.m.one = &alone.row
	alone.count(&binding[V]{}, &b)
	m.join(k, b)
	return &alone.LWWMap
}

// join takes in a write, and reports whether it is the last one now.
func (m *LWWMap[K, V]) join(k K, b binding[V]) bool {
	mine, known := m.m.get(k)
	if known && mine.compare(&b) >= 0 {
		return false
	}
	m.m.put(k, b)
	if m.track != nil {
		if known {
			m.track.bound(k, &mine, -1)
		}
		m.track.bound(k, &b, 1)
	}
	m.count(&mine, &b)
	return true
}

// count takes account of a write that takes the place of another.
func (m *LWWMap[K, V]) count(was, is *binding[V]) {
	if was.tie == bindingSet {
		m.n--
	}
	if is.tie == bindingSet {
		m.n++
	}
	if is.at.Compare(m.latest) > 0 {
		m.latest = is.at
	}
}

// Reset takes away the values that are known here, and returns the delta: any later write wins over it. Each key
// keeps the timestamp of its value.
func (m *LWWMap[K, V]) Reset() (delta *LWWMap[K, V]) {
	delta = new(LWWMap[K, V])
	for k, b := range m.m.all() {
		if b.tie == bindingSet {
			delta.join(k, binding[V]{at: b.at, tie: bindingReset})
		}
	}
	m.Merge(delta)
	return delta
}

// Value returns the value under k, and whether there is one.
func (m *LWWMap[K, V]) Value(k K) (v V, ok bool) {
	b, _ := m.bindings().get(k)
	return b.value, b.tie == bindingSet
}

// Timestamp returns when k was last written, or removed; the zero Timestamp if never.
func (m *LWWMap[K, V]) Timestamp(k K) vclock.Timestamp {
	b, _ := m.bindings().get(k)
	return b.at
}

// Len is the number of keys that have a value.
func (m *LWWMap[K, V]) Len() int {
	if m == nil {
		return 0
	}
	return m.n
}

// Empty reports whether no key has a value.
func (m *LWWMap[K, V]) Empty() bool { return m.Len() == 0 }

// All yields the keys that have a value, and the values, in no particular order. The map must not change meanwhile.
func (m *LWWMap[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for k, b := range m.bindings().all() {
			if b.tie == bindingSet && !yield(k, b.value) {
				return
			}
		}
	}
}

// Latest returns the latest timestamp in the map, for the clock to observe.
func (m *LWWMap[K, V]) Latest() vclock.Timestamp {
	if m == nil {
		return vclock.Timestamp{}
	}
	return m.latest
}

func (m *LWWMap[K, V]) bindings() (all rows[K, binding[V]]) {
	if m != nil {
		all = m.m
	}
	return all
}

// Explain tells why k has a value, or none: by the timestamp of its last write.
func (m *LWWMap[K, V]) Explain(k K) (e Explanation) {
	switch b, _ := m.bindings().get(k); b.tie {
	case bindingSet:
		e.Present, e.ForAt = true, b.at
	case bindingReset:
		e.ForAt, e.AgainstAt = b.at, b.at
	default:
		e.AgainstAt = b.at
	}
	return e
}

// Merge takes in what o knows. See [Lattice].
func (m *LWWMap[K, V]) Merge(o *LWWMap[K, V]) (changed bool) {
	for k, b := range o.bindings().all() {
		changed = m.join(k, b) || changed
	}
	return changed
}

// MergeNovel merges o and returns the writes in it that won. See [Delta].
func (m *LWWMap[K, V]) MergeNovel(o *LWWMap[K, V]) (novel *LWWMap[K, V], changed bool) {
	novel = new(LWWMap[K, V])
	for k, b := range o.bindings().all() {
		if m.join(k, b) {
			novel.join(k, b)
		}
	}
	return novel, novel.m.len() > 0
}

// Context returns an empty context: writes are told apart by their timestamps, and are no events that could be
// counted.
func (m *LWWMap[K, V]) Context() *vclock.Context { return new(vclock.Context) }

// Delta returns all of the map, since a context says nothing about its writes.
func (m *LWWMap[K, V]) Delta(*vclock.Context) *LWWMap[K, V] { return m.Clone() }

// Clone returns a map of its own with the same state.
func (m *LWWMap[K, V]) Clone() *LWWMap[K, V] {
	if m == nil {
		return new(LWWMap[K, V])
	}
	return &LWWMap[K, V]{m: m.m.clone(), n: m.n, latest: m.latest}
}
