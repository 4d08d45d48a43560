package pebblestore

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// A policy is how a benchmark writes.
type policy struct {
	writers int
	sync    bool
	round   int // writes: long enough to be timed, and short enough that all contestants see the same disk
}

// One writer that syncs does little in a round, so that a slow disk does not take all day.
var policies = []policy{{1, false, 10_000}, {64, false, 10_000}, {1, true, 100}, {64, true, 6400}}

func forPolicies(b *testing.B, run func(b *testing.B, p policy)) {
	for _, p := range policies {
		b.Run(fmt.Sprintf("writers=%d/sync=%t", p.writers, p.sync), func(b *testing.B) { run(b, p) })
	}
}

// A contestant is a way of writing. The i-th write is one of many goroutines'.
type contestant struct {
	name  string
	write func(i int) error
}

// contest has all take turns, and reports the medians over all rounds: how many writes of each are done in a second, and
// how many while the first one does one.
func contest(b *testing.B, p policy, all ...contestant) {
	rates, ratios := make([][]float64, len(all)), make([][]float64, len(all))
	for n := 0; b.Loop(); n++ {
		var first time.Duration
		for i, c := range all {
			took := round(b, p, n*p.round, c.write)
			if i == 0 {
				first = took
			}
			rates[i] = append(rates[i], float64(p.round)/took.Seconds())
			ratios[i] = append(ratios[i], first.Seconds()/took.Seconds())
		}
	}
	for i, c := range all {
		b.ReportMetric(median(rates[i]), c.name+"/s")
		if i > 0 {
			b.ReportMetric(median(ratios[i]), c.name+"/"+all[0].name)
		}
	}
	b.ReportMetric(0, "ns/op") // of a round, which says nothing
}

// round has the writers do the writes of a round together.
func round(b *testing.B, p policy, from int, write func(i int) error) time.Duration {
	var wg sync.WaitGroup
	start := time.Now()
	for w := range p.writers {
		wg.Go(func() {
			for i := w; i < p.round; i += p.writers {
				if err := write(from + i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

func median(all []float64) float64 {
	slices.Sort(all)
	return all[len(all)/2]
}
