package merkle

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func randomIDs(rng *rand.Rand, n int) []uint64 {
	ids := make([]uint64, n)
	for i := range ids {
		ids[i] = rng.Uint64()
	}
	return ids
}

func tableOf(m int, ids ...uint64) table {
	t := make(table, m)
	for _, id := range ids {
		t.add(id, 1)
	}
	return t
}

// add puts an id in, or takes it out with sign −1.
func (t table) add(id uint64, sign int32) {
	tr := traitOf(id)
	tr.check *= uint32(sign)
	t.put(&tr, foldingTo(len(t)), 0)
}

func drawRand(t *rapid.T) *rand.Rand {
	return rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
}

// A table of m cells is the one of more cells folded, in any number of steps, and
// grows again by what folding took.
func TestTablesFoldAndGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := randomIDs(drawRand(t), 50)
		big := rapid.IntRange(1, 600).Draw(t, "cells")
		mid := rapid.IntRange(1, big).Draw(t, "folded")
		small := rapid.IntRange(1, mid).Draw(t, "folded again")
		whole := tableOf(big, ids...)
		half, least := tableOf(mid, ids...), tableOf(small, ids...)
		require.Equal(t, half, whole.fold(mid))
		require.Equal(t, least, half.fold(small))
		require.Equal(t, whole, slices.Clone(least).extend(whole[small:]))
		require.Equal(t, whole, least.extend(half[small:]).extend(whole[mid:]))
	})
}

// What a table says without rest is what differs; with room it always says it.
func TestTablesTellTheDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := drawRand(t)
		both := randomIDs(rng, rapid.IntRange(0, 300).Draw(t, "both"))
		mine := randomIDs(rng, rapid.IntRange(0, 60).Draw(t, "mine"))
		theirs := randomIDs(rng, rapid.IntRange(0, 60).Draw(t, "theirs"))
		m := rapid.IntRange(1, 4*(len(mine)+len(theirs))+10).Draw(t, "cells")

		a := tableOf(m, slices.Concat(both, mine)...)
		a.subtract(tableOf(m, slices.Concat(both, theirs)...))
		sent := readTable(a.append(nil))
		first, second, ok := sent.decode()
		if !ok {
			require.Less(t, len(first)+len(second), len(mine)+len(theirs)+20)
			return
		}
		mine, theirs = settle(mine, theirs)
		require.True(t, slices.Equal(mine, first) && slices.Equal(theirs, second))
	})
}

// How many cells it takes is what tables are good for.
func TestTablesDecodeWithFewCells(t *testing.T) {
	for _, c := range []struct{ d, m, of, atLeast int }{
		{1, hintCells, 200, 190},
		{8, 24, 200, 180},
		{200, 260, 100, 90},
		{1000, 1200, 20, 18},
		{10_000, 11_600, 3, 3},
	} {
		ok := 0
		for seed := range c.of {
			rng := rand.New(rand.NewPCG(uint64(seed), 7))
			if found, _, all := tableOf(c.m, randomIDs(rng, c.d)...).decode(); all && len(found) == c.d {
				ok++
			}
		}
		require.GreaterOrEqual(t, ok, c.atLeast, "%d differences in %d cells", c.d, c.m)
	}
}

// An id that is there twice or thrice is none of a set. It is never read as
// something else, and stays.
func TestTablesDoNotReadDuplicates(t *testing.T) {
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 0))
		ids := randomIDs(rng, 20)
		for _, times := range []int{2, 3, 4} {
			table := tableOf(200, ids...)
			for range times - 1 {
				table.add(ids[0], 1)
			}
			first, second, ok := table.decode()
			require.False(t, ok)
			require.NotContains(t, append(first, second...), ids[0])
		}
	}
}

