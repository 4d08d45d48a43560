package backendtest

import (
	"fmt"
	"math/rand/v2"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// What a store holds is what one in memory holds that was told the same, however often it was closed.
func testStoreReopened(r *rig) {
	for seed, cfg := range []store.Config{
		{Cache: 1}, {}, {Cache: 2000, Sync: -1}, {Sync: -1, Retain: 1},
	} {
		rnd := rand.New(rand.NewPCG(uint64(seed), 0))
		n, twin := r.node(r.place(), cfg), inMemory()
		for i := range 120 {
			if key, delta := r.anything(rnd, n.Store, fmt.Sprint(i)); len(delta) > 0 {
				r.merge(twin, key, delta)
			}
			if i%15 == 0 {
				r.equal(n.Store, twin)
				n.kept()
				r.equal(n.Store, twin)
			}
		}
		r.equal(n.Store, twin)
		require.Empty(r, n.damages())
		require.Empty(r, n.failures())
		n.close()
	}
}

// kept reopens a store, which is who it was if its place can be told.
func (n *node) kept() {
	n.r.Helper()
	before, rotated := n.Replica(), len(n.rotations())
	n.close()
	b := n.r.open(n.place)
	told := b.Place() != ""
	n.r.close(b)
	n.open()
	if told {
		require.Equal(n.r, before, n.Replica(), "it was closed, and is where it was")
		require.Len(n.r, n.rotations(), rotated)
		return
	}
	require.NotEqual(n.r, before, n.Replica(), "nobody knows whether this is the same place")
	require.Equal(n.r, store.Moved, n.rotations()[len(n.rotations())-1].Reason)
}

// anything does something with a store.
func (r *rig) anything(rnd *rand.Rand, s *store.Store, unique string) (key string, delta []byte) {
	r.Helper()
	key = string(rune('a' + rnd.IntN(5)))
	switch rnd.IntN(8) {
	case 0, 1:
		return key, r.add(s, key, unique)
	case 2:
		return key, r.count(s, key, int64(rnd.IntN(9)-4))
	case 3:
		return key, r.assign(s, key, unique)
	case 4:
		if all := r.elements(s, key); len(all) > 0 {
			return key, r.erase(s, key, all[rnd.IntN(len(all))])
		}
	case 5:
		return key, r.sent(s.Delete(key))
	case 6:
		other := inMemory()
		delta = r.add(other, key, "of another "+unique)
		r.merge(s, key, delta)
	case 7:
		var b store.Batch
		store.Put(&b, key, adding(unique))
		store.Put(&b, key+key, adding(unique))
		return key, r.sent(s.Apply(&b))
	}
	return key, delta
}

// Two stores exchange, one of which is closed and opened again after any one of the steps.
func testStoreReopenedAtEachStep(r *rig) {
	steps := []func(a, b *store.Store){
		func(a, b *store.Store) { r.add(a, "k", "one", "two") },
		func(a, b *store.Store) { r.merge(b, "k", r.load(a, "k")) },
		func(a, b *store.Store) { r.merge(a, "k", r.add(b, "k", "three")) },
		func(a, b *store.Store) { r.erase(a, "k", "one") },
		func(a, b *store.Store) { r.count(a, "n", 5) },
		func(a, b *store.Store) { r.exchange(a, b) },
		func(a, b *store.Store) { r.sent(a.Delete("n")) },
		func(a, b *store.Store) { r.count(b, "n", 3) },
		func(a, b *store.Store) { r.assign(a, "r", "x") },
		func(a, b *store.Store) { r.exchange(a, b) },
		func(a, b *store.Store) { r.add(a, "k", "four") },
		func(a, b *store.Store) { r.assign(a, "r", "y") },
		func(a, b *store.Store) { r.exchange(a, b) },
	}
	for at := range steps {
		n, peer := r.node(r.place(), store.Config{Cache: 1}), inMemory()
		for i, step := range steps {
			step(n.Store, peer)
			if i >= at {
				n.reopen()
			}
		}
		require.Equal(r, []string{"four", "three", "two"}, r.elements(n.Store, "k"))
		require.Equal(r, 3, n.Len())
		last, err := n.Decode(r.load(n.Store, "r"))
		require.NoError(r, err)
		require.Equal(r, []string{"k", "n", "r"}, collect(n.Keys("")))
		require.True(r, n.Clock().Last().Compare(last.Latest()) >= 0, "it is later than what it has written")
		r.equal(n.Store, peer)
		n.close()
	}
}

func collect(seq func(func(string) bool)) (all []string) {
	for key := range seq {
		all = append(all, key)
	}
	return all
}

// The keys of a batch survive a crash together.
func testBatches(r *rig) {
	for _, cfg := range []store.Config{{}, {Sync: -1}} {
		n := r.node(r.place(), cfg)
		written := 0
		for range 5 {
			for range 6 {
				var b store.Batch
				element := fmt.Sprint(written)
				for _, key := range []string{"x", "y", "z"} {
					store.Put(&b, key, adding(element))
				}
				r.sent(n.Apply(&b))
				written++
			}
			n.crash()
			x := r.elements(n.Store, "x")
			require.Equal(r, x, r.elements(n.Store, "y"))
			require.Equal(r, x, r.elements(n.Store, "z"))
			if cfg.Sync == 0 {
				require.Len(r, x, written)
			}
		}
		n.close()
	}
}
