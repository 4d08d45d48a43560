package crdt

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What stands in an empty cell is not in, also if the comparison of tags takes the cell for one that may have it.
func TestCellsThatAreEmptyHaveNoElement(t *testing.T) {
	index := newCells[string](1)
	const hash = 1 // in the next cell its tag looks like none
	index.put(hash, 5, "x")
	assert.Positive(t, index[0].having(hash)>>8, "it is taken for one")
	in, _ := index.search(hash, "")
	assert.Nil(t, in)
	in, k := index.search(hash, "x")
	assert.NotNil(t, in)
	assert.Zero(t, k)
}

// A look at a group of strings is one at two lines of the cache that are neighbours.
func TestGroupOfStringsIsTwoLines(t *testing.T) {
	assert.LessOrEqual(t, unsafe.Sizeof(group[string]{}), uintptr(128))
}

// Cells come and go in a table so full that many elements stand groups away from where they belong, also around its
// end. Each that is in is found by its slot, and no other.
func TestCellsAgreeWithMap(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, groups := range []int{2, 3, 7} {
		index, in := make(cells[int], groups), make(map[int]uint32)
		for range 20_000 {
			e := rnd.IntN(2 * groups * groupSize)
			slot, known := in[e]
			switch by := rnd.Uint32(); {
			case !known && len(in) < groups*groupSize-1:
				index.put(hashOf(e), by, e)
				in[e] = by
			case known && rnd.IntN(4) == 0:
				index.replace(hashOf(e), slot, by)
				in[e] = by
			case known:
				index.remove(hashOf(e), slot)
				delete(in, e)
			}
			requireCells(t, in, index)
		}
		requireCells(t, in, index.grown(len(index)*groupSize))
	}
}

func requireCells(t *testing.T, want map[int]uint32, index cells[int]) {
	t.Helper()
	n := 0
	for p := range index {
		n += index[p].len()
		for k, e := range index[p].elems[:index[p].len()] {
			require.Equal(t, index.home(hashOf(e)) != p, index[p].strays()>>k&1 > 0)
		}
	}
	require.Len(t, want, n)
	for e, slot := range want {
		g, k := index.search(hashOf(e), e)
		require.NotNil(t, g)
		require.Equal(t, slot, g.slots[k])
	}
}
