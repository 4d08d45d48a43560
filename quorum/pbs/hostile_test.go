package pbs

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var nan, inf = math.NaN(), math.Inf(1)

// themselves are a mixture and a sum that contain themselves.
func themselves() (Mixture, Sum) {
	m, s := make(Mixture, 50), make(Sum, 50)
	for i := range m {
		m[i], s[i] = Part{1, m}, s
	}
	return m, s
}

func TestBadDistributionsAreRefused(t *testing.T) {
	endless, sum := themselves()
	for i, d := range []Distribution{
		Constant(-1), Exponential(0), Exponential(-ms),
		Pareto{}, Pareto{ms, 0}, Pareto{ms, -1}, Pareto{ms, nan}, Pareto{ms, inf}, Pareto{-ms, 1},
		Mixture{}, Mixture{{0, Constant(ms)}}, Mixture{{-1, Constant(ms)}, {2, Constant(ms)}}, Mixture{{nan, nil}},
		Mixture{{inf, Constant(1)}}, Mixture{{math.MaxFloat64, nil}, {math.MaxFloat64, nil}}, Mixture{{1, Pareto{}}}, endless,
		Sum{Constant(-1)}, sum, Scaled{nil, 0}, Scaled{nil, nan}, Scaled{nil, -1}, Scaled{nil, inf}, Scaled{Empirical{}, 1},
		Empirical(nil), (*Observed)(nil), new(Observed), (*Pareto)(nil),
	} {
		for _, l := range []Legs{{Write: d}, {Ack: d}, {Read: d}, {Response: d}} {
			_, err := Model{R: 1, W: 1, Replicas: Same(3, l)}.Predict(Simulation{Trials: 10})
			e, ok := errors.AsType[*ParameterError](err)
			require.True(t, ok, "%d: %T", i, d)
			require.Contains(t, e.Error(), "pbs: Replicas[0].")
		}
	}
}

// Whoever draws from one without asking a Model gets something, and within bounds.
func TestBadDistributionsDoNotPanic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, d := range []Distribution{
		Constant(-1), Constant(math.MaxInt64), Constant(math.MinInt64), Exponential(math.MaxInt64), Exponential(-1),
		Pareto{}, Pareto{ms, 0}, Pareto{ms, nan}, Pareto{ms, -1}, Pareto{math.MaxInt64, 1e-300},
		Mixture{}, Mixture{{nan, nil}, {inf, nil}}, Mixture{{-1, Constant(1)}}, Sum{Constant(far), Constant(far), nil},
		Scaled{}, Scaled{Constant(far), inf}, Scaled{Constant(1), nan}, Empirical{}, new(Observed), (*Observed)(nil), nil,
	} {
		for range 20 {
			got := draw(d, r)
			require.True(t, got >= 0 && got <= far, "%#v: %v", d, got)
		}
	}
}

func TestBadModelsAreRefused(t *testing.T) {
	good := Model{R: 1, W: 1, Replicas: Same(3, Legs{})}
	for name, change := range map[string]func(*Model, *Simulation){
		"R":          func(m *Model, _ *Simulation) { m.R = 4 },
		"W":          func(m *Model, _ *Simulation) { m.W = -1 },
		"Replicas":   func(m *Model, _ *Simulation) { m.Replicas = Same(math.MaxInt, Legs{}) },
		"Versions":   func(m *Model, _ *Simulation) { m.Versions = MaxVersions + 1 },
		"Every":      func(m *Model, _ *Simulation) { m.Every = math.MaxInt64 },
		"Trials":     func(_ *Model, s *Simulation) { s.Trials = MaxTrials + 1 },
		"Confidence": func(_ *Model, s *Simulation) { s.Confidence = nan },
	} {
		m, s := good, Simulation{Trials: 10}
		change(&m, &s)
		_, err := m.Predict(s)
		e, ok := errors.AsType[*ParameterError](err)
		require.True(t, ok, name)
		require.Equal(t, name, e.Name)
	}
	_, err := Model{Replicas: Same(-1, Legs{})}.Predict(Simulation{Trials: -1, Confidence: 1})
	for _, all := range []string{"R is 0 of 0", "W is 0 of 0", "Trials", "Confidence"} {
		require.ErrorContains(t, err, all, "all faults at once")
	}
}

// Durations as long as they get do not run over.
func TestEndlessDurations(t *testing.T) {
	never := Constant(math.MaxInt64)
	for _, lost := range []Legs{{Write: never}, {Write: never, Ack: never, Read: never, Response: never}, {Read: never}} {
		m := Model{R: 1, W: 1, Versions: 3, Every: far / MaxVersions, Replicas: []Legs{{}, lost, lost}}
		p := predict(t, m, Simulation{Trials: 100})
		require.Zero(t, p.Write(1).Value)
		require.Zero(t, p.Until(1).Value)
		m.W, m.R = 3, 3
		require.GreaterOrEqual(t, predict(t, m, Simulation{Trials: 100}).Read(1).Value, time.Duration(0))
	}
}

func TestWithinRefuses(t *testing.T) {
	for _, c := range []struct {
		n, r, w int
		k       float64
	}{{}, {-1, 1, 1, 1}, {3, 0, 1, 1}, {3, 1, 4, 1}, {3, 1, 1, 0}, {3, 1, 1, nan}} {
		_, err := Within(c.n, c.r, c.w, c.k)
		_, ok := errors.AsType[*ParameterError](err)
		require.True(t, ok)
	}
	for _, k := range []float64{1e-300, inf} {
		p, err := Within(3, 1, 1, k)
		require.NoError(t, err)
		require.True(t, p >= 0 && p <= 1)
	}
}

// What has parts of parts that are the same is not looked through for ever, and nobody counts on nothing.
func TestSharedPartsAreCountedAsOftenAsTheyAreDrawn(t *testing.T) {
	var d Distribution = Constant(1)
	for range 15 {
		d = Sum(slices.Repeat([]Distribution{d}, 60))
	}
	_, err := Model{R: 1, W: 1, Replicas: Same(3, Legs{Write: d})}.Predict(Simulation{Trials: 10})
	require.ErrorContains(t, err, "parts")
	new(Histogram).Merge(nil)
	_, err = Model{R: 1, W: 1, Replicas: []Legs{(*Live)(nil).Legs(Alike)}}.Predict(Simulation{Trials: 10})
	require.ErrorContains(t, err, "no samples")
	_, err = Within(1<<60, 1<<59, 1, 1)
	require.Error(t, err)
}
