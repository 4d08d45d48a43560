package pebblestore

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkGrowth counts the bytes that adding one element to a set makes Pebble write, for sets of different sizes that
// lie in the last level: to the log, to tables that are written out, and to those that are compacted, with one compaction
// of all to the end. The amplification is how many bytes are written in all for each byte that was applied.
func BenchmarkGrowth(b *testing.B) {
	for _, size := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("of=%d", size), func(b *testing.B) {
			for b.Loop() {
				growth(b, size, 500_000)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func growth(b *testing.B, size, adds int) {
	backend := openWith(b, b.TempDir(), Options{})
	s := onDisk(b, backend, false)
	require.NoError(b, insert(s, "all", named("element/", size)...))
	compact(b, backend)
	before := backend.Stats()
	for _, element := range named("another/", adds) {
		require.NoError(b, insert(s, "all", element))
	}
	compact(b, backend)
	after := backend.Stats()
	logged, applied := after.Logged-before.Logged, after.Applied-before.Applied
	flushed, compacted := after.Flushed-before.Flushed, after.Compacted-before.Compacted
	b.ReportMetric(float64(logged)/float64(adds), "log-B/add")
	b.ReportMetric(float64(flushed)/float64(adds), "flush-B/add")
	b.ReportMetric(float64(compacted)/float64(adds), "compact-B/add")
	b.ReportMetric(float64(logged+flushed+compacted)/float64(applied), "amplification")
}

// compact has all that was applied lie in the last level.
func compact(b *testing.B, backend *Backend) {
	require.NoError(b, backend.db.Flush())
	require.NoError(b, backend.db.Compact(b.Context(), []byte{dataKeys}, []byte{dataKeys + 1}, false))
}
