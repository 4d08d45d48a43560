package store_test

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// BenchmarkMemory is what a counter takes among a million, its key of about 11 bytes and the index included.
func BenchmarkMemory(b *testing.B) {
	const keys = 1_000_000
	for b.Loop() {
		before := heap()
		s := store.New(store.Config{Replica: vclock.Named("bench")})
		for i := range keys {
			increment(s, "user/"+strconv.Itoa(i))
		}
		written := heap()
		tree := s.Index()
		indexed := heap()
		b.ReportMetric(float64(written-before)/keys, "B/key")
		b.ReportMetric(float64(indexed-written)/keys, "index-B/key")
		runtime.KeepAlive(tree)
		runtime.KeepAlive(s)
	}
}

// heap returns the bytes that are in use, after all that is not has been collected.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
