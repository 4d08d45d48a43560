package merkle_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/merkle"
)

// Whatever happens to the sketch of whichever side, no session hides or invents a
// difference, and after some the sketches are right again: also where nobody writes.
func TestPoisonedSketchesAreFoundOutAndMended(t *testing.T) {
	h := merkle.NewHasher(secret)
	for _, keys := range []int{1000, 40_000} {
		base := numbered(keys)
		fresh := base.tree(h)
		for _, name := range slices.Sorted(maps.Keys(merkle.Faults(0))) {
			for side := range 2 {
				for _, busy := range []bool{false, true} {
					t.Run(fmt.Sprint(keys, " ", name, " ", side, " ", busy), func(t *testing.T) {
						a, b := maps.Clone(base), maps.Clone(base)
						trees := []*merkle.Tree{fresh.Snapshot(), fresh.Snapshot()}
						b["5"] = state(9)
						trees[1].Set("5", state(9))
						trees[side].Poison(merkle.Faults(h.ID("700", state(700)))[name])
						bytes := 0
						for i := 0; i < 8 && (bytes == 0 || bytes > 600 || !trees[side].SketchHolds()); i++ {
							s := merkle.NewSession(trees[0], merkle.SessionConfig{})
							tr, err := run(s, merkle.NewResponder(trees[1], merkle.SessionConfig{}).Step)
							require.NoError(t, err)
							require.True(t, s.Verified())
							requireFound(t, naive(h, a, b, everything), s.Diff())
							bytes = tr.sent + tr.received
							if busy {
								a["6"], b["6"] = state(uint64(i+100)), state(uint64(i+100))
								trees[0].Set("6", a["6"])
								trees[1].Set("6", b["6"])
							}
							trees[0].Use()
							trees[1].Use()
						}
						require.LessOrEqual(t, bytes, 600)
						require.True(t, trees[side].SketchHolds())
						require.True(t, trees[1-side].SketchHolds())
					})
				}
			}
		}
	}
}

// A sketch is mended where it was found wrong: not in what was a snapshot before, and
// not twice.
func TestMendsAreForTheirSketch(t *testing.T) {
	h := merkle.NewHasher(secret)
	tree := numbered(1000).tree(h)
	before := tree.Snapshot()
	tree.Poison(merkle.Faults(0)["lost remove"])
	tree.Doubt()
	snap := tree.Snapshot()
	tree.Set("1", state(99)) // goes on with the fault
	require.False(t, tree.SketchHolds())
	snap.Use()
	snap.Audit()
	require.True(t, snap.SketchHolds())
	require.True(t, before.SketchHolds())
	require.False(t, tree.SketchHolds(), "not before it is written to")
	for i := range 5 {
		tree.Set("2", state(uint64(i+100)))
		require.True(t, tree.SketchHolds())
	}
	snap.Set("2", state(7))
	require.True(t, snap.SketchHolds())
	require.True(t, before.SketchHolds())
}

// A peer whose cells say that own keys differ which do not exist makes the session go
// on with ranges. What it says of the own sketch is looked into when as much was done
// as that takes: what a peer gets out of lies follows what it pays.
func TestHostileCells(t *testing.T) {
	h := merkle.NewHasher(secret)
	a, b := numbered(5000), apart(rand.New(rand.NewPCG(3, 4)), numbered(5000), 30)
	tree, other := a.tree(h), b.tree(h)
	for range 3 {
		s := merkle.NewSession(tree, merkle.SessionConfig{})
		lies := 0
		_, err := run(s, func(msg []byte) ([]byte, error) {
			if lie := s.LyingCells(1, 2, 3); lie != nil {
				lies++
				return lie, nil
			}
			return merkle.NewResponder(other, merkle.SessionConfig{}).Step(msg)
		})
		require.NoError(t, err)
		require.Equal(t, 1, lies)
		requireFound(t, naive(h, a, b, everything), s.Diff())
		require.True(t, other.Suspects(), "it was told")
	}
	tree.Use()
	merkle.NewSession(tree, merkle.SessionConfig{})
	require.False(t, tree.Suspects(), "compared, and found right")
	tree.Doubt()
	merkle.NewSession(tree, merkle.SessionConfig{})
	require.True(t, tree.Suspects(), "not paid for yet")
	require.True(t, tree.SketchHolds())
}

// Snapshots of a tree are read, doubted and compared at once, while it is written to.
func TestDoubtsDoNotRace(t *testing.T) {
	h := merkle.NewHasher(secret)
	tree := numbered(2000).tree(h)
	tree.Poison(merkle.Faults(0)["lost remove"])
	other := numbered(2100).tree(h)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 10 {
				mu.Lock()
				snap := tree.Snapshot()
				mu.Unlock()
				s := merkle.NewSession(other, merkle.SessionConfig{})
				if _, err := run(s, merkle.NewResponder(snap, merkle.SessionConfig{}).Step); err != nil || !s.Verified() {
					t.Error(err, s.Verified())
				}
			}
		})
	}
	wg.Go(func() {
		for i := range 2000 {
			mu.Lock()
			tree.Set(fmt.Sprint(i), state(uint64(i+5000)))
			mu.Unlock()
		}
	})
	wg.Wait()
	tree.Doubt()
	tree.Use()
	tree.Audit()
	tree.Set("1", state(1))
	require.True(t, tree.SketchHolds())
}

// Who doubts and finds that the other side has moved asks for both at once.
func TestDoubtWhereTheResponderMoved(t *testing.T) {
	h := merkle.NewHasher(secret)
	a := numbered(1000)
	b := apart(rand.New(rand.NewPCG(1, 2)), a, 100)
	treeB := b.tree(h)
	treeB.Poison(merkle.Faults(0)["lost remove"])
	s := merkle.NewSession(a.tree(h), merkle.SessionConfig{})
	ever := naive(h, a, b, everything)
	writes := 0
	_, err := run(s, func(msg []byte) ([]byte, error) {
		if writes < 2 {
			writes++
			b["5"] = state(uint64(writes) << 20)
			treeB.Set("5", b["5"])
			maps.Copy(ever, naive(h, a, b, everything))
		}
		treeB.Spend()
		return merkle.NewResponder(treeB, merkle.SessionConfig{}).Step(msg)
	})
	require.NoError(t, err)
	require.True(t, s.Verified())
	covers(t, ever, s.Diff())
	require.True(t, treeB.Suspects())
}
