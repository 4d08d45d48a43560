package pebblestore

import (
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"
)

// What is logged is not counted as flushed as well: of values that replace one another only the last is written out.
func TestStatsTellTheLogFromTheTables(t *testing.T) {
	b := open(t, vfs.NewMem())
	defer shut(t, b)
	before := b.Stats()
	for range 100 {
		apply(t, b, false, set("a", noise(1)))
	}
	logged := b.Stats()
	require.Greater(t, logged.Logged-before.Logged, int64(100*4096))
	require.Equal(t, before.Flushed, logged.Flushed)
	require.NoError(t, b.db.Flush())
	after := b.Stats()
	require.Greater(t, after.Flushed-before.Flushed, int64(4096))
	require.Less(t, after.Flushed-before.Flushed, int64(2*4096), "the last one alone")
	require.Equal(t, before.Compacted, after.Compacted)
}
