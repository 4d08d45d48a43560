package store_test

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/internal/large"
)

// anythingIsLarge has small values take the ways of large ones.
func anythingIsLarge(t *testing.T) {
	parts, seen := large.Parts, large.Seen
	t.Cleanup(func() { large.Parts, large.Seen = parts, seen })
	large.Parts, large.Seen = 1, math.MaxInt32
}

func told(t tester, s *store.Store, key string) []byte {
	t.Helper()
	s.Index()
	b, err := s.Seen(t.Context(), key)
	require.NoError(t, err)
	return b
}

func loadSince(t tester, s *store.Store, key string, seen []byte) []byte {
	t.Helper()
	b, err := s.LoadSince(t.Context(), key, seen)
	require.NoError(t, err)
	return b
}

func change[P crdt.State[P]](t tester, s *store.Store, key string, f func(v P, by store.Writer) P) []byte {
	t.Helper()
	delta, err := sent(store.Update(s, key, f))
	require.NoError(t, err)
	return delta
}

// changes is a change of each kind.
var changes = []func(t *rapid.T, s *store.Store, key, e string) []byte{
	func(t *rapid.T, s *store.Store, key, e string) []byte { return add(t, s, key, 3) },
	func(t *rapid.T, s *store.Store, key, e string) []byte { return add(t, s, key, -1) },
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.GCounter, by store.Writer) *crdt.GCounter { return c.Add(by.Replica, 2) })
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.BoundedCounter, by store.Writer) *crdt.BoundedCounter {
			return c.Increment(by.Replica, 2)
		})
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.MaxRegister[int64], _ store.Writer) *crdt.MaxRegister[int64] { return c.Set(int64(len(e))) })
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte { return assign(t, s, key, e) },
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.MVRegister[string], by store.Writer) *crdt.MVRegister[string] {
			return c.Set(by.Replica, e)
		})
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.GSet[string], _ store.Writer) *crdt.GSet[string] { return c.Add(e) })
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.TwoPhaseSet[string], _ store.Writer) *crdt.TwoPhaseSet[string] { return c.Add(e) })
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte { return insert(t, s, key, e) },
	func(t *rapid.T, s *store.Store, key, e string) []byte { return insert(t, s, key, e, e+e) },
	func(t *rapid.T, s *store.Store, key, e string) []byte { return erase(t, s, key, e) },
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.RWSet[string], by store.Writer) *crdt.RWSet[string] { return c.Add(by.Replica, e) })
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.RWSet[string], by store.Writer) *crdt.RWSet[string] { return c.Remove(by.Replica, e) })
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.LWWSet[string], by store.Writer) *crdt.LWWSet[string] { return c.Add(by.Stamp(), e) })
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.EWFlag, by store.Writer) *crdt.EWFlag { return c.Enable(by.Replica) })
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.DWFlag, by store.Writer) *crdt.DWFlag { return c.Disable(by.Replica) })
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.LWWMap[string, string], by store.Writer) *crdt.LWWMap[string, string] {
			return c.Set(by.Stamp(), e, e)
		})
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.Log[string], by store.Writer) *crdt.Log[string] { return c.Append(by.Stamp(), e) })
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.ORMap[string], by store.Writer) *crdt.ORMap[string] {
			return c.Map("m").Set(e).Add(by.Replica, e)
		})
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.ORMap[string], by store.Writer) *crdt.ORMap[string] {
			return c.Counter(e).Add(by.Replica, 1)
		})
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		return change(t, s, key, func(c *crdt.ORMap[string], by store.Writer) *crdt.ORMap[string] { return c.Remove("m") })
	},
	func(t *rapid.T, s *store.Store, key, e string) []byte {
		delta, _ := sent(s.Delete(key)) // or it is refused
		return delta
	},
}

// A lacking is a cluster in which stores tell one another what they lack.
type lacking struct {
	*collecting
	shorter, nothing, lifted int // how often
}

func (l *lacking) change(*rapid.T) {
	s, key := l.stores[l.any()], l.key()
	i := rapid.IntRange(0, len(changes)-1).Draw(l.t, "change")
	l.send(key, changes[i](l.t, s, key, rapid.SampledFrom([]string{"x", "yy"}).Draw(l.t, "element")))
}

