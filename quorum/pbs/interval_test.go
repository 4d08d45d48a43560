package pbs

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// An interval holds the truth as often as it says, over many seeds.
func TestIntervalsHoldTheTruth(t *testing.T) {
	const seeds, trials = 1500, 400
	for _, confidence := range []float64{0.8, 0.95} {
		var chance, until, tail, write int
		for seed := range uint64(seeds) {
			p := predict(t, one(1, 0), Simulation{Trials: trials, Seed: seed, Confidence: confidence})
			c := p.Consistent(ms)
			chance += holds(c.Low <= 1-0.5/math.E && 1-0.5/math.E <= c.High)
			until += holds(around(p.Until(0.9), math.Log(5)))
			tail += holds(around(p.Until(0.995), math.Log(100)))
			write += holds(around(p.Write(0.5), math.Ln2/2)) // the first of two
		}
		margin := 3.5 * math.Sqrt(confidence*(1-confidence)*seeds)
		for name, got := range map[string]int{"chance": chance, "until": until, "tail": tail, "write": write} {
			t.Logf("said %.2f, %s held %.3f", confidence, name, float64(got)/seeds)
			require.Greater(t, float64(got), confidence*seeds-margin, name)
			require.Less(t, got, seeds, "an interval that always holds says nothing")
		}
	}
}

// Near 1, where it matters most, too: how often the interval holds the truth is summed up over all that may be drawn.
func TestIntervalsHoldTheTruthNearOne(t *testing.T) {
	for _, c := range []struct {
		n          int
		p          float64
		confidence float64
	}{{1000, 0.9999, 0.99}, {1000, 0.9999, 0.95}, {100_000, 0.99999, 0.99}, {100_000, 0.99999, 0.95}, {400, 0.5, 0.95}, {1000, 0.001, 0.95}} {
		held, all := 0.0, 0.0
		for hits := range c.n + 1 {
			mass := math.Exp(logBinomial(c.n, hits) + float64(hits)*math.Log(c.p) + float64(c.n-hits)*math.Log1p(-c.p))
			if mass < 1e-12 {
				continue
			}
			all += mass
			if got := exact(hits, c.n, c.n, c.confidence); got.Low <= c.p && c.p <= got.High {
				held += mass
			}
		}
		require.InDelta(t, 1, all, 1e-6)
		t.Logf("%d draws of %v, said %v: held %.4f", c.n, c.p, c.confidence, held)
		require.GreaterOrEqual(t, held, c.confidence-1e-6)
	}
}

func holds(ok bool) int {
	if ok {
		return 1
	}
	return 0
}

// around says whether a span holds a number of milliseconds.
func around(s Span, want float64) bool {
	d := time.Duration(want * float64(ms))
	return s.Low <= d && d <= s.High
}

// Where draws are worth what they are, the ranks are quantiles of the binomial distribution, summed up here from its start.
func TestRanksAreBinomial(t *testing.T) {
	for _, n := range []int{1, 2, 10, 57, 1000} {
		sorted := make([]time.Duration, n)
		for i := range sorted {
			sorted[i] = time.Duration(i + 1)
		}
		for _, q := range []float64{0.001, 0.3, 0.5, 0.9, 0.999} {
			for _, alpha := range []float64{0.4, 0.025, 1e-6} {
				got := quantile(sorted, q, 1-2*alpha, func(time.Duration) int { return n })
				require.EqualValues(t, rankBelow(n, q, alpha), got.Low, "%d %v %v", n, q, alpha)
				if above := rankBelow(n, 1-q, alpha); above > 0 {
					require.EqualValues(t, n+1-above, got.High, "%d %v %v", n, q, alpha)
				} else {
					require.Equal(t, Unbounded, got.High)
				}
			}
		}
	}
}

// rankBelow is the highest rank such that fewer of n trials than it succeed with a probability of at most alpha.
func rankBelow(n int, p, alpha float64) (rank int) {
	sum := 0.0
	for k := 0; k < n; k++ {
		sum += math.Exp(logBinomial(n, k) + float64(k)*math.Log(p) + float64(n-k)*math.Log1p(-p))
		if sum <= alpha {
			rank = k + 1
		}
	}
	return rank
}

