package pbs

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Going up in t, with new trials at each step, until the share of consistent ones first
// reaches the target, stops too early: each step is another chance for noise to reach it, so
// the answer is the least of many that are each right on average.
func TestFirstCrossingIsTooEarly(t *testing.T) {
	const (
		target = 0.99
		trials = 1000
		step   = ms / 20
		sweeps = 20
	)
	exact := math.Log(0.5 / (1 - target)) // in means
	var crossing, quantiles float64
	for sweep := range uint64(sweeps) {
		var at time.Duration
		for ; ; at += step {
			s := Simulation{Trials: trials, Seed: sweep<<32 + uint64(at)}
			if predict(t, one(1, 0), s).Consistent(at).Value >= target {
				break
			}
		}
		crossing += at.Seconds() * 1000 / sweeps
		quantiles += predict(t, one(1, 0), Simulation{Trials: trials, Seed: sweep}).Until(target).Value.Seconds() * 1000 / sweeps
	}
	deviation := math.Sqrt(target*(1-target)/trials) / (1 - target) // of one quantile
	t.Logf("exact %.3f, quantiles of as many trials %.3f, first crossings %.3f: %.1f deviations too early",
		exact, quantiles, crossing, (exact-crossing)/deviation)
	require.InDelta(t, exact, quantiles, 4*deviation/math.Sqrt(sweeps))
	require.Less(t, crossing, exact-deviation/2)
}
