package merkle_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/merkle"
)

var everything = []merkle.Range{merkle.Full}

// apart changes c to one that lacks some of its keys and has others: d in all.
func apart(rng *rand.Rand, c content, d int) content {
	out := maps.Clone(c)
	for i, key := range slices.Sorted(maps.Keys(c)) {
		if i == d/2 {
			break
		}
		delete(out, key)
	}
	for len(out) < len(c)-d/2+d-d/2 {
		out[fmt.Sprint("new", rng.Uint64())] = state(1)
	}
	return out
}

// Each rung is taken where it is the cheapest, and what it costs is about what it
// must.
func TestTheLadderHasItsRungs(t *testing.T) {
	h := merkle.NewHasher(secret)
	half := []merkle.Range{{From: 0, To: 1<<63 - 1}}
	for _, c := range []struct {
		name          string
		n, d          int
		ranges        []merkle.Range
		rungs         []string
		rounds, bytes int
	}{
		{"equal", 20_000, 0, nil, nil, 1, 36},
		{"hints", 20_000, 1, nil, []string{"sketch"}, 1, 260},
		{"sketch", 20_000, 100, nil, []string{"sketch", "cells"}, 3, 2600},
		{"sketch, many", 40_000, 5000, nil, []string{"sketch", "cells"}, 3, 80_000},
		{"tables of parts", 40_000, 14_600, nil, []string{"sketch", "cells"}, 3, 230_000},
		{"table, part", 20_000, 200, half, []string{"sketch", "cells"}, 3, 3500},
		{"table, equal part", 20_000, 0, half, nil, 1, 60},
		{"tables, large part", 60_000, 1000, half, []string{"sketch", "cells"}, 3, 14_000},
		{"ranges, few in a large part", 60_000, 3, half, []string{"sketch", "parts", "list", "rest"}, 5, 4000},
		{"ranges, small", 200, 20, nil, []string{"parts", "list", "rest"}, 4, 3200},
		{"tables, half of all", 20_000, 10_000, nil, []string{"sketch", "cells"}, 3, 150_000},
		{"list", 20_000, 36_000, nil, []string{"sketch", "list", "rest"}, 5, 400_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(5, uint64(c.d)))
			a := numbered(c.n)
			b := apart(rng, a, c.d)
			cfg := merkle.SessionConfig{MaxMessage: 1 << 20, Ranges: c.ranges}
			s := merkle.NewSession(a.tree(h), cfg)
			r := merkle.NewResponder(b.tree(h), cfg)
			var rungs []string
			tr, err := run(s, func(msg []byte) ([]byte, error) {
				reply, err := r.Step(msg)
				for _, rung := range s.Ops(reply) {
					if !slices.Contains(rungs, rung) {
						rungs = append(rungs, rung)
					}
				}
				return reply, err
			})
			require.NoError(t, err)
			require.True(t, s.Verified())
			if c.ranges == nil {
				c.ranges = everything
			}
			requireFound(t, naive(h, a, b, c.ranges), s.Diff())
			require.Equal(t, c.rungs, rungs)
			require.LessOrEqual(t, tr.rounds, c.rounds)
			require.LessOrEqual(t, tr.sent+tr.received, c.bytes)
		})
	}
}

// Where a part of the positions has moved, differences are not where the keys are: it
// costs about what they do.
func TestDifferencesOfOnePart(t *testing.T) {
	h := merkle.NewHasher(secret)
	base := numbered(60_000)
	for _, c := range []struct {
		name    string
		lost    [2]bool
		changed bool
		parts   merkle.Position // the first so many of 16
		each    int             // bytes for a key that differs
		rounds  int
	}{
		{"lost there", [2]bool{false, true}, false, 8, 6, 3},
		{"lost here", [2]bool{true, false}, false, 4, 15, 5},
		{"changed", [2]bool{}, true, 2, 22, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			contents := [2]content{maps.Clone(base), maps.Clone(base)}
			d := 0
			for key := range base {
				if h.Position(key)>>60 >= c.parts {
					continue
				}
				d++
				for side := range contents {
					if c.lost[side] {
						delete(contents[side], key)
					}
				}
				if c.changed {
					contents[1][key] = state(1 << 40)
				}
			}
			s := merkle.NewSession(contents[0].tree(h), merkle.SessionConfig{MaxMessage: 1 << 20})
			tr, err := run(s, merkle.NewResponder(contents[1].tree(h), merkle.SessionConfig{MaxMessage: 1 << 20}).Step)
			require.NoError(t, err)
			require.True(t, s.Verified())
			requireFound(t, naive(h, contents[0], contents[1], everything), s.Diff())
			require.LessOrEqual(t, tr.sent+tr.received, 1000+c.each*d)
			require.LessOrEqual(t, tr.rounds, c.rounds)
		})
	}
}

// Trees of any two sizes, with sketches of any two sizes or none.
func TestTreesOfDifferentSizes(t *testing.T) {
	h := merkle.NewHasher(secret)
	sizes := []int{0, 10, 255, 256, 1000, 9000}
	for _, n := range sizes {
		for _, m := range sizes {
			for _, limit := range []int{512, 4096, 0} {
				a, b := numbered(n), numbered(m)
				b["0"] = state(77)
				cfg := merkle.SessionConfig{MaxMessage: limit}
				s := merkle.NewSession(a.tree(h), cfg)
				tr, err := run(s, merkle.NewResponder(b.tree(h), merkle.SessionConfig{}).Step)
				require.NoError(t, err)
				require.True(t, s.Verified())
				requireFound(t, naive(h, a, b, everything), s.Diff())
				require.True(t, limit == 0 || tr.longest <= limit)
			}
		}
	}
}

