package crdt

import (
	"iter"

	"github.com/eventual-go/eventual/vclock"
)

// How an ORMap is made, and why.
//
// The whole map, however deep, has one causal context, and everything in it is a dot: an increment, an element
// of a set, a write of a register. An entry is a dot with what it says and where: the keys that lead there, the
// kind of the field, for a set the element. That is the DotMap of DotMap of DotFun of Almeida, Shoker, Baquero,
// "Delta State Replicated Data Types", 2018, section 7, written down flat; the tree is only an index over the
// entries that live. So one rule merges all kinds at all depths, that of the optimized OR-Set: an entry lives if
// both sides have it, or if one has it and the other has not seen its dot.
//
//   - Removing is naming dots, at whatever depth. A removal takes away what its author saw and no more, it works
//     before what it removes has arrived, and whether the parents are there does not matter: a dot that was
//     named is in the context, and what comes later under that dot is dead on arrival.
//   - A field is there if something lives in it or under it. Nothing else is kept: what was removed leaves its
//     place in the context, which intervals make nothing in the long run. Kinds have different places, so two
//     under one key cannot meet.
//   - An index from dots to entries finds what a removal names; merging a delta takes O(size of the delta), and
//     walks over no state.
//
// The other way would be a product of self-contained types, map[K]*Value, with Reset for removal. It needs no
// new merge, but each removed key leaves a context or a baseline for ever, each nested state has its own
// context, a delta cannot say that something is gone without knowing its kind, and a removal cannot arrive
// before what it removes unless a key for it is made up.
//
// What the dots cost is counters: a sum per replica, as in PNCounter, does not know which part of it a removal
// saw. (Keeping one dot with a growing sum for each replica is the anomaly of riak's embedded counters: 5
// everywhere, one removes, one adds 3, it reads 8.) So increments stay apart, and Fold puts them together when no
// removal can come any more that saw a part of them. See there for why that is exact and why it is itself an
// event: states have one form, whoever folded what when.

// ORMap is a map from keys to fields of six kinds: counter, set, last-write-wins register, multi-value register,
// flag, and map again, to a depth of [MapDepth] keys. Removing a field takes away exactly what the remover saw in
// it, at any depth and whatever arrives in whatever order; what others write at the same time stays. A field is
// there if something is in it, and under one key there may be one of each kind, side by side.
//
//	delta := m.Counter("likes").Add(paris, 3)
//	delta = m.Map("profile").Set("tags").Add(paris, "go")
//	delta = m.Remove("profile")
//
// Counter, Set, Map and the other accessors return handles, which are cheap and make nothing: a field begins with
// the first thing written to it and ends with the last one removed. Each mutator takes part in the map as a whole
// and returns a delta of it.
//
// The zero ORMap is empty and ready to use; a nil one reads as empty. It may be read by several goroutines, but
// not while one changes it; copy it by Clone. Changes take O(depth + what they overwrite), removals O(what they
// remove), and merging O(size of the argument + what it removes), whatever the size of the receiver: give Merge
// the delta. A write costs 110 to 220 bytes while it lives, an increment of a counter too until it is folded, see
// [ORMap.Fold]. What was removed leaves nothing but its place in the context.
//
// Keys are of any comparable type; see the package documentation for those that can be encoded. What the fields hold
// is not generic: counters count int64, and elements of sets and values of registers are strings. These may hold any
// bytes, so encode other types yourself, each value in one way only.
type ORMap[K comparable] struct {
	seen vclock.Context // every dot seen, those of the living included
	live orIndex[K]     // the living by dot
	root *orNode[K]     // the living by place; nil if there never were any

	track *elementParts[K] // nil unless tracked
}

// MapDepth is how many keys may lead to a field: m.Map("a").Counter("b") has 2. Below that handles read as empty
// and write nothing. It is what the bounds of the wire form leave.
const MapDepth = 13

var formORMap = form{"ormap", 17}

