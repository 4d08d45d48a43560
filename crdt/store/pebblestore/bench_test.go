package pebblestore

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// BenchmarkWrites puts Apply beside the least there can be: Pebble's own Set of the same bytes, set up likewise, on the
// disk of the tests' temporary folder. Keys are random among a million, values the delta of a counter. They take turns;
// a ratio is how many writes Apply does while Pebble does one.
func BenchmarkWrites(b *testing.B) {
	forPolicies(b, func(b *testing.B, p policy) {
		write := raw(b, p.sync)
		value := delta(b)
		r := rand.New(rand.NewPCG(1, 2))
		keys := make([][]byte, 1<<16)
		for i := range keys {
			keys[i] = key(r)
		}
		contest(b, p,
			contestant{"raw", func(i int) error { return write(keys[i%len(keys)], value) }},
			contestant{"set", applying(b, p.sync, store.OpSet, keys)},
			contestant{"join", applying(b, p.sync, store.OpJoin, keys)})
	})
}

func key(r *rand.Rand) []byte {
	return binary.BigEndian.AppendUint64([]byte("counter/"), r.Uint64N(1_000_000))
}

func delta(b *testing.B) []byte {
	var counter crdt.PNCounter
	return encoded(b, counter.Add(vclock.NewReplicaID("bench"), 1))
}

func raw(b *testing.B, sync bool) func(key, value []byte) error {
	p := (&Backend{guard: newGuard(vfs.Default, "", func() {}), room: newRoom()}).options(Options{})
	p.FS, p.Merger, p.EventListener, p.MemTableStopWritesThreshold, p.L0StopWritesThreshold = vfs.Default, nil, nil, 4, 12
	db, err := pebble.Open(b.TempDir(), p)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	write := pebble.NoSync
	if sync {
		write = pebble.Sync
	}
	return func(key, value []byte) error { return db.Set(key, value, write) }
}

func applying(b *testing.B, sync bool, kind store.OpKind, keys [][]byte) func(i int) error {
	s := openWith(b, b.TempDir(), Options{})
	b.Cleanup(func() { shut(b, s) })
	value := delta(b)
	return func(i int) error {
		c, err := s.Apply([]store.Op{{Kind: kind, Key: keys[i%len(keys)], Value: value}}, sync)
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
