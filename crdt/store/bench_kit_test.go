package store_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// A round is long enough to be timed, and short enough that both of two see the same machine.
const benchRound = 1 << 15

func forWriters(b *testing.B, run func(b *testing.B, writers int)) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) { run(b, writers) })
	}
}

// turns has two ways of writing take turns, and reports the medians over all rounds: how many writes of the second are
// done in a second, and how many while the first, of that name, does one.
func turns(b *testing.B, writers int, name string, first, second func(i int)) {
	var ratios, rates []float64
	for b.Loop() {
		least, took := round(writers, first), round(writers, second)
		ratios = append(ratios, least.Seconds()/took.Seconds())
		rates = append(rates, benchRound/took.Seconds())
	}
	b.ReportMetric(median(ratios), "x/"+name)
	b.ReportMetric(median(rates), "ops/s")
	b.ReportMetric(0, "ns/op") // of a round, which says nothing
}

// rate is turns of one.
func rate(b *testing.B, writers int, write func(i int)) {
	var rates []float64
	for b.Loop() {
		rates = append(rates, benchRound/round(writers, write).Seconds())
	}
	b.ReportMetric(median(rates), "ops/s")
	b.ReportMetric(0, "ns/op")
}

// round has so many writers write together.
func round(writers int, write func(i int)) time.Duration {
	var wg sync.WaitGroup
	start := time.Now()
	for w := range writers {
		wg.Go(func() {
			for i := w; i < benchRound; i += writers {
				write(i)
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
