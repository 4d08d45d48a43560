package merkle_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/merkle"
)

var secret = []byte("a secret of the whole cluster")

// content is what a tree should hold.
type content map[string]merkle.Fingerprint

func state(n uint64) merkle.Fingerprint { return merkle.Fingerprint{Lo: n} }

// hashers are the proper one, one where keys collide often, and one where all do.
func hashers() []*merkle.Hasher {
	return []*merkle.Hasher{
		merkle.NewHasher(secret),
		merkle.Masked(secret, 0xf00000000000000f),
		merkle.Masked(secret, 0),
		merkle.MaskedIDs(secret, 0xff00000000000000, 0xf00000000000000f),
	}
}

func (c content) tree(h *merkle.Hasher) *merkle.Tree {
	t := merkle.New(h)
	for _, key := range slices.Sorted(maps.Keys(c)) {
		t.Set(key, c[key])
	}
	return t
}

// sum is Tree.Sum, the slow way.
func (c content) sum(h *merkle.Hasher, r merkle.Range) (sum merkle.Fingerprint, count int) {
	for key, st := range c {
		if r.Contains(h.Position(key)) {
			sum, count = sum.Add(h.Element(key, st)), count+1
		}
	}
	return sum, count
}

func requireHolds(t require.TestingT, want content, tree *merkle.Tree, r merkle.Range) {
	h := tree.Hasher()
	require.Equal(t, len(want), tree.Len())
	root, _ := want.sum(h, merkle.Full)
	require.Equal(t, root, tree.Root())
	sum, count := want.sum(h, r)
	gotSum, gotCount := tree.Sum(r)
	require.Equal(t, sum, gotSum)
	require.Equal(t, count, gotCount)

	n, last, lastKey := 0, merkle.Position(0), ""
	for key, element := range tree.Range(r) {
		st, known := want[key]
		require.True(t, known)
		require.Equal(t, h.Element(key, st), element)
		pos := h.Position(key)
		require.True(t, n == 0 || last < pos || last == pos && lastKey < key, "order")
		n, last, lastKey = n+1, pos, key
	}
	require.Equal(t, count, n)
	require.True(t, tree.SketchHolds())
}

func drawRange(t *rapid.T) merkle.Range {
	a, b := rapid.Uint64().Draw(t, "from"), rapid.Uint64().Draw(t, "to")
	switch rapid.IntRange(0, 3).Draw(t, "shape") {
	case 0:
		return merkle.Full
	case 1: // a block
		low := uint64(1)<<rapid.IntRange(40, 63).Draw(t, "bits") - 1
		return merkle.Range{From: merkle.Position(a &^ low), To: merkle.Position(a | low)}
	default:
		return merkle.Range{From: merkle.Position(min(a, b)), To: merkle.Position(max(a, b))}
	}
}

// The tree is a map with sums, and a snapshot of it is a copy of the map.
func TestTreeIsAMapWithSums(t *testing.T) {
	all := hashers()
	rapid.Check(t, func(t *rapid.T) {
		type pair struct {
			tree  *merkle.Tree
			model content
		}
		h := rapid.SampledFrom(all).Draw(t, "hasher")
		pairs := []pair{{merkle.New(h), content{}}}
		keys := rapid.IntRange(1, 600).Draw(t, "keys")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			p := pairs[rng.IntN(len(pairs))]
			switch what := rng.IntN(10); {
			case what == 0 && len(pairs) < 6:
				pairs = append(pairs, pair{p.tree.Snapshot(), maps.Clone(p.model)})
			default: // a burst of sets, or of deletions
				for range rng.IntN(200) {
					key := fmt.Sprint(rng.IntN(keys))
					old, had := p.model[key]
					if what < 6 {
						st := state(rng.Uint64N(3))
						require.Equal(t, !had || old != st, p.tree.Set(key, st))
						p.model[key] = st
					} else {
						require.Equal(t, had, p.tree.Delete(key))
						delete(p.model, key)
					}
				}
			}
		}
		r := drawRange(t)
		for _, p := range pairs {
			requireHolds(t, p.model, p.tree, r)
			for key := range keys {
				st, had := p.model[fmt.Sprint(key)]
				element, found := p.tree.Get(fmt.Sprint(key))
				require.Equal(t, had, found)
				if had {
					require.Equal(t, h.Element(fmt.Sprint(key), st), element)
				}
			}
		}
	})
}

