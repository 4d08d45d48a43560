package pebblestore

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// BenchmarkOpen opens a store of a million counters on disk, that was closed, and that was not after 50,000 more updates:
// how long that takes, how much of it is Pebble's, and how much memory a key takes then, its key of about 11 bytes and the
// index included, while no value was read.
func BenchmarkOpen(b *testing.B) {
	const keys = 1_000_000
	dir, names := b.TempDir(), named("user/", keys)
	first := begin(b, dir)
	for _, name := range names {
		require.NoError(b, increment(first.store, name))
	}
	require.NoError(b, first.store.Close())
	b.Run("clean", func(b *testing.B) { openings(b, dir, func(l opening) { require.NoError(b, l.store.Close()) }) })
	crash := func(l opening) {
		for i := range 50_000 {
			require.NoError(b, increment(l.store, names[i*benchStride%keys]))
		}
		shut(b, l.backend) // and the store does not know
	}
	crash(begin(b, dir))
	b.Run("crashed", func(b *testing.B) { openings(b, dir, crash) })
}

// An opening is a store from when it is opened.
type opening struct {
	backend *Backend
	store   *store.Store
	took    [2]time.Duration // to open the backend, and both
}

func begin(b *testing.B, dir string) opening {
	start := time.Now()
	l := opening{backend: openWith(b, dir, Options{Cache: 1 << 20})}
	l.took[0] = time.Since(start)
	var err error
	l.store, err = store.Open(store.Config{Sync: -1}, l.backend)
	require.NoError(b, err)
	l.took[1] = time.Since(start)
	return l
}

// openings opens the store in dir again and again, and has it ended in between.
func openings(b *testing.B, dir string, end func(opening)) {
	var backend, all, bytes []float64
	for b.Loop() {
		before := heap()
		l := begin(b, dir)
		tree := l.store.Index()
		bytes = append(bytes, float64(heap()-before)/float64(tree.Len()))
		backend, all = append(backend, l.took[0].Seconds()), append(all, l.took[1].Seconds())
		end(l)
	}
	b.ReportMetric(median(backend), "backend-s")
	b.ReportMetric(median(all), "open-s")
	b.ReportMetric(median(bytes), "B/key")
	b.ReportMetric(0, "ns/op")
}

// heap returns the bytes that are in use, after all that is not has been collected.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