// However few draws the trials are worth, whatever is asked for and however sure one wants to be of it, an interval has
// its estimate in it.
func TestIntervalsHoldTheirEstimate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3000).Draw(t, "n")
		worth := rapid.IntRange(1, n).Draw(t, "worth")
		confidence := rapid.OneOf(rapid.SampledFrom([]float64{5e-324, 1e-9, 0.5, 0.95, 0.99, 1 - 1e-9, math.Nextafter(1, 0)}),
			rapid.Float64Range(1e-12, 1-1e-12)).Draw(t, "confidence")
		q := rapid.OneOf(rapid.SampledFrom([]float64{-1, 0, 5e-324, 1e-9, 0.5, 0.999, math.Nextafter(1, 0), 1, 2, math.NaN()}),
			rapid.Float64Range(0, 1), rapid.Map(rapid.IntRange(0, n), func(i int) float64 { return float64(i) / float64(n) })).Draw(t, "q")
		sorted := make([]time.Duration, n)
		for i := range sorted {
			sorted[i] = time.Duration(i + 1)
		}
		s := quantile(sorted, q, confidence, func(time.Duration) int { return worth })
		require.LessOrEqual(t, s.Low, s.Value)
		require.LessOrEqual(t, s.Value, s.High)
		hits := rapid.IntRange(0, n).Draw(t, "hits")
		c := exact(hits, n, worth, confidence)
		require.LessOrEqual(t, c.Low, c.Value)
		require.LessOrEqual(t, c.Value, c.High)
		require.True(t, c.Low >= 0 && c.Low < 1 && c.High > 0 && c.High <= 1)
	})
}

// So it is with what is left of few round trips that were drawn again: the first and the last of few draws are not the
// least and the longest of all trials.
func TestIntervalsOfLittleHoldTheirEstimate(t *testing.T) {
	for _, n := range []int{3, 30, 300} {
		for _, split := range []Split{Halves, Stalest} {
			legs := measuredBy(published[1].legs, n, 4).Redrawn(split, 20, 1)
			p := predict(t, Model{R: 1, W: 1, Replicas: Same(3, legs)}, Simulation{Trials: 20_000, Seed: 1})
			for _, q := range []float64{0.001, 0.01, 0.5, 0.9, 0.99, 0.999} {
				for _, s := range []Span{p.Until(q), p.Read(q), p.Write(q)} {
					require.True(t, s.Low <= s.Value && s.Value <= s.High, "%d round trips, %v: %v", n, q, s)
				}
			}
			for _, at := range []time.Duration{0, ms, 10 * ms, 100 * ms, time.Second} {
				c := p.Consistent(at)
				require.True(t, c.Low <= c.Value && c.Value <= c.High, "%d round trips, %v: %v", n, at, c)
			}
		}
	}
}

func TestTooFewTrialsHaveNoUpperBound(t *testing.T) {
	p := predict(t, one(1, 0), Simulation{Trials: 1000})
	require.Equal(t, Unbounded, p.Until(0.999).High)
	require.Less(t, p.Until(0.99).High, Unbounded)
	require.Contains(t, p.Until(0.999).String(), "?]")
	for _, q := range []float64{1, 2, math.Inf(1), math.NaN()} {
		s := p.Read(q)
		require.Equal(t, Unbounded, s.High)
		require.Equal(t, p.Read(1).Value, s.Value)
	}
	require.Equal(t, p.Write(0), p.Write(-3))
	require.Equal(t, p.Write(0).Value, p.Write(0).High)
	require.Equal(t, p.Consistent(0), p.Consistent(-time.Hour))
	always := p.Consistent(time.Hour)
	require.Equal(t, 1.0, always.Value)
	require.Less(t, always.Low, 1.0)
}

// Figures from textbooks: Newcombe (1998), table 1, for intervals, and the ranks for a median.
func TestPublishedIntervals(t *testing.T) {
	for _, c := range []struct {
		hits, n   int
		low, high float64
	}{{81, 263, 0.2527, 0.3676}, {15, 148, 0.0578, 0.1617}, {0, 20, 0, 0.1684}, {1, 29, 0.0009, 0.1776}} {
		got := exact(c.hits, c.n, c.n, 0.95)
		require.InDelta(t, c.low, got.Low, 5e-5)
		require.InDelta(t, c.high, got.High, 5e-5)
	}
	ten := func(time.Duration) int { return 10 }
	sorted := make([]time.Duration, 10)
	for i := range sorted {
		sorted[i] = time.Duration(i + 1)
	}
	require.Equal(t, Span{Value: 5, Low: 2, High: 9}, quantile(sorted, 0.5, 0.95, ten))
	require.Equal(t, Span{Value: 5, Low: 1, High: 10}, quantile(sorted, 0.5, 0.99, ten))
}
