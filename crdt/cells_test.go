package crdt

import (
	"testing"

	"github.com/stretchr/testify/assert"
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
