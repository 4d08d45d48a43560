package pebblestore

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// BenchmarkWrites puts Apply beside the least there can be: Pebble's own Set of the same bytes, set up likewise, on the
// disk of the tests' temporary folder. Keys are random among a million, values the delta of a counter. They take turns,
// and of each the best round counts; a ratio is how many writes Apply does while Pebble does one.
func BenchmarkWrites(b *testing.B) {
	for _, w := range []struct {
		writers, ops int
		sync         bool
	}{{1, 50_000, false}, {64, 50_000, false}, {1, 200, true}, {64, 6400, true}} {
		b.Run(fmt.Sprintf("writers=%d/sync=%t", w.writers, w.sync), func(b *testing.B) {
			contestants := []func(key []byte) error{
				raw(b, w.sync), applying(b, w.sync, store.OpSet), applying(b, w.sync, store.OpJoin)}
			best := make([]time.Duration, len(contestants))
			for b.Loop() {
				for i, write := range contestants {
					if took := round(b, w.writers, w.ops, write); best[i] == 0 || took < best[i] {
						best[i] = took
					}
				}
			}
			for i, name := range []string{"raw", "set", "join"} {
				b.ReportMetric(float64(best[i].Nanoseconds())/float64(w.ops), name+"-ns")
				b.ReportMetric(float64(best[0])/float64(best[i]), name+"/raw")
			}
		})
	}
}

// round has so many writers do ops writes together.
func round(b *testing.B, writers, ops int, write func(key []byte) error) time.Duration {
	var wg sync.WaitGroup
	start := time.Now()
	for i := range writers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(start.UnixNano()), uint64(i)))
			for range ops / writers {
				if err := write(key(r)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

func key(r *rand.Rand) []byte {
	return binary.BigEndian.AppendUint64([]byte("counter/"), r.Uint64N(1_000_000))
}

func delta(b *testing.B) []byte {
	var counter crdt.PNCounter
	return encoded(b, counter.Add(vclock.NewReplicaID("bench"), 1))
}

func raw(b *testing.B, sync bool) func(key []byte) error {
	p := (&Backend{guard: newGuard(vfs.Default, "", func() {}), room: newRoom()}).options(Options{})
	p.FS, p.Merger, p.EventListener, p.MemTableStopWritesThreshold, p.L0StopWritesThreshold = vfs.Default, nil, nil, 4, 12
	db, err := pebble.Open(b.TempDir(), p)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	value, write := delta(b), pebble.NoSync
	if sync {
		write = pebble.Sync
	}
	return func(key []byte) error { return db.Set(key, value, write) }
}

func applying(b *testing.B, sync bool, kind store.OpKind) func(key []byte) error {
	s := openWith(b, b.TempDir(), Options{})
	b.Cleanup(func() { shut(b, s) })
	value := delta(b)
	return func(key []byte) error {
		c, err := s.Apply([]store.Op{{Kind: kind, Key: key, Value: value}}, sync)
		if c != nil {
			err = c.Wait()
		}
		return err
	}
}

// BenchmarkApply counts what one allocates.
func BenchmarkApply(b *testing.B) {
	s := openWith(b, "data", Options{FS: vfs.NewMem()})
	defer shut(b, s)
	ops := []store.Op{{Kind: store.OpSet, Key: []byte("counter"), Value: delta(b)}}
	for _, sync := range []bool{false, true} {
		b.Run(fmt.Sprintf("sync=%t", sync), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c, err := s.Apply(ops, sync)
				if c != nil {
					err = c.Wait()
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen opens a folder of a million keys that was closed.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, value := openWith(b, dir, Options{}), delta(b)
	for i := range 10_000 {
		ops := make([]store.Op, 100)
		for j := range ops {
			ops[j] = store.Op{Kind: store.OpSet, Key: fmt.Appendf(nil, "counter/%d/%d", j, i), Value: value}
		}
		apply(b, s, false, ops...)
	}
	shut(b, s)
	for b.Loop() {
		shut(b, openWith(b, dir, Options{}))
	}
}
