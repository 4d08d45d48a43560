package benchmark

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A histogram counts durations in buckets that are at most 1/32 as wide as they are
// far from zero. It has a fixed size: to record allocates nothing.
type histogram [32 * 60]uint64

func bucketOf(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < 64 {
		return int(n)
	}
	shift := bits.Len64(n) - 6
	return shift*32 + int(n>>shift)
}

// upper is the least duration that is beyond the bucket.
func upper(bucket int) time.Duration {
	if bucket < 64 {
		return time.Duration(bucket + 1)
	}
	shift := bucket/32 - 1
	return time.Duration(bucket%32+33) << shift
}

func (h *histogram) record(d time.Duration) { h[bucketOf(d)]++ }

func (h *histogram) merge(o *histogram) {
	for i, n := range o {
		h[i] += n
	}
}

func (h *histogram) count() (n uint64) {
	for _, in := range h {
		n += in
	}
	return n
}

// quantile returns a duration that the part q of those recorded stays below.
func (h *histogram) quantile(q float64) time.Duration {
	left := uint64(q * float64(h.count()))
	for i, n := range h {
		if n > left {
			return upper(i)
		}
		left -= n
	}
	return 0
}

func TestHistogramIsWithinAThirtySecond(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h histogram
	all := make([]time.Duration, 10_000)
	for i := range all {
		all[i] = time.Duration(rng.Uint64() >> (4 + rng.IntN(60)))
		h.record(all[i])
	}
	slices.Sort(all)
	require.EqualValues(t, len(all), h.count())
	for _, q := range []float64{0, 0.01, 0.5, 0.99, 0.9999} {
		exact := all[int(q*float64(len(all)))]
		got := h.quantile(q)
		require.Greater(t, got, exact, q)
		require.LessOrEqual(t, got-exact, exact/32+1, q)
	}
	require.Zero(t, new(histogram).quantile(0.5))
}