// twin is a store that holds the same under one key, and knows the same records.
func (l *lacking) twin(s *store.Store, key string) *store.Store {
	l.n++
	walk := l.open(fmt.Sprint("walk", l.n), "", 1<<20)
	all, _ := l.stores[0].Since(walk.Generation(), 1<<30)
	known, ok := s.Since(walk.Generation(), 1<<30)
	for !ok {
		require.NoError(l.t, walk.Settle(l.t.Context(), all[0]))
		known, ok = s.Since(walk.Generation(), 1<<30)
		all = all[1:]
	}
	twin := l.open(fmt.Sprint("twin", l.n), walk.Generation(), 1<<20)
	for _, r := range known {
		require.NoError(l.t, twin.Settle(l.t.Context(), r))
	}
	merge(l.t, twin, key, load(l.t, s, key))
	return twin
}

// lack has one store take what it lacks of a key of another, which may be on its way while the one goes on, and
// compares it with a twin that takes all.
func (l *lacking) lack(*rapid.T) {
	to, from, key := l.stores[l.any()], l.stores[l.any()], l.key()
	digest, before := told(l.t, to, key), to.Generation()
	since, whole := loadSince(l.t, from, key, digest), load(l.t, from, key)
	if len(digest) > 0 && len(since) < len(whole) {
		l.shorter++
	}
	if len(since) == 0 && len(whole) > 0 {
		l.nothing++
	}
	require.Empty(l.t, merge(l.t, from, key, since), "it is more than there is")
	if rapid.Bool().Draw(l.t, "later") {
		l.collect(l.t)
		if !l.align(to) {
			return // it was emptied, so what it lacked is not what it lacks
		}
		if to.Generation() != before {
			l.lifted++
		}
		l.change(l.t)
	}
	other := l.twin(to, key)
	_, failed := other.Merge(l.t.Context(), key, whole)
	_, err := to.Merge(l.t.Context(), key, since)
	if failed == nil || len(since) > 0 {
		require.Equal(l.t, failed == nil, err == nil, "%v, %v", failed, err)
	}
	if failed == nil {
		require.Equal(l.t, load(l.t, other, key), load(l.t, to, key))
	}
	if a, b := load(l.t, to, key), load(l.t, from, key); string(a) == string(b) {
		if digest = told(l.t, to, key); len(digest) > 0 {
			require.Empty(l.t, loadSince(l.t, from, key, digest), "nothing lacks")
		}
	}
}

// What a store lacks is as good as all there is: of all types, whatever came of them, and also where a store has settled
// more records in between, or learned more.
func TestWhatLacksIsAsGoodAsAllThereIs(t *testing.T) {
	anythingIsLarge(t)
	var shorter, nothing, lifted int
	rapid.Check(t, func(t *rapid.T) {
		l := &lacking{collecting: newCollecting(t, 3, 1, 1<<20)}
		l.resets = true
		actions := l.actions()
		delete(actions, "delete") // it is among the changes: of these types some only grow
		for i := range 3 {
			actions[fmt.Sprint("change ", i)], actions[fmt.Sprint("lack ", i)] = l.change, l.lack
		}
		t.Repeat(actions)
		shorter, nothing, lifted = shorter+l.shorter, nothing+l.nothing, lifted+l.lifted
	})
	t.Logf("shorter %d, nothing %d, over a record %d", shorter, nothing, lifted)
	if testing.Short() {
		return // there are too few of them
	}
	require.NotZero(t, shorter)
	require.NotZero(t, nothing)
	require.NotZero(t, lifted)
}

// hundredThousand are two stores with the same large set.
func hundredThousand(t tester) (a, b *store.Store) {
	a, b = named("a"), named("b")
	elements := make([]string, 100_000)
	for i := range elements {
		elements[i] = "element " + strconv.Itoa(i)
	}
	merge(t, b, "k", insert(t, a, "k", elements...))
	a.Index()
	b.Index()
	return a, b
}

func TestOneElementOfManyIsLoadedAlone(t *testing.T) {
	a, b := hundredThousand(t)
	require.Empty(t, loadSince(t, a, "k", told(t, b, "k")))
	insert(t, a, "k", "one more")
	since := loadSince(t, a, "k", told(t, b, "k"))
	t.Logf("seen %d bytes, lacks %d, all %d", len(told(t, b, "k")), len(since), len(load(t, a, "k")))
	require.Less(t, len(told(t, b, "k"))+len(since), 300)
	require.Empty(t, loadSince(t, b, "k", told(t, a, "k")), "the other lacks nothing")
	merge(t, b, "k", since)
	require.Equal(t, load(t, a, "k"), load(t, b, "k"))
}

