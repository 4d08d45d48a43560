package pbs

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// measured is what a coordinator sees of legs: round trips.
func measured(legs Legs, n int) *Live {
	l, r := new(Live), rand.New(rand.NewPCG(9, 9))
	for range n {
		l.Writes.Record(draw(legs.Write, r) + draw(legs.Ack, r))
		l.Reads.Record(draw(legs.Read, r) + draw(legs.Response, r))
	}
	return l
}

// However round trips are divided, latencies are those of the legs, and the truth lies between the
// bounds. Taking acknowledgements and both ways of reads to be alike, as they are here, comes near to
// it; halves do not.
func TestHowRoundTripsAreDivided(t *testing.T) {
	sim := Simulation{Seed: 2, Trials: 50_000, Confidence: 0.999}
	for _, load := range published {
		live := measured(load.legs, 100_000)
		of := func(l Legs) *Prediction { return predict(t, Model{R: 1, W: 1, Replicas: Same(3, l)}, sim) }
		truth := of(load.legs)
		alike, halves, stale, fresh := of(live.Legs(Alike)), of(live.Legs(Halves)), of(live.Legs(Stalest)), of(live.Legs(Freshest))
		for _, q := range []float64{0.5, 0.99} {
			for _, p := range []*Prediction{alike, halves, stale, fresh} {
				require.InEpsilon(t, truth.Read(q).Value, p.Read(q).Value, 0.06)
				require.InEpsilon(t, truth.Write(q).Value, p.Write(q).Value, 0.06)
			}
		}
		for _, at := range []time.Duration{0, ms / 4, ms, 10 * ms, 100 * ms} {
			c := func(p *Prediction) Chance { return p.Consistent(at) }
			t.Logf("%-9s t=%-5v truth %.4f  alike %.4f  halves %.4f  from %.4f to %.4f", load.name, at,
				c(truth).Value, c(alike).Value, c(halves).Value, c(stale).Value, c(fresh).Value)
			require.InDelta(t, c(truth).Value, c(alike).Value, 0.01)
			for _, p := range []*Prediction{truth, alike, halves} {
				require.LessOrEqual(t, c(stale).Low, c(p).High)
				require.GreaterOrEqual(t, c(fresh).High, c(p).Low)
			}
		}
	}
}

// Round trips that cannot have come about as Alike supposes, and the least and longest there are.
func TestAnyRoundTripsCanBeDivided(t *testing.T) {
	for _, c := range []struct{ write, read time.Duration }{
		{ms, 10 * ms}, {0, 0}, {1, 1}, {0, ms}, {ms, 0}, {time.Hour, 1}, {100 * time.Hour, 100 * time.Hour}, {-1, 1000 * time.Hour},
	} {
		var l Live
		l.Writes.Record(c.write)
		l.Reads.Record(c.read)
		legs := l.Legs(Alike)
		p := predict(t, Model{R: 1, W: 1, Replicas: Same(1, legs)}, Simulation{Trials: 100})
		near := func(want time.Duration, got Span) {
			want = min(max(want, 0), time.Hour)
			require.InDelta(t, want, min(got.Value, time.Hour), float64(want)/10+64, "%+v: %v", c, got)
		}
		near(c.write, p.Write(0.5))
		near(c.read, p.Read(0.5))
	}
}

// With one-way times, histograms lead to what the legs lead to.
func TestFourHistograms(t *testing.T) {
	for _, load := range published {
		r := rand.New(rand.NewPCG(4, 4))
		one := func(d Distribution) Distribution {
			var h Histogram
			for range 100_000 {
				h.Record(draw(d, r))
			}
			return h.Observed()
		}
		l := Legs{Write: one(load.legs.Write), Ack: one(load.legs.Ack), Read: one(load.legs.Read), Response: one(load.legs.Response)}
		p := predict(t, Model{R: 1, W: 1, Replicas: Same(3, l)}, Simulation{Seed: 2, Trials: 50_000})
		require.InDelta(t, load.at0, p.Consistent(0).Value, 0.008)
	}
}

func TestALiveThatMeasuredNothingSaysSo(t *testing.T) {
	var l Live
	for _, live := range []*Live{&l, nil} {
		for _, s := range []Split{Alike, Halves, Stalest, Freshest} {
			for _, legs := range []Legs{live.Legs(s), live.Redrawn(s, 3, 1)} {
				_, err := Model{R: 1, W: 1, Replicas: Same(3, legs)}.Predict(Simulation{})
				require.ErrorContains(t, err, "has no samples")
			}
		}
	}
	l.Writes.Record(ms)
	l.Reads.Record(ms)
	predict(t, Model{R: 1, W: 1, Replicas: Same(3, l.Legs(Alike))}, Simulation{Trials: 10})
	l.Rotate()
	l.Rotate()
	require.Zero(t, l.Writes.Observed().Count()+l.Reads.Observed().Count())
}
