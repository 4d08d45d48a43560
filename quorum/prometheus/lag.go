package quorumprom

import (
	"sort"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/quorum"
)

const unbounded = len(quorum.Lag{}.Counts) - 1 // the bucket without an upper bound

// A histogram has the buckets of a [quorum.Lag], whatever it was made from, so that
// sources can be added up.
type histogram struct {
	counts [unbounded + 1]uint64
	sum    float64 // in seconds
}

func ofLag(l *quorum.Lag) histogram { return histogram{l.Counts, l.Sum.Seconds()} }

// ofDelays reads the buckets of d out of its quantiles: the update of some rank is in
// the bucket that the quantile of this rank is the upper bound of. Each counts as
// much as that bound. It costs O(buckets of d in use × log(updates)) quantiles.
func ofDelays(d *antientropy.Delays) (h histogram) {
	n := d.Count()
	bound := func(rank uint64) time.Duration { return d.Quantile((float64(rank) - 0.5) / float64(n)) }
	for done := uint64(0); done < n; {
		b := bound(done + 1)
		some := 1 + uint64(sort.Search(int(n-done-1), func(i int) bool { return bound(done+2+uint64(i)) > b }))
		h.add(b, some)
		done += some
	}
	return h
}

func (h *histogram) add(d time.Duration, n uint64) {
	h.counts[sort.Search(unbounded, func(i int) bool { return d <= quorum.LagBound(i) })] += n
	h.sum += d.Seconds() * float64(n)
}

// metric is h as Prometheus has it, where each bucket contains those before it.
func (h *histogram) metric(desc *prometheus.Desc, source string) prometheus.Metric {
	buckets, n := make(map[float64]uint64, unbounded), uint64(0)
	for i, c := range h.counts {
		n += c
		if i < unbounded {
			buckets[quorum.LagBound(i).Seconds()] = n
		}
	}
	m, err := prometheus.NewConstHistogram(desc, n, h.sum, buckets, source)
	return valid(desc, m, err)
}
