package pbs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestQuorumsThatMeetAreConsistent(t *testing.T) {
	for n := 1; n <= 5; n++ {
		for r := 1; r <= n; r++ {
			for w := n - r + 1; w <= n; w++ {
				for _, roam := range []bool{false, true} {
					m := Model{R: r, W: w, Roam: roam, Lean: w%2 == 0, Replicas: Same(n, published[2].legs)}
					p := predict(t, m, Simulation{Trials: 300})
					require.Zero(t, p.since[len(p.since)-1], "found by trials, not only by counting")
					require.Equal(t, Chance{1, 1, 1}, p.Consistent(0))
					require.Zero(t, p.Until(1))
				}
			}
		}
	}
}

// More time, more answers and more acknowledgements never hurt; with one seed the trials
// are the same, so this holds exactly.
func TestMonotone(t *testing.T) {
	const n = 5
	sim := Simulation{Trials: 5000, Seed: 5}
	m := Model{Replicas: Same(n, published[1].legs)}
	for m.R = 1; m.R <= n; m.R++ {
		for m.W = 1; m.W <= n; m.W++ {
			p := predict(t, m, sim)
			last := 0.0
			for at := time.Duration(0); at < 50*ms; at += ms {
				c := p.Consistent(at)
				require.GreaterOrEqual(t, c.Value, last)
				last = c.Value
			}
			for i, more := range []Model{{R: m.R + 1, W: m.W}, {R: m.R, W: m.W + 1}, {R: m.R, W: m.W, Versions: 2}} {
				if more.Replicas = m.Replicas; max(more.R, more.W) > n {
					continue
				}
				q := predict(t, more, sim)
				if i < 2 { // more versions draw other trials
					require.GreaterOrEqual(t, q.Consistent(0).Value, p.Consistent(0).Value)
					require.LessOrEqual(t, q.Until(0.9).Value, p.Until(0.9).Value)
				}
				require.GreaterOrEqual(t, q.Consistent(0).High, p.Consistent(0).Low)
			}
		}
	}
}

func TestSeedsDecide(t *testing.T) {
	m := Model{R: 1, W: 1, Roam: true, Versions: 2, Replicas: Same(3, published[0].legs)}
	a := predict(t, m, Simulation{Trials: 3*block + 17, Seed: 1})
	require.Equal(t, a, predict(t, m, Simulation{Trials: 3*block + 17, Seed: 1, Workers: 2}))
	require.NotEqual(t, a, predict(t, m, Simulation{Trials: 3*block + 17, Seed: 2}))
}

func TestTrialsDoNotAllocate(t *testing.T) {
	var h Histogram
	h.Record(ms)
	d := Mixture{{1, ssd}, {1, Sum{Scaled{h.Observed(), 2}, Constant(ms)}}, {1, Empirical{ms, 2 * ms}}}
	tr := newTrial(&Model{R: 2, W: 2, Roam: true, Versions: 3, Replicas: Same(5, Legs{Write: d, Read: d, Response: d})})
	require.Zero(t, testing.AllocsPerRun(100, func() { tr.write(); tr.read() }))
}
