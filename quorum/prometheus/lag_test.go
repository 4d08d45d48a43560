package quorumprom

import (
	"math"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/quorum"
)

// delays fills in what otherwise a Loop alone does: bucket i has durations up to
// 2^(i/4) milliseconds.
func delays(t require.TestingT, counts [128]uint64) (d antientropy.Delays) {
	require.Equal(t, unsafe.Sizeof(counts), unsafe.Sizeof(d))
	*(*[128]uint64)(unsafe.Pointer(&d)) = counts
	return d
}

func TestDelaysAreReadOutOfTheirQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var counts [128]uint64
		for range rapid.IntRange(0, 20).Draw(t, "buckets") {
			n := rapid.Uint64Range(1, 1<<rapid.IntRange(1, 40).Draw(t, "bits")).Draw(t, "count")
			counts[rapid.IntRange(0, 127).Draw(t, "bucket")] = n
		}
		d := delays(t, counts)

		var want histogram
		for i, n := range counts {
			bound := time.Duration(math.Exp2(float64(i)/4) * float64(time.Millisecond))
			want.sum += bound.Seconds() * float64(n)
			for b := range want.counts {
				if b == unbounded || bound <= quorum.LagBound(b) {
					want.counts[b] += n
					break
				}
			}
		}
		got := ofDelays(&d)
		require.Equal(t, want.counts, got.counts)
		require.InEpsilon(t, 1+want.sum, 1+got.sum, 1e-9)
	})
}

func TestNothingDelayed(t *testing.T) {
	require.Equal(t, histogram{}, ofDelays(&antientropy.Delays{}))
}

func BenchmarkDelays(b *testing.B) {
	var counts [128]uint64
	for i := range 64 {
		counts[i] = 1 << (i % 32)
	}
	d := delays(b, counts)
	for b.Loop() {
		ofDelays(&d)
	}
}
