package store_test

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

func TestTrap41_AWriteDoesNotEncodeTheState(t *testing.T) {
	s, other := probing(t, "s"), probing(t, "other")
	for n := range uint64(1000) {
		_, err := raise(s, "k", 100+n)
		require.NoError(t, err)
		delta, err := raise(other, "k", 5000+n)
		require.NoError(t, err)
		merge(t, s, "k", delta)
	}
	require.Zero(t, encodes(s, "k"))
	s.Index()
	require.Equal(t, 1, encodes(s, "k"), "a burst of writes pays once")
	s.Index()
	require.Equal(t, 1, encodes(s, "k"), "and nothing where nothing changed")
}

// One element added or merged allocates the same in a set of 100,000 as in a set
// of ten.
func TestTrap41_AWriteToALargeSetAllocatesWhatItAdds(t *testing.T) {
	small, large := writeCost(t, 10), writeCost(t, 100_000)
	require.LessOrEqual(t, large, 2*small)
}

// writeCost is what a batch of writes and merges into a set of the given size
// allocates: the least of several, as one may hit the growth of a table.
func writeCost(t *testing.T, size int) uint64 {
	const batch = 50
	s, other := named("s"), named("other")
	elements := make([]string, size)
	for i := range elements {
		elements[i] = strconv.Itoa(i)
	}
	insert(t, s, "k", elements...)
	least := ^uint64(0)
	for round := range 8 {
		least = min(least, allocated(func() { writeAndMerge(t, s, other, round*batch, batch) }))
	}
	return least
}

func writeAndMerge(t *testing.T, s, other *store.Store, from, n int) {
	for i := from; i < from+n; i++ {
		insert(t, s, "k", "new"+strconv.Itoa(i))
		merge(t, s, "k", insert(t, other, "k", "theirs"+strconv.Itoa(i)))
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
