package quorumprom

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// The model keeps every sample. What has grown is measured from a moment that is a span
// ago, or longer by a thirtieth and by the time between two samples.
func TestWindowReachesBackOverItsSpan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := window{span: time.Minute}
		var all []sample
		now, n := start, uint64(0)
		for range rapid.IntRange(1, 300).Draw(t, "samples") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(20*time.Second)).Draw(t, "gap")))
			n += rapid.Uint64Range(0, 5).Draw(t, "grown")
			all = append(all, sample{now, tally{conflicts: n}})
			got, over := w.grown(now, tally{conflicts: n})

			newest := 0 // that is a span ago
			for i, s := range all {
				if now.Sub(s.at) >= w.span {
					newest = i
				}
			}
			from := now.Add(-over)
			require.False(t, from.After(all[newest].at), "the window is too short")
			require.Less(t, all[newest].at.Sub(from), w.span/resolution, "the window is too long")
			i := 0
			for !all[i].at.Equal(from) {
				i++ // to the first of its instant: others are too near to be kept
			}
			require.Equal(t, n-all[i].conflicts, got.conflicts)
			require.LessOrEqual(t, len(w.kept), resolution+2)
		}
	})
}

func TestScrapesWithoutPauseKeepFewSamples(t *testing.T) {
	w := window{span: time.Minute}
	for i := range 200_000 {
		got, over := w.grown(start.Add(time.Duration(i)*time.Millisecond), tally{conflicts: uint64(i)})
		require.LessOrEqual(t, len(w.kept), resolution+2)
		require.EqualValues(t, over.Milliseconds(), got.conflicts)
	}
	_, over := w.grown(start.Add(200*time.Second), tally{})
	require.InDelta(t, 61, over.Seconds(), 1)
}

func TestRatesOfASteadyNode(t *testing.T) {
	var w windows
	var r rates
	for i := range 60 { // each 15 s: 3 conflicts, 200 writes of which 1 fails, 20 repairs of which 1 fails
		n := uint64(i)
		r = w.rates(start.Add(time.Duration(i)*15*time.Second), tally{3 * n, 200 * n, n, 20 * n, n})
		if i > 0 {
			require.InDelta(t, 0.005, r.writeErrors, 1e-9)
			require.InDelta(t, 0.95, r.repairs, 1e-9)
		}
		require.LessOrEqual(t, r.conflicts, 12.0+1e-9, "a short time is not made longer")
	}
	require.InDelta(t, 12, r.conflicts, 1e-9)
}

func TestRatesForgetWhatIsOlderThanTheWindow(t *testing.T) {
	var w windows
	w.rates(start, tally{})
	bad := tally{conflicts: 30, writes: 10, writeErrors: 10, repairs: 10, repairErrors: 5}
	require.Equal(t, rates{conflicts: 30, repairs: 0.5, writeErrors: 1}, w.rates(start.Add(15*time.Second), bad))
	require.Equal(t, rates{conflicts: 30, repairs: 0.5, writeErrors: 1}, w.rates(start.Add(60*time.Second), bad))
	require.Equal(t, rates{conflicts: 0, repairs: 0.5, writeErrors: 1}, w.rates(start.Add(75*time.Second), bad))
	require.Equal(t, rates{conflicts: 0, repairs: 0.5, writeErrors: 1}, w.rates(start.Add(5*time.Minute), bad))
	require.Equal(t, rates{conflicts: 0, repairs: 1, writeErrors: 0}, w.rates(start.Add(10*time.Minute), bad))
}

func TestTheFirstScrapeKnowsNothing(t *testing.T) {
	var w windows
	long := tally{conflicts: 1e6, writes: 1e6, writeErrors: 1e6, repairs: 1e6, repairErrors: 1e6}
	require.Equal(t, rates{repairs: 1}, w.rates(start, long))
}

func TestSlowScrapesAverage(t *testing.T) {
	var w windows
	w.rates(start, tally{})
	r := w.rates(start.Add(10*time.Minute), tally{conflicts: 50})
	require.InDelta(t, 5, r.conflicts, 1e-9)
}

// A coordinator that was made anew counts from zero; a clock may be put back; counters
// are not read at one instant. None of it makes a rate that cannot be.
func TestRatesStayInTheirRange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w windows
		now := start
		count := rapid.Uint64Range(0, 100)
		for range rapid.IntRange(1, 50).Draw(t, "samples") {
			now = now.Add(time.Duration(rapid.Int64Range(-int64(time.Minute), int64(2*time.Minute)).Draw(t, "gap")))
			r := w.rates(now, tally{count.Draw(t, "c"), count.Draw(t, "w"), count.Draw(t, "we"), count.Draw(t, "r"), count.Draw(t, "re")})
			require.True(t, r.conflicts >= 0 && r.conflicts <= 100, "%v", r)
			require.True(t, r.repairs >= 0 && r.repairs <= 1, "%v", r)
			require.True(t, r.writeErrors >= 0 && r.writeErrors <= 1, "%v", r)
		}
	})
}
