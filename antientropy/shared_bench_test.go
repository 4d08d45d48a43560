package antientropy

import (
	"context"
	"fmt"
	"testing"

	"github.com/eventual-go/eventual/merkle"
)

// A round between two stores of a million keys that agree, or differ in one: over all of the index, and
// over every other of 2,048 parts of it, as two nodes of a ring share them.
func BenchmarkSharedParts(b *testing.B) {
	x, y := newSets(), newSets()
	for i := range 1_000_000 {
		key := fmt.Sprint("key ", i)
		x.add(key, 1)
		y.add(key, 1)
	}
	shared := stripes(1024)
	for i := 0; ; i++ {
		if key := fmt.Sprint("key ", i); contains(shared, x.index.Hasher().Position(key)) {
			y.add(key, 2)
			break
		}
	}
	differs := 1
	for _, state := range []string{"one key differs", "in sync"} {
		for name, ranges := range map[string][]merkle.Range{"whole": nil, "1024 parts": shared} {
			b.Run(state+"/"+name, func(b *testing.B) {
				var last Exchange
				for b.Loop() {
					round := NewRound(&readOnly{x}, RoundConfig{Ranges: ranges})
					last = run(b, round, &Responder{Store: y}, 1<<20)
				}
				b.ReportMetric(float64(bytesOf(last)), "B/round")
				b.ReportMetric(float64(last.RoundTrips), "trips")
				if last.Different != differs {
					b.Fatal(last.Different, "differ")
				}
			})
		}
		for key, e := range y.content() {
			if differs == 1 && len(e) == 2 {
				x.add(key, e...)
			}
		}
		differs = 0
	}
}

// readOnly merges nothing, so that a round can be repeated.
type readOnly struct{ *sets }

func (readOnly) Merge(context.Context, string, []byte) ([]byte, error) { return nil, nil }
