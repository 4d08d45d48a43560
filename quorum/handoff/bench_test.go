package handoff

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/eventual-go/eventual/transport/mem"
)

// One delta of 64 bytes kept in memory: of keys that are new, and of one that is held.
func BenchmarkKeep(b *testing.B) {
	for name, keys := range map[string]int{"new keys": 50_000, "one key": 1} {
		b.Run(name, func(b *testing.B) {
			all := make([]string, keys)
			for i := range all {
				all[i] = fmt.Sprint("key ", i)
			}
			h := &Handoff{Join: func(_, s []byte) ([]byte, error) { return s, nil }}
			delta, ctx := make([]byte, 64), context.Background()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if keys > 1 && i%keys == 0 {
					if err := h.Forget(ctx, "b"); err != nil {
						b.Fatal(err)
					}
				}
				delta[0]++
				if err := h.Keep(ctx, "b", all[i%keys], delta); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Many keep in memory at once.
func BenchmarkKeepParallel(b *testing.B) {
	h := &Handoff{Join: func(_, s []byte) ([]byte, error) { return s, nil }}
	delta, ctx := make([]byte, 64), context.Background()
	var n atomic.Int64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		key := fmt.Sprint(n.Add(1))
		mine := append([]byte(nil), delta...)
		for pb.Next() {
			mine[0]++
			if err := h.Keep(ctx, "b", key, mine); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// 20,000 hints of 256 bytes sent to a node that has no bound, in memory.
func BenchmarkReplay(b *testing.B) {
	net := new(mem.Network)
	discard := &counted{}
	net.Node("b", (&Handoff{Replica: discard, Rate: -1}).Handler())
	h := &Handoff{Join: func(_, s []byte) ([]byte, error) { return s, nil }, Caller: net.Node("a", nil)}
	ctx, state := context.Background(), make([]byte, 256)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for i := range 20_000 {
			if err := h.Keep(ctx, "b", fmt.Sprint(i), state); err != nil {
				b.Fatal(err)
			}
		}
		b.StartTimer()
		if done, err := h.Replay(ctx, "b"); err != nil || done.Hints != 20_000 {
			b.Fatal(done, err)
		}
	}
	b.SetBytes(20_000 * 256)
}

// counted takes everything and keeps nothing.
type counted struct{ atomic.Int64 }

func (c *counted) Merge(context.Context, string, []byte) ([]byte, error) {
	c.Add(1)
	return nil, nil
}