// Whatever is in the cells, reading them ends, and what is read without rest is
// what a table of those ids holds.
func TestHostileTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := drawRand(t)
		m := rapid.IntRange(1, 200).Draw(t, "cells")
		cells := tableOf(m, randomIDs(rng, rapid.IntRange(0, 100).Draw(t, "ids"))...)
		for range rapid.IntRange(0, 30).Draw(t, "lies") {
			lie := cell{rng.Uint64() >> rng.IntN(64), rng.Uint32()}
			if rng.IntN(2) == 0 { // pure cells where the id has no place, or only one
				lie.check = traitOf(lie.id).check
			}
			cells[rng.IntN(m)] = lie
		}
		before := slices.Clone(cells)
		first, second, ok := cells.decode()
		require.LessOrEqual(t, len(first)+len(second), 2*m+16)
		if !ok {
			return
		}
		again := make(table, m)
		for _, id := range first {
			again.add(id, 1)
		}
		for _, id := range second {
			again.add(id, -1)
		}
		before.subtract(again)
		require.True(t, before.isEmpty())
	})
}

func TestSketchesAreTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := randomIDs(drawRand(t), 300)
		s, o := newSketch(new(owner), 1<<rapid.IntRange(7, 14).Draw(t, "size")), new(owner)
		for _, id := range ids {
			s.add(id, 1)
		}
		m := rapid.IntRange(1, s.cells()).Draw(t, "cells")
		require.Equal(t, tableOf(m, ids...), s.fold(m))

		changed := s.own(o) // a copy on write
		for _, id := range ids[:100] {
			changed.add(id, -1)
		}
		require.Equal(t, tableOf(m, ids...), s.fold(m))
		require.Equal(t, tableOf(m, ids[100:]...), changed.fold(m))
		for _, id := range ids[100:] {
			changed.add(id, -1)
		}
		require.True(t, changed.fold(m).isEmpty())
		require.Zero(t, changed.counts.difference(&estimator{}))
	})
}

func TestEstimates(t *testing.T) {
	for _, d := range []int{1, 10, 1000, 100_000} {
		squares, runs := 0.0, 100
		for seed := range runs {
			rng := rand.New(rand.NewPCG(uint64(seed), uint64(d)))
			var a, b estimator
			for i := range d {
				tr := traitOf(rng.Uint64())
				if i%2 == 0 {
					a[tr.counter] += tr.sign
				} else {
					b[tr.counter] += tr.sign
				}
			}
			off := float64(a.difference(&b))/float64(d) - 1
			squares += off * off
		}
		require.Less(t, squares/float64(runs), 0.16*0.16, "%d differences", d)
	}
}

// FuzzData gives hostile bytes to what reads the data of items: it ends, allocates
// no more than the bytes weigh, and reads back what it wrote.
func FuzzData(f *testing.F) {
	f.Add(tableOf(20, 1, 2, 3, 4, 5).append(nil), uint64(0), uint64(1<<63), byte(6))
	f.Add((&wish{state: []byte("what"), from: 8, to: 1300}).append(nil), uint64(5), uint64(5), byte(1))
	f.Add(blocks([]Range{blockOf(1 << 40), {5 << 40, 5 << 40}}), uint64(0), uint64(Full.To), byte(16))
	f.Fuzz(func(t *testing.T, data []byte, from, to uint64, width byte) {
		cells := readTable(data)
		before := slices.Clone(cells)
		first, second, ok := cells.decode()
		if len(first)+len(second) > 2*len(cells)+16 {
			t.Fatal("too many")
		}
		if ok && len(cells) > 0 {
			again := make(table, len(cells))
			for _, id := range first {
				again.add(id, 1)
			}
			for _, id := range second {
				again.add(id, -1)
			}
			if before.subtract(again); !before.isEmpty() {
				t.Fatal("read what was not there")
			}
		}
		if w, ok := readWish(data); ok && (w.from >= w.to || w.to > 1<<placeBits) {
			t.Fatal(w)
		}
		r := Range{Position(min(from, to)), Position(max(from, to))}
		if in, ok := readBlocks(r, data); ok && len(in) > 0 {
			if !bytes.Equal(blocks(in), data) {
				t.Fatal("blocks are not canonical")
			}
		}
		if all, ok := readList(r, int(width%16)+1, data); ok && !slices.IsSortedFunc(all, listed.compare) {
			t.Fatal("list without order")
		}
	})
}