// What was removed long ago, and both know of, is not told of again.
func TestWhatBothHaveForgottenIsNotLoaded(t *testing.T) {
	a, b := hundredThousand(t)
	for i := 0; i < 100_000; i += 10 {
		merge(t, b, "k", erase(t, a, "k", "element "+strconv.Itoa(i)))
	}
	insert(t, a, "k", "one more")
	require.Less(t, len(loadSince(t, a, "k", told(t, b, "k"))), 300)
	require.Empty(t, loadSince(t, b, "k", told(t, a, "k")))
}

func TestSeenIsNothingWhereItIsNotWorthIt(t *testing.T) {
	s := named("s")
	require.Empty(t, told(t, s, "none"))
	insert(t, s, "small", "a few", "elements")
	require.Empty(t, told(t, s, "small"))
	var many []string
	for i := range 1000 {
		many = append(many, strconv.Itoa(i))
	}
	change(t, s, "without events", func(v *crdt.GSet[string], _ store.Writer) *crdt.GSet[string] { return v.Add(many...) })
	add(t, s, "without events", 1)
	require.Empty(t, told(t, s, "without events"))
	insert(t, s, "gone", many...)
	require.NotEmpty(t, told(t, s, "gone"))
	remove(t, s, "gone")
	require.Empty(t, told(t, s, "gone"), "what is left is short")
	for i := range 100 { // each element by a writer of its own, so events are as long as elements
		merge(t, s, "of many", insert(t, named("writer "+strconv.Itoa(i)), "of many", strconv.Itoa(i)))
	}
	require.Empty(t, told(t, s, "of many"))
}

func TestSeenOfAnotherFormOrGenerationHasAllLoaded(t *testing.T) {
	a, b := hundredThousand(t)
	insert(t, a, "k", "one more")
	whole := load(t, a, "k")
	require.Equal(t, whole, loadSince(t, a, "k", nil))
	require.Equal(t, whole, loadSince(t, a, "k", []byte{0x91, 2}), "of a later form")
	digest := told(t, b, "k")
	merge(t, a, "other", insert(t, b, "other", "x"))
	remove(t, a, "other")
	merge(t, b, "other", load(t, a, "other"))
	collect(t, a, b)
	require.Equal(t, load(t, a, "k"), loadSince(t, a, "k", digest), "of an earlier generation")
	require.Less(t, len(loadSince(t, a, "k", told(t, b, "k"))), 300)
}

func TestSeenThatIsBrokenIsRefused(t *testing.T) {
	a, b := hundredThousand(t)
	digest := told(t, a, "k")
	for i := range len(digest) - 1 {
		_, err := b.LoadSince(t.Context(), "k", digest[:i+1])
		require.ErrorAs(t, err, new(*crdt.CorruptError), "%x", digest[:i+1])
	}
	for _, bad := range [][]byte{append(digest, 0), {0x95, 1, 0, 0, 0, 0xc4, 0}, {0x95, 1, 1, 7, 0, 0xc4, 0}, {0x94, 1, 1, 0, 0}} {
		_, err := b.LoadSince(t.Context(), "k", bad)
		require.ErrorAs(t, err, new(*crdt.CorruptError), "%x", bad)
	}
	_, err := b.LoadSince(t.Context(), "none", []byte{1})
	require.Error(t, err)
	require.Empty(t, loadSince(t, b, "none", digest))
	claim := []byte{0x95, 1, 1, 0, 0, 0xc6, 0x40, 0, 0, 0}
	require.Less(t, allocated(func() { _, _ = b.LoadSince(t.Context(), "k", claim) }), uint64(1<<16))
}

func TestSeenOfAContextThatEnded(t *testing.T) {
	s := named("s")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Seen(ctx, "k")
	require.Equal(t, context.Canceled, err)
	_, err = s.LoadSince(ctx, "k", []byte{1})
	require.Equal(t, context.Canceled, err)
}

// FuzzLoadSince gives a store bytes that claim to be what another has seen.
func FuzzLoadSince(f *testing.F) {
	s := named("s")
	for i := range 200 {
		insert(f, s, "k", strconv.Itoa(i))
		add(f, s, "k", 1)
	}
	erase(f, s, "k", "7")
	whole := load(f, s, "k")
	f.Add(told(f, s, "k"))
	f.Add([]byte{0x95, 1, 1, 0, 0, 0xc4, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		since, err := s.LoadSince(t.Context(), "k", b)
		if err != nil {
			return
		}
		require.Equal(t, whole, load(t, s, "k"))
		require.Empty(t, merge(t, s, "k", since), "it claims no more than there is")
		require.LessOrEqual(t, len(since), 2*len(whole))
	})
}
