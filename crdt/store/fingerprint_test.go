package store_test

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// Adding an element and reading the index allocates the same for a set of 1,000
// elements as for one of 100,000, once the index has its fingerprint.
func TestTrap41_TheIndexOfALargeSetCostsWhatChanges(t *testing.T) {
	small, large := indexCost(t, 1000), indexCost(t, 100_000)
	require.LessOrEqual(t, large, 2*small)
	require.LessOrEqual(t, small, 2*large)
}

// indexCost is what a batch of writes to a set of the given size allocates, each
// with the index that is read after it: the least of several, as one may hit the
// growth of a table.
func indexCost(t *testing.T, size int) uint64 {
	const batch = 50
	s := named("s")
	elements := make([]string, size)
	for i := range elements {
		elements[i] = strconv.Itoa(i)
	}
	insert(t, s, "k", elements...)
	s.Index()
	least := ^uint64(0)
	for round := range 8 {
		least = min(least, allocated(func() {
			for i := range batch {
				insert(t, s, "k", "new"+strconv.Itoa(round*batch+i))
				s.Index()
			}
		}))
	}
	return least
}