// Elements that a sketch takes for one another, within a tree or between two, are
// found in the end; and nothing is reported that does not differ.
func TestTrap25_CancellingFingerprints(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := merkle.MaskedIDs(secret,
			rapid.SampledFrom([]merkle.Position{1<<64 - 1, 0xffff << 48, 0xff<<56 | 0xff, 3}).Draw(t, "positions"),
			rapid.SampledFrom([]uint64{0xffffffff << 32, 0xffffffff<<32 | 7, 0xffffffff<<32 | 0xff}).Draw(t, "ids"))
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		a := numbered(rapid.SampledFrom([]int{256, 600}).Draw(t, "keys"))
		b := drift(rng, a, rapid.IntRange(0, 20).Draw(t, "differences"))
		treeA, treeB := a.tree(h), b.tree(h)
		for range 4 { // a sketch that decodes may hide something, but not for ever
			want := naive(h, a, b, everything)
			s := merkle.NewSession(treeA, merkle.SessionConfig{})
			_, err := run(s, merkle.NewResponder(treeB, merkle.SessionConfig{}).Step)
			require.NoError(t, err)
			require.True(t, s.Verified())
			covers(t, want, s.Diff())
			if len(want) == 0 {
				require.Equal(t, treeA.Root(), treeB.Root())
				return
			}
			require.NotEmpty(t, s.Diff(), "roots differ")
			for _, d := range s.Diff() { // b wins
				for key := range maps.Clone(a) {
					if _, has := b[key]; !has && d.Range.Contains(h.Position(key)) {
						delete(a, key)
						treeA.Delete(key)
					}
				}
				for key, st := range b {
					if d.Range.Contains(h.Position(key)) {
						a[key] = st
						treeA.Set(key, st)
					}
				}
			}
		}
		t.Fatal("did not end")
	})
}

// A changed key whose two versions have one id is not in the difference of the
// sketches at all. The roots tell.
func TestTrap25_WhatSketchesHideRangesFind(t *testing.T) {
	h := merkle.MaskedIDs(secret, 1<<64-1, 0xffffffff<<32)
	a, b := numbered(1000), numbered(1000)
	b["5"], b["700"] = state(9), state(9)
	require.Equal(t, h.ID("5", a["5"]), h.ID("5", b["5"]))
	s := merkle.NewSession(a.tree(h), merkle.SessionConfig{})
	tr, err := run(s, merkle.NewResponder(b.tree(h), merkle.SessionConfig{}).Step)
	require.NoError(t, err)
	require.True(t, s.Verified())
	requireFound(t, naive(h, a, b, everything), s.Diff())
	require.LessOrEqual(t, tr.rounds, 5)
}

// While the peer changes between any two messages its cells do not fit one another.
// Cells of one answer do, and those of a part in which nothing changed.
func TestTrap23_CellsOfTwoStatesAreNotMixed(t *testing.T) {
	h := merkle.NewHasher(secret)
	part := []merkle.Range{{From: 1 << 60, To: 1<<63 - 1}}
	for _, c := range []struct {
		keys, d, limit, rounds int
		ranges                 []merkle.Range
	}{
		{5000, 200, 0, 4, everything},
		{5000, 200, 1000, 200, everything},
		{5000, 200, 0, 5, part},
		{40_000, 14_600, 0, 12, everything},
	} {
		a, b := numbered(c.keys), apart(rand.New(rand.NewPCG(1, 2)), numbered(c.keys), c.d)
		ever := naive(h, a, b, c.ranges)
		lasting := maps.Clone(ever)
		treeB := b.tree(h)
		cfg := merkle.SessionConfig{MaxMessage: c.limit, Ranges: c.ranges}
		s := merkle.NewSession(a.tree(h), cfg)
		writes := 0
		tr, err := run(s, func(msg []byte) ([]byte, error) {
			reply, err := merkle.NewResponder(treeB, cfg).Step(msg)
			writes++ // one key comes, one changes
			for _, key := range []string{fmt.Sprint("live", writes), fmt.Sprint(c.keys - writes)} {
				b[key] = state(uint64(writes) << 20)
				treeB.Set(key, b[key])
			}
			now := naive(h, a, b, c.ranges)
			maps.Copy(ever, now)
			maps.DeleteFunc(lasting, func(p merkle.Position, _ merkle.Difference) bool { _, still := now[p]; return !still })
			return reply, err
		})
		require.NoError(t, err)
		require.LessOrEqual(t, tr.rounds, c.rounds)
		found := covers(t, ever, s.Diff())
		for p := range lasting {
			require.True(t, found[p], "was different all the time")
		}
	}
}

// A peer that became equal meanwhile is found to be.
func TestTrap23_EqualByThen(t *testing.T) {
	h := merkle.NewHasher(secret)
	part := []merkle.Range{{From: 1 << 60, To: 1<<63 - 1}}
	for i, ranges := range [][]merkle.Range{part, everything} {
		a := numbered(5000)
		treeA, treeB := a.tree(h), apart(rand.New(rand.NewPCG(1, 2)), a, 300).tree(h)
		s := merkle.NewSession(treeA, merkle.SessionConfig{Ranges: ranges})
		tr, err := run(s, func(msg []byte) ([]byte, error) {
			reply, err := merkle.NewResponder(treeB, merkle.SessionConfig{}).Step(msg)
			treeB = treeA
			return reply, err
		})
		require.NoError(t, err)
		require.True(t, s.Verified())
		require.Empty(t, s.Diff())
		require.Equal(t, 3+i, tr.rounds, "estimate, cells, roots, and doubt of a sketch that promised more")
	}
}
