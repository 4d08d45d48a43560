package pbs

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"
)

// A Histogram counts durations, in 17 kB whatever their number. Its buckets are 32 to a
// doubling, from 1 microsecond up to 73 minutes; below they are 32 ns wide, and what is above
// counts as that. The zero Histogram is empty and ready. It must not be copied.
//
// All methods are safe for concurrent use. Record neither locks nor allocates.
type Histogram struct {
	turn        sync.Mutex
	current     atomic.Uint32
	generations [2][buckets]atomic.Uint64
}

const (
	fine    = 5 // 2^5 buckets to a doubling
	unit    = 5 // 2^5 ns
	octaves = 32
	buckets = (octaves + 1) << fine
)

// bucket is where a duration is counted.
func bucket(d time.Duration) int {
	u := uint64(max(d, 0)) >> unit
	shift := max(bits.Len64(u)-fine-1, 0)
	return min(shift<<fine+int(u>>shift), buckets-1)
}

// bounds are the least duration of a bucket, and how wide it is.
func bounds(i int) (least, width time.Duration) {
	shift := max(i>>fine-1, 0)
	return time.Duration(i-shift<<fine) << (shift + unit), 1 << (shift + unit)
}

// Record counts a duration. One that is negative, by a clock that went back, counts as zero.
func (h *Histogram) Record(d time.Duration) {
	h.generations[h.current.Load()][bucket(d)].Add(1)
}

// Rotate forgets what was counted before the last Rotate. Called each minute, the
// Histogram is of the last one to two minutes. What is recorded at the same moment is
// counted, or forgotten.
func (h *Histogram) Rotate() {
	h.turn.Lock()
	defer h.turn.Unlock()
	next := 1 - h.current.Load()
	for i := range h.generations[next] {
		h.generations[next][i].Store(0)
	}
	h.current.Store(next)
}

// Merge adds what another one has counted, as if it had been recorded here now: of several nodes
// that are alike, or several coordinators.
func (h *Histogram) Merge(from *Histogram) {
	if from == nil {
		return
	}
	counts := from.counts()
	current := &h.generations[h.current.Load()]
	for i, n := range counts {
		if n > 0 {
			current[i].Add(n)
		}
	}
}

func (h *Histogram) counts() (all [buckets]uint64) {
	for g := range h.generations {
		for i := range h.generations[g] {
			all[i] += h.generations[g][i].Load()
		}
	}
	return all
}

// Observed returns what is counted now, as a [Distribution] that does not change any more.
func (h *Histogram) Observed() *Observed {
	o := new(Observed)
	for i, n := range h.counts() {
		if n > 0 {
			least, width := bounds(i)
			o.buckets = append(o.buckets, filled{least, width, o.Count() + n})
		}
	}
	o.buckets = slices.Clip(o.buckets)
	return o
}

// An Observed is the distribution of durations that a [Histogram] has counted: within a
// bucket they are taken to be spread evenly, so that each is within 1/32 of what it was. It is safe for
// concurrent use. An empty one, also nil, is of no use to a [Model], which says so.
type Observed struct {
	buckets []filled
}

type filled struct {
	least, width time.Duration
	upTo         uint64 // durations counted in this bucket and in those before it
}

// Count is how many durations there are.
func (o *Observed) Count() uint64 {
	if o == nil || len(o.buckets) == 0 {
		return 0
	}
	return o.buckets[len(o.buckets)-1].upTo
}

// Sample draws from it.
func (o *Observed) Sample(r *rand.Rand) time.Duration { return o.Quantile(r.Float64()) }

// Quantile is the duration that a fraction q, from 0 to 1, is no longer than; zero if
// nothing was counted.
func (o *Observed) Quantile(q float64) time.Duration {
	n := o.Count()
	if n == 0 {
		return 0
	}
	if q = max(q, 0); !(q < 1) {
		q = 1
	}
	u := q * float64(n)
	i := sort.Search(len(o.buckets)-1, func(i int) bool { return float64(o.buckets[i].upTo) > u })
	b, before := &o.buckets[i], uint64(0)
	if i > 0 {
		before = o.buckets[i-1].upTo
	}
	within := (u - float64(before)) / float64(b.upTo-before)
	return b.least + time.Duration(min(max(within, 0), 1)*float64(b.width))
}