func (m *ORMap[K]) top() MapField[K] { return MapField[K]{m, nil} }

// Counter returns the counter under key.
func (m *ORMap[K]) Counter(key K) CounterField[K] { return m.top().Counter(key) }

// Set returns the set under key.
func (m *ORMap[K]) Set(key K) SetField[K] { return m.top().Set(key) }

// LWWRegister returns the register of the last write under key.
func (m *ORMap[K]) LWWRegister(key K) LWWField[K] { return m.top().LWWRegister(key) }

// MVRegister returns the register of all values that nobody has overwritten, under key.
func (m *ORMap[K]) MVRegister(key K) MVField[K] { return m.top().MVRegister(key) }

// Flag returns the flag under key.
func (m *ORMap[K]) Flag(key K) FlagField[K] { return m.top().Flag(key) }

// Map returns the map under key.
func (m *ORMap[K]) Map(key K) MapField[K] { return m.top().Map(key) }

// Remove takes away what is known here under the keys, of all kinds and with all that is below, and returns the
// delta, which names just that. It mints nothing.
func (m *ORMap[K]) Remove(keys ...K) (delta *ORMap[K]) { return m.top().Remove(keys...) }

// Reset takes away everything that is known here, and returns the delta.
func (m *ORMap[K]) Reset() (delta *ORMap[K]) { return m.top().Reset() }

// Has reports whether there is anything under key.
func (m *ORMap[K]) Has(key K) bool { return m.top().Has(key) }

// Len is the number of keys.
func (m *ORMap[K]) Len() int { return m.top().Len() }

// Empty reports whether there are no keys.
func (m *ORMap[K]) Empty() bool { return m.Len() == 0 }

// All yields each key with each kind of field under it, in no particular order of keys. The map must not change
// meanwhile.
func (m *ORMap[K]) All() iter.Seq2[K, FieldKind] { return m.top().All() }

// Context returns a copy of the causal context: all events that were seen, of what is there and of what was
// removed.
func (m *ORMap[K]) Context() *vclock.Context {
	if m == nil {
		return new(vclock.Context)
	}
	return m.seen.Clone()
}

// Latest returns the latest timestamp in the last-write-wins registers, for the clock to observe. It looks at
// every entry: ask it of what arrives, whose decoding took as long.
func (m *ORMap[K]) Latest() (latest vclock.Timestamp) {
	for e := range m.entries() {
		if e.more != nil && e.more.time.Compare(latest) > 0 {
			latest = e.more.time
		}
	}
	return latest
}

// Explain tells which events keep the field that the keys lead to here, of whatever kind, and what is below it.
// Without keys it speaks of the whole map.
func (m *ORMap[K]) Explain(keys ...K) (why Explanation) {
	m.under(keys, func(e *orEntry[K]) {
		why.Present = true
		why.For = append(why.For, e.dot)
		if e.more != nil && e.more.time.Compare(why.ForAt) > 0 {
			why.ForAt = e.more.time
		}
	})
	sortDots(why.For)
	return why
}

// Clone returns a map of its own with the same state.
func (m *ORMap[K]) Clone() *ORMap[K] {
	c := new(ORMap[K])
	if m == nil {
		return c
	}
	c.seen = *m.seen.Clone()
	places := make(map[*orNode[K]]*orNode[K])
	for e := range m.entries() {
		at, ok := places[e.at]
		if !ok {
			at = c.like(e.at)
			places[e.at] = at
		}
		c.insert(at, e)
	}
	return c
}

// entries yields each living entry once, those of a replica in order of dots.
func (m *ORMap[K]) entries() iter.Seq[*orEntry[K]] {
	return func(yield func(*orEntry[K]) bool) {
		if m == nil {
			return
		}
		for _, l := range m.live.lanes.all() {
			for _, chunk := range l.chunks {
				for _, at := range chunk {
					if at.seq == at.entry.dot.Seq && !yield(at.entry) {
						return
					}
				}
			}
		}
	}
}
