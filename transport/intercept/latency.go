package intercept

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A Latency is a distribution of durations: Counts[i] of them are less than
// LatencyBound(i), and not less than the one before. The last one has all that are
// longer.
type Latency struct {
	Counts [latencyBuckets]uint64
	Sum    time.Duration
}

const (
	latencyBuckets = 24
	latencyUnit    = 16 * time.Microsecond
)

// LatencyBound is the upper bound of bucket i of a [Latency]: 16 microseconds times
// 2^i, so 67 seconds for the last one that has a bound. Bucket 23 has none.
func LatencyBound(i int) time.Duration { return latencyUnit << i }

// Count is how many durations there are.
func (l *Latency) Count() (n uint64) {
	for _, c := range l.Counts {
		n += c
	}
	return n
}

// Quantile is an upper bound of the fraction q of the durations, from 0 to 1, at most
// twice what it is, but for those under 16 microseconds and over 67 seconds; zero if
// there are none.
func (l *Latency) Quantile(q float64) time.Duration {
	n := l.Count()
	if n == 0 {
		return 0
	}
	rank, seen := uint64(min(max(q, 0), 1)*float64(n-1)), uint64(0)
	for i, c := range l.Counts {
		if seen += c; seen > rank {
			return LatencyBound(i)
		}
	}
	return LatencyBound(latencyBuckets - 1)
}

type latency struct {
	counts [latencyBuckets]atomic.Uint64
	sum    atomic.Int64
}

func (l *latency) add(d time.Duration) {
	d = max(d, 0)
	l.counts[min(bits.Len64(uint64(d/latencyUnit)), latencyBuckets-1)].Add(1)
	l.sum.Add(int64(d))
}

func (l *latency) load() (out Latency) {
	for i := range l.counts {
		out.Counts[i] = l.counts[i].Load()
	}
	out.Sum = time.Duration(l.sum.Load())
	return out
}
