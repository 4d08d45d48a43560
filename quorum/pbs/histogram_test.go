package pbs

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBucketsAreOneAfterAnother(t *testing.T) {
	var next time.Duration
	for i := range buckets {
		least, width := bounds(i)
		require.Equal(t, next, least)
		require.Equal(t, i, bucket(least))
		require.Equal(t, i, bucket(least+width-1))
		require.LessOrEqual(t, width, max(32, least/32))
		next = least + width
	}
	t.Logf("%d buckets, up to %v", buckets, next)
	require.Equal(t, buckets-1, bucket(math.MaxInt64))
	require.Zero(t, bucket(-1))
}

// Quantiles of a histogram are those of what was recorded, within a bucket; and so are
// those of what is drawn from it.
func TestHistogramsAgreeWithSamples(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for _, d := range []Distribution{ssd, disk, ymmrWrite, Exponential(time.Hour), Exponential(10 * time.Microsecond)} {
		var h Histogram
		exact := make([]time.Duration, 100_000)
		for i := range exact {
			exact[i] = min(draw(d, r), 70*time.Minute)
			h.Record(exact[i])
		}
		slices.Sort(exact)
		o := h.Observed()
		require.EqualValues(t, len(exact), o.Count())
		drawn := make([]time.Duration, len(exact))
		for i := range drawn {
			drawn[i] = o.Sample(r)
		}
		slices.Sort(drawn)
		for _, q := range []float64{0.001, 0.1, 0.5, 0.9, 0.99, 0.999} {
			want := exact[int(q*float64(len(exact)))]
			require.InDelta(t, want, o.Quantile(q), float64(want)/32+32)
			s := quantile(drawn, q, 0.9999, func(time.Duration) int { return len(drawn) })
			require.True(t, s.Low <= want*33/32+32 && s.High >= want*31/32-32, "%v: %v, drawn %v", q, want, s)
		}
	}
}

func TestRotateForgets(t *testing.T) {
	var h Histogram
	h.Record(ms)
	h.Rotate()
	h.Record(3 * ms)
	require.EqualValues(t, 2, h.Observed().Count())
	h.Rotate()
	require.EqualValues(t, 1, h.Observed().Count())
	require.InEpsilon(t, 3*ms, h.Observed().Quantile(0.5), 1./32)
	h.Rotate()
	require.Zero(t, h.Observed().Count())
	require.Zero(t, h.Observed().Quantile(0.5))
}

func TestMergedHistogramsAreOne(t *testing.T) {
	var a, b, both Histogram
	r := rand.New(rand.NewPCG(3, 1))
	for i := range 1000 {
		d := draw(ymmr, r)
		both.Record(d)
		if i%3 == 0 {
			a.Record(d)
		} else {
			b.Record(d)
		}
	}
	b.Rotate()
	a.Merge(&b)
	require.Equal(t, both.Observed(), a.Observed())
	b.Merge(&b)
	require.EqualValues(t, 2*666, b.Observed().Count())
}

func TestRecordingAllocatesNothing(t *testing.T) {
	var h Histogram
	require.Zero(t, testing.AllocsPerRun(100, func() { h.Record(ms) }))
}

func TestHistogramsAreConcurrent(t *testing.T) {
	const each, writers = 2000, 4
	var h, sum Histogram
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for i := range each {
				h.Record(time.Duration(i) * time.Microsecond)
			}
		})
	}
	wg.Go(func() {
		for last := uint64(0); last < writers*each; {
			n := h.Observed().Count()
			require.GreaterOrEqual(t, n, last)
			last = n
			sum.Record(time.Duration(n))
		}
	})
	wg.Go(func() {
		for range 100 {
			sum.Rotate()
			sum.Merge(&sum)
		}
	})
	wg.Wait()
	require.EqualValues(t, writers*each, h.Observed().Count())
}
