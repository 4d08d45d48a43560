package quorum

import (
	"context"
	"fmt"
	"testing"

	"github.com/eventual-go/eventual/transport"
)

// fixed is a Replica that holds one state under every key, at no cost of its own.
type fixed []byte

func (f fixed) Load(context.Context, string) ([]byte, error)          { return f, nil }
func (f fixed) Merge(context.Context, string, []byte) ([]byte, error) { return nil, nil }

// direct is a Caller that calls handlers at once.
type direct map[transport.NodeID]transport.Handler

func (d direct) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	return d[to].ServeCall(ctx, "a", method, req)
}

// Steps of the machines alone, with the codec, on 3 owners at majority.
func BenchmarkOp(b *testing.B) {
	state := make([]byte, 100) // as a set of these tests
	for i := range state {
		state[i] = byte(i)
	}
	place, full, none := Placement{Owners: nodes(3)}, reply(state...), reply()
	d := digestOf(state)
	digested := replyOf(statusDigest, d[:])
	b.Run("write", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			op, _ := NewWriteOp(WriteConfig{Key: "cart", Delta: state, Placement: place, Self: "z"})
			for _, s := range op.Start() {
				op.Answer(s, none, nil)
			}
		}
	})
	b.Run("read/equal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			op, _ := NewReadOp(ReadConfig{Key: "cart", Placement: place, Self: "z", Join: union})
			for _, s := range op.Start() {
				if s.task.kind == taskDigest {
					op.Answer(s, digested, nil)
				} else {
					op.Answer(s, full, nil)
				}
			}
			if !op.Done() {
				b.Fatal("not done")
			}
		}
	})
	b.Run("read/repair", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			op, _ := NewReadOp(ReadConfig{Key: "cart", Placement: place, Self: "z", Join: union})
			for i, s := range op.Start() {
				resp := full
				if i > 0 {
					resp = replyOf(statusDigest, make([]byte, 16))
				}
				for _, r := range op.Answer(s, resp, nil) {
					op.Answer(r, none, nil)
				}
			}
			if !op.Done() {
				b.Fatal("not done")
			}
		}
	})
}

// The driver on top, with replicas and a network that cost nothing: what is left of
// a call when the disk and the wire are taken away.
func BenchmarkCoordinator(b *testing.B) {
	for _, n := range []int{1, 3, 5} {
		state := make(fixed, 100)
		for i := range state {
			state[i] = byte(i)
		}
		caller := make(direct)
		for _, id := range nodes(n) {
			caller[id] = (&Coordinator{Local: state}).Handler()
		}
		c := &Coordinator{Self: "a", Local: state, Ring: Everywhere(nodes(n)), Caller: caller, Join: union}
		ctx := context.Background()
		b.Run(fmt.Sprintf("write/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.Write(ctx, "cart", state, WriteOptions{Level: Majority}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
		b.Run(fmt.Sprintf("read/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := c.Read(ctx, "cart", ReadOptions{Level: Majority}); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

func BenchmarkTally(b *testing.B) {
	place := Placement{Owners: nodes(3)}
	b.ReportAllocs()
	for b.Loop() {
		tally, _ := NewTally(place, "z", Demand{Level: Majority})
		tally.Answer("a", false)
		tally.Fail("b", errDown)
		tally.Answer("c", false)
		if !tally.Reached() {
			b.Fatal("not reached")
		}
	}
}
