package merkle_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/eventual-go/eventual/merkle"
)

func keysOf(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("user:%07d", i)
	}
	return keys
}

func filled(h *merkle.Hasher, keys []string) *merkle.Tree {
	tree := merkle.New(h)
	for _, key := range keys {
		tree.Set(key, state(1))
	}
	return tree
}

func BenchmarkSet(b *testing.B) {
	for _, n := range []int{1_000, 50_000, 1_000_000} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			keys := keysOf(n)
			tree := filled(merkle.NewHasher(secret), keys)
			rng := rand.New(rand.NewPCG(1, 1))
			b.ReportAllocs()
			for i := uint64(2); b.Loop(); i++ {
				tree.Set(keys[rng.IntN(n)], state(i))
			}
		})
	}
}

// BenchmarkSetAfterSnapshot is the worst case: each write copies its path.
func BenchmarkSetAfterSnapshot(b *testing.B) {
	keys := keysOf(100_000)
	tree := filled(merkle.NewHasher(secret), keys)
	rng := rand.New(rand.NewPCG(1, 1))
	b.ReportAllocs()
	for i := uint64(2); b.Loop(); i++ {
		tree.Snapshot()
		tree.Set(keys[rng.IntN(len(keys))], state(i))
	}
}

func BenchmarkMemory(b *testing.B) {
	for _, n := range []int{10_000, 50_000, 100_000, 300_000, 1_000_000} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			keys := keysOf(n)
			h := merkle.NewHasher(secret)
			for b.Loop() {
				before := heap()
				tree := filled(h, keys)
				b.ReportMetric(float64(heap()-before)/float64(n), "B/key")
				runtime.KeepAlive(tree)
			}
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkSnapshot(b *testing.B) {
	tree := filled(merkle.NewHasher(secret), keysOf(100_000))
	var last *merkle.Tree
	b.ReportAllocs()
	for b.Loop() {
		last = tree.Snapshot()
	}
	runtime.KeepAlive(last)
}

func BenchmarkSum(b *testing.B) {
	tree := filled(merkle.NewHasher(secret), keysOf(100_000))
	rng := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		tree.Sum(merkle.Range{From: merkle.Position(rng.Uint64() >> 1), To: merkle.Position(rng.Uint64() | 1<<63)})
	}
}

// BenchmarkSession reports the bytes both ways and the round trips of finding d
// changed keys among n, with the final check.
func BenchmarkSession(b *testing.B) {
	h := merkle.NewHasher(secret)
	for _, n := range []int{100_000, 1_000_000} {
		keys := keysOf(n)
		tree := filled(h, keys)
		for _, d := range []int{0, 1, 100, 1000} {
			b.Run(fmt.Sprintf("n=%d/d=%d", n, d), func(b *testing.B) {
				rng := rand.New(rand.NewPCG(uint64(n), uint64(d)))
				other := tree.Snapshot()
				for _, i := range rng.Perm(n)[:d] {
					other.Set(keys[i], state(2))
				}
				var tr traffic
				for b.Loop() {
					s := merkle.NewSession(tree, merkle.SessionConfig{})
					var err error
					if tr, err = run(s, merkle.NewResponder(other, merkle.SessionConfig{}).Step); err != nil || len(s.Diff()) != d {
						b.Fatal(err, len(s.Diff()))
					}
				}
				b.ReportMetric(float64(tr.sent+tr.received), "B/session")
				b.ReportMetric(float64(tr.rounds), "round-trips")
			})
		}
	}
}

func BenchmarkHasher(b *testing.B) {
	h := merkle.NewHasher(secret)
	key := "user:0000001"
	b.Run("Position", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Position(key)
		}
	})
	b.Run("Element", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h.Element(key, state(1))
		}
	})
	for _, n := range []int{16, 64, 1024, 65536} {
		p := make([]byte, n)
		b.Run(fmt.Sprintf("Sum/%d", n), func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				h.Sum(p)
			}
		})
	}
}
