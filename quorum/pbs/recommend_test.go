package pbs

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func choices(t *testing.T, least int, target Target) []Choice {
	t.Helper()
	all, err := Recommend(Model{Replicas: Same(5, published[0].legs)}, least, target, Simulation{Trials: 4000, Seed: 1})
	require.NoError(t, err)
	return all
}

func TestRecommendAgreesWithPredict(t *testing.T) {
	target := Target{Consistent: 0.99, After: ms, Read: 2 * ms, Write: 3 * ms, Quantile: 0.99, Survive: 1, Copies: 2}
	all := choices(t, 1, target)
	require.Len(t, all, 1+4+9+16+25)
	failed := false
	for _, c := range all {
		p := predict(t, Model{R: c.R, W: c.W, Replicas: Same(c.N, published[0].legs)}, Simulation{Trials: 4000, Seed: 1})
		require.Equal(t, p.Consistent(ms), c.Consistent)
		require.Equal(t, p.Read(0.99), c.Read)
		require.Equal(t, p.Write(0.99), c.Write)
		meets := c.Consistent.Low >= 0.99 && c.Read.High <= 2*ms && c.Write.High <= 3*ms && max(c.R, c.W) < c.N && c.W >= 2
		require.Equal(t, meets, len(c.Reasons) == 0, "%+v", c)
		require.False(t, failed && meets, "those that meet it come first")
		failed = failed || !meets
	}
	require.Empty(t, all[0].Reasons)
	require.Equal(t, 3, all[0].N)
}

func TestWhatNothingMeetsHasReasons(t *testing.T) {
	all := choices(t, 3, Target{Consistent: 1, Read: 1, Write: 1, Survive: 2, Copies: 3})
	for _, c := range all {
		require.NotEmpty(t, c.Reasons)
	}
	last := all[len(all)-1]
	t.Logf("%+v", last)
	require.GreaterOrEqual(t, len(last.Reasons), 4)
}

// Certainty is had by counting, and not by trials.
func TestOnlyQuorumsThatMeetAreCertain(t *testing.T) {
	for _, c := range choices(t, 1, Target{Consistent: 1, After: time.Minute}) {
		require.Equal(t, c.R+c.W > c.N, len(c.Reasons) == 0)
	}
}

func TestBadTargetsAreRefused(t *testing.T) {
	m := Model{Replicas: Same(2, Legs{})}
	for _, target := range []Target{{Consistent: nan}, {Consistent: 2}, {Quantile: nan}, {Quantile: 1}, {After: -1},
		{Read: -1}, {Write: -1}, {Survive: -1}, {Copies: -1}} {
		_, err := Recommend(m, 1, target, Simulation{Trials: 10})
		_, ok := errors.AsType[*ParameterError](err)
		require.True(t, ok, "%+v", target)
	}
	for _, least := range []int{-1, 0, 3} {
		_, err := Recommend(m, least, Target{}, Simulation{Trials: 10})
		require.ErrorContains(t, err, "pbs: least")
	}
	_, err := Recommend(m, 1, Target{}, Simulation{Trials: -1})
	require.ErrorContains(t, err, "pbs: Trials")
}