func TestTreeGrowsAndShrinks(t *testing.T) {
	tree, model := merkle.New(merkle.NewHasher(secret)), content{}
	for i := range 20_000 {
		model[fmt.Sprint(i)] = state(uint64(i))
		tree.Set(fmt.Sprint(i), state(uint64(i)))
	}
	whole := tree.Snapshot()
	requireHolds(t, model, whole, merkle.Range{From: 1 << 60, To: 1<<63 + 12345})
	for i := range 20_000 {
		tree.Delete(fmt.Sprint(i))
	}
	require.Zero(t, tree.Len())
	require.True(t, tree.Root().IsZero())
	requireHolds(t, model, whole, merkle.Range{From: 1 << 62, To: 1<<62 + 1<<60})
}

func TestEmptyRangesAndTrees(t *testing.T) {
	empty := merkle.New(nil)
	require.Zero(t, empty.Len())
	require.False(t, empty.Delete("x"))
	requireHolds(t, content{}, empty, merkle.Full)

	one := content{"x": state(1)}.tree(merkle.NewHasher(nil))
	sum, count := one.Sum(merkle.Range{From: 2, To: 1})
	require.True(t, sum.IsZero())
	require.Zero(t, count)
	for range one.Range(merkle.Range{From: 2, To: 1}) {
		t.Fatal("an empty range holds nothing")
	}
}

// Readers of a tree, of its snapshots and the makers of snapshots run together
// under a reader's lock; the writer changes the original meanwhile.
func TestSnapshotsAreReadWhileTheOriginalIsWritten(t *testing.T) {
	model := content{}
	for i := range 3000 {
		model[fmt.Sprint(i)] = state(1)
	}
	tree := model.tree(merkle.NewHasher(secret))
	before := tree.Snapshot()

	var mu sync.RWMutex
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				mu.RLock()
				snap := tree.Snapshot()
				root := tree.Root()
				mu.RUnlock()
				if snap.Root() != root {
					t.Error("a snapshot is of another moment")
				}
				snap.Set(fmt.Sprint(i), state(uint64(100+g))) // is its own tree
				var sum merkle.Fingerprint
				for _, element := range snap.All() {
					sum = sum.Add(element)
				}
				if sum != snap.Root() {
					t.Error("a snapshot changed while it was read")
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 6000 {
			mu.Lock()
			if i%3 == 0 {
				tree.Delete(fmt.Sprint(i % 3000))
			} else {
				tree.Set(fmt.Sprint(i), state(2))
			}
			mu.Unlock()
		}
	})
	requireHolds(t, model, before, merkle.Range{From: 1 << 61, To: 1 << 63})
	wg.Wait()
	requireHolds(t, model, before, merkle.Full)
}

func TestWritingAllocatesNothingInPlace(t *testing.T) {
	tree := merkle.New(merkle.NewHasher(secret))
	for i := range 10_000 {
		tree.Set(fmt.Sprint(i), state(0))
	}
	n := uint64(0)
	require.Zero(t, testing.AllocsPerRun(1000, func() { n++; tree.Set("77", state(n)) }), "Set")
	require.Zero(t, testing.AllocsPerRun(1000, func() { tree.Get("77") }), "Get")
	require.Zero(t, testing.AllocsPerRun(1000, func() { tree.Sum(merkle.Range{From: 1 << 50, To: 1 << 63}) }), "Sum")
	require.LessOrEqual(t, testing.AllocsPerRun(1000, func() { tree.Snapshot() }), 1.0, "Snapshot")
}

// A tree's sketch is right whatever happened to the tree, and of a fitting size.
func TestTheSketchFollowsTheTree(t *testing.T) {
	tree := merkle.New(merkle.NewHasher(secret))
	var kept []*merkle.Tree
	grow := func(from, to, step int) {
		for i := from; i != to; i += step {
			if tree.Set(fmt.Sprint(i), state(1)); step < 0 {
				tree.Delete(fmt.Sprint(i))
			}
			if i%997 == 0 {
				kept = append(kept, tree.Snapshot())
			}
			if n, cells := tree.Len(), tree.SketchCells(); n >= 256 {
				require.True(t, cells <= n && (4*cells >= n || cells == 1<<14), "%d cells for %d keys", cells, n)
			} else {
				require.LessOrEqual(t, cells, 128)
			}
		}
		require.True(t, tree.SketchHolds())
	}
	grow(0, 5000, 1)
	grow(4999, -1, -1)
	require.Zero(t, tree.SketchCells())
	grow(0, 300, 1)
	for _, snap := range kept {
		require.True(t, snap.SketchHolds())
	}
}

// What deleted keys took is given back, and not only where a whole leaf goes.
func TestDeletedKeysGiveTheirMemoryBack(t *testing.T) {
	tree := merkle.New(merkle.NewHasher(secret))
	for i := range 20_000 {
		tree.Set(fmt.Sprint(i), state(1))
	}
	for i := range 20_000 {
		if i%20 > 0 {
			tree.Delete(fmt.Sprint(i))
		}
	}
	require.Less(t, tree.Room(), 3*tree.Len())
}
