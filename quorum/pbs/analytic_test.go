package pbs

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// one is a model with closed forms: two replicas, writes that take an exponential time to
// arrive, all else at once, and reads of the first replica alone. It has the write at once in one
// half of the cases, and an exponential time later in the other.
func one(versions int, every time.Duration) Model {
	return Model{R: 1, W: 1, Lean: true, Versions: versions, Every: every, Replicas: Same(2, writes(Exponential(ms)))}
}

// writes are legs where nothing else takes time.
func writes(d Distribution) Legs { return Legs{Write: d, Ack: Constant(0)} }

func binomial(n, k int) float64 { return math.Round(math.Exp(logBinomial(n, k))) }

// The W-th of N exponential times is below x as often as at least W of them are.
func TestLatenciesAreOrderStatistics(t *testing.T) {
	const n = 5
	for k := 1; k <= n; k++ {
		legs := Legs{Write: Exponential(ms), Ack: Constant(0), Read: Constant(0), Response: Exponential(ms)}
		p := predict(t, Model{R: k, W: k, Replicas: Same(n, legs)}, Simulation{Seed: uint64(k), Confidence: 0.9999})
		below := func(d time.Duration) (sum float64) {
			f := -math.Expm1(-float64(d) / float64(ms))
			for j := k; j <= n; j++ {
				sum += binomial(n, j) * math.Pow(f, float64(j)) * math.Pow(1-f, float64(n-j))
			}
			return sum
		}
		for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 0.999} {
			for _, s := range []Span{p.Read(q), p.Write(q)} {
				require.LessOrEqual(t, below(s.Low), q)
				require.GreaterOrEqual(t, below(s.High), q)
				require.True(t, s.Low <= s.Value && s.Value <= s.High)
			}
		}
	}
}

func TestConsistencyOfTwoReplicas(t *testing.T) {
	const every = ms / 2
	for k := 1; k <= 3; k++ {
		p := predict(t, one(k, every), Simulation{Seed: 7, Confidence: 0.9999})
		for _, at := range []time.Duration{0, ms / 10, ms, 3 * ms} {
			stale := 1.0
			for v := range k {
				stale *= 0.5 * math.Exp(-float64(at+time.Duration(v)*every)/float64(ms))
			}
			got := p.Consistent(at)
			require.True(t, got.Low <= 1-stale && 1-stale <= got.High, "k=%d t=%v: %v, not %v", k, at, got, 1-stale)
		}
	}
}

// Where nothing takes time but writes, a replica has a version when its last one is
// acknowledged if it is one of the first W, and only then: quorums drawn at random.
func TestVersionsAreTheClosedForm(t *testing.T) {
	for _, c := range [][3]int{{3, 1, 1}, {3, 1, 2}, {3, 2, 1}, {5, 2, 2}, {6, 1, 3}} {
		for _, k := range []int{1, 2, 5} {
			m := Model{R: c[1], W: c[2], Versions: k, Replicas: Same(c[0], writes(Exponential(ms)))}
			got := predict(t, m, Simulation{Seed: 3, Trials: 40_000, Confidence: 0.9999}).Consistent(0)
			want, err := Within(c[0], c[1], c[2], float64(k))
			require.NoError(t, err)
			require.True(t, got.Low <= want && want <= got.High, "%v, k=%d: %v, not %v", c, k, got, want)
		}
	}
}

// The examples of section 3.1 and 3.2.
func TestWithin(t *testing.T) {
	for _, c := range []struct {
		n, r, w int
		k, want float64
	}{
		{3, 1, 1, 1, 1. / 3}, {3, 1, 1, 2, 5. / 9}, {3, 1, 1, 3, 19. / 27}, {3, 1, 1, 5, 211. / 243},
		{3, 1, 2, 2, 8. / 9}, {3, 2, 1, 5, 242. / 243}, {3, 2, 2, 1, 1}, {64, 33, 32, 0.5, 1},
	} {
		got, err := Within(c.n, c.r, c.w, c.k)
		require.NoError(t, err)
		require.InDelta(t, c.want, got, 1e-12, "%+v", c)
	}
	large, _ := Within(100, 30, 30, 1)
	require.InDelta(t, 1.88e-6, 1-large, 5e-9) // quorums far from strict that hardly ever miss one another
}

// Two data centres away by 75 ms: a read that starts in the same one as the write finds it,
// the others have to wait for it.
func TestReplicasFarAway(t *testing.T) {
	near, far := Legs{}, Legs{Write: Constant(75 * ms), Read: Constant(75 * ms)}
	m := Model{R: 1, W: 1, Replicas: []Legs{near, far, far}}
	require.Equal(t, 1.0, predict(t, m, Simulation{Trials: 1000}).Consistent(0).Value, "both start in one place")
	m.Roam = true
	for _, lean := range []bool{false, true} {
		m.Lean = lean
		p := predict(t, m, Simulation{Confidence: 0.9999})
		for _, at := range []time.Duration{0, 75*ms - 1} {
			c := p.Consistent(at)
			require.True(t, c.Low < 1./3 && 1./3 < c.High, "%v", c)
		}
		require.Equal(t, 1.0, p.Consistent(75*ms).Value)
		require.Equal(t, Span{75 * ms, 75 * ms, 75 * ms}, p.Until(0.9))
	}
	m.W = 2
	p := predict(t, m, Simulation{Trials: 1000})
	require.Equal(t, 150*ms, p.Write(0.5).Value)
	require.Zero(t, p.Until(1).Value)
}
