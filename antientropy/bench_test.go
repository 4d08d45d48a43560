package antientropy

import (
	"fmt"
	"testing"

	"github.com/eventual-go/eventual/transport"
)

// One delta of 64 bytes put for four peers, batched, sent and acknowledged by each.
func BenchmarkDelta(b *testing.B) {
	for name, out := range map[string]core{"Outbox": new(Outbox), "Broadcast": &Broadcast{Self: 1}} {
		b.Run(name, func(b *testing.B) {
			var peers []transport.NodeID
			for i := range 4 {
				peers = append(peers, transport.NodeID(fmt.Sprint(i)))
				out.Open(peers[i])
			}
			state, n := make([]byte, 64), 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := out.Put("key", state, ""); err != nil {
					b.Fatal(err)
				}
				if n++; n%100 == 0 {
					deliver(b, out, peers)
				}
			}
		})
	}
}

func deliver(b *testing.B, out core, peers []transport.NodeID) {
	for _, p := range peers {
		batch, ok := out.Batch(p)
		if !ok {
			b.Fatal("nothing to send")
		}
		resp := encodePushed(&pushed{merged: batch.Keys})
		if batch.Method == methodTree {
			m, err := decodeTree(batch.Request)
			if err != nil {
				b.Fatal(err)
			}
			var have []outcome
			for _, r := range m.runs {
				have = append(have, outcome{have: r.first + uint64(len(r.deltas)) - 1})
			}
			resp = encodeReceipt(&pushed{merged: batch.Keys}, have)
		}
		if _, err := out.Acked(p, batch.ID, resp); err != nil {
			b.Fatal(err)
		}
	}
}

// All of 10,000 keys to an empty store: the protocol alone.
func BenchmarkFullState(b *testing.B) {
	from := full(10_000)
	for b.Loop() {
		to := newSets()
		x := run(b, NewRound(to, RoundConfig{}), &Responder{Store: from}, 1<<20)
		b.ReportMetric(float64(bytesOf(x))/10_000, "B/key")
		b.ReportMetric(float64(x.RoundTrips), "rounds")
	}
}
