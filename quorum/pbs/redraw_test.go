package pbs

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Over many measurements, intervals hold what the legs lead to that were measured, as often as they say: also where
// few round trips are known, and where they are hard to divide. By trials alone they do not.
func TestIntervalsKnowHowLittleWasMeasured(t *testing.T) {
	link, disk := Exponential(2*ms), Exponential(4*ms)
	far := Sum{Constant(ms), Exponential(3 * ms)}
	const seeds, confidence = 5, 0.95
	held, alone, all := 0, 0, 0
	for _, load := range []struct {
		name string
		legs Legs
		at   time.Duration
	}{
		{"far links", Legs{Write: far, Ack: far, Read: far, Response: far}, 2 * ms},
		{"disks", Legs{Write: Sum{link, disk}, Ack: link, Read: link, Response: link}, 6 * ms},
		{"YMMR", published[2].legs, ms},
	} {
		model := func(l Legs) Model { return Model{R: 1, W: 1, Replicas: Same(3, l)} }
		truth := predict(t, model(load.legs), Simulation{Trials: 400_000, Workers: 2})
		for seed := range uint64(seeds) {
			live := measuredBy(load.legs, 2000, seed)
			sim := Simulation{Trials: 20_000, Seed: seed, Confidence: confidence}
			p, plain := predict(t, model(live.Redrawn(Alike, 8, seed)), sim), predict(t, model(live.Legs(Alike)), sim)
			all++
			is := truth.Consistent(load.at).Value
			c, without := p.Consistent(load.at), plain.Consistent(load.at)
			require.Equal(t, without.Value, c.Value)
			require.Less(t, c.Low, without.Low)
			require.Greater(t, c.High, without.High)
			held += holds(c.Low <= is && is <= c.High)
			alone += holds(without.Low <= is && is <= without.High)
			until, median := truth.Until(0.9).Value, truth.Read(0.5).Value
			s, m := p.Until(0.9), p.Read(0.5)
			require.True(t, p.At(0.9999).Until(0.9).Low <= until && until <= p.At(0.9999).Until(0.9).High, "%s: %v, not %v", load.name, s, until)
			require.True(t, p.At(0.9999).Read(0.5).Low <= median && median <= p.At(0.9999).Read(0.5).High, "%s: %v, not %v", load.name, m, median)
		}
	}
	t.Logf("said %.2f: %d of %d held, by trials alone %d", confidence, held, all, alone)
	require.Greater(t, float64(held), confidence*float64(all)-3.5*math.Sqrt(confidence*(1-confidence)*float64(all)))
	require.Less(t, 5*alone, 4*all)
}

// With more round trips intervals become narrower, until what a bucket holds back is left.
func TestMoreThatWasMeasuredSaysMore(t *testing.T) {
	load := published[0].legs
	width := func(n int) float64 {
		p := predict(t, Model{R: 1, W: 1, Replicas: Same(3, measuredBy(load, n, 1).Redrawn(Halves, 30, 1))}, Simulation{Seed: 1})
		c := p.Consistent(ms / 4)
		return c.High - c.Low
	}
	few, more, many := width(300), width(3000), width(60_000)
	t.Log(few, more, many)
	require.Greater(t, few, 1.5*more)
	require.Greater(t, more, many)
	plain := predict(t, Model{R: 1, W: 1, Replicas: Same(3, measuredBy(load, 60_000, 1).Legs(Halves))}, Simulation{Seed: 1}).Consistent(ms / 4)
	require.Greater(t, many, plain.High-plain.Low)
}

// One seed, one result; and where R+W > N nothing is uncertain.
func TestRedrawnIsRepeatable(t *testing.T) {
	live := measuredBy(published[0].legs, 500, 3)
	of := func(w int) Chance {
		legs := live.Redrawn(Alike, 5, 7)
		require.Len(t, legs.Redrawn, 5)
		return predict(t, Model{R: 1, W: w, Replicas: Same(2, legs)}, Simulation{Trials: 5000}).Consistent(0)
	}
	require.Equal(t, of(1), of(1))
	require.Equal(t, Chance{1, 1, 1}, of(2))
}

func TestRedrawnIsBounded(t *testing.T) {
	var l Live
	require.Empty(t, l.Redrawn(Alike, 5, 1).Redrawn)
	l.Writes.Record(ms)
	l.Reads.Record(ms)
	require.Empty(t, l.Redrawn(Alike, -1, 1).Redrawn)
	require.Len(t, l.Redrawn(Halves, MaxRedraws+1, 1).Redrawn, MaxRedraws)

	ok := Legs{Write: Constant(ms)}
	for name, redrawn := range map[string][]Legs{
		"Replicas[0].Redrawn are more than":              make([]Legs, MaxRedraws+1),
		"Replicas[0].Redrawn[1].Write has no positive":   {ok, {Write: Exponential(0)}},
		"Replicas[0].Redrawn[0].Response has no samples": {{Response: Empirical{}}, {Write: Exponential(0)}},
	} {
		_, err := Model{R: 1, W: 1, Replicas: []Legs{{Write: ok.Write, Redrawn: redrawn}}}.Predict(Simulation{})
		require.ErrorContains(t, err, name)
	}
	p := predict(t, Model{R: 1, W: 1, Replicas: Same(2, Legs{Write: ok.Write, Redrawn: []Legs{ok, {Redrawn: []Legs{{Write: Exponential(-1)}}}}})}, Simulation{Trials: 50})
	for _, q := range []float64{-1, 0, 0.5, 1, math.NaN()} {
		s := p.Until(q)
		require.LessOrEqual(t, s.Low, s.High)
	}
	for _, c := range []float64{-1, 0, 1, math.NaN(), math.Inf(1)} {
		require.Equal(t, p.Consistent(ms), p.At(c).Consistent(ms))
	}
	require.Less(t, p.At(0.99).Consistent(ms).Low, p.Consistent(ms).Low)
}

// Two Lives are redrawn independently of one another, though by one seed: else both were too quick in the same redraws, and
// what differs between them was too certain.
func TestLivesAreRedrawnIndependently(t *testing.T) {
	const n = 400
	a, b := measuredBy(published[0].legs, 300, 1), measuredBy(published[0].legs, 300, 2)
	medians := func(l *Live) (all []float64) {
		for _, again := range l.Redrawn(Stalest, n, 7).Redrawn {
			write := again.Write.(Scaled)
			all = append(all, write.By*float64(write.Of.(*Observed).Quantile(0.5)))
		}
		return all
	}
	alike := correlation(medians(a), medians(b))
	t.Logf("correlation %.3f", alike)
	require.Less(t, math.Abs(alike), 4/math.Sqrt(n))
}

func correlation(a, b []float64) float64 {
	mean := func(of func(i int) float64) (sum float64) {
		for i := range a {
			sum += of(i) / float64(len(a))
		}
		return sum
	}
	ma, mb := mean(func(i int) float64 { return a[i] }), mean(func(i int) float64 { return b[i] })
	va, vb := mean(func(i int) float64 { return square(a[i] - ma) }), mean(func(i int) float64 { return square(b[i] - mb) })
	return mean(func(i int) float64 { return (a[i] - ma) * (b[i] - mb) }) / math.Sqrt(va*vb)
}

// Figures from tables of Student's distribution.
func TestPublishedDeviates(t *testing.T) {
	for _, c := range []struct {
		confidence float64
		freedom    int
		want       float64
	}{
		{0.95, 1, 12.706}, {0.99, 1, 63.657}, {0.999, 1, 636.619}, {0.95, 2, 4.303}, {0.99, 2, 9.925}, {0.99, 3, 5.841},
		{0.9, 5, 2.015}, {0.95, 10, 2.228}, {0.95, 20, 2.086}, {0.99, 20, 2.845}, {0.5, 1, 1}, {0.95, 1000, 1.962},
	} {
		require.InEpsilon(t, c.want, student(deviate(c.confidence), float64(c.freedom)), 0.0005, "%v", c)
		require.InEpsilon(t, c.want/deviate(c.confidence), widened(c.confidence, c.freedom), 0.0005)
	}
	for _, confidence := range []float64{5e-324, 1e-6, 0.5, 1 - 1e-9, math.Nextafter(1, 0)} {
		for n := 1; n <= MaxRedraws; n = 2*n + 1 {
			wider := widened(confidence, n)
			require.True(t, wider >= 1 && wider < 1e12, "%v %d: %v", confidence, n, wider)
			require.LessOrEqual(t, widened(confidence, 2*n), wider)
		}
	}
}

// Of one that was redrawn, or of few, intervals are so wide that they hold the truth as often as they say.
func TestFewRedrawsAreAllowedFor(t *testing.T) {
	link := Exponential(2 * ms)
	model := func(l Legs) Model { return Model{R: 1, W: 1, Replicas: Same(3, l)} }
	truth := predict(t, model(Legs{Write: link, Ack: link, Read: link, Response: link}), Simulation{Trials: 400_000}).Read(0.5).Value
	const seeds = 100
	for _, n := range []int{1, 2, 3} {
		for _, confidence := range []float64{0.9, 0.99} {
			held := 0
			for seed := range uint64(seeds) {
				live := measuredBy(Legs{Write: link, Ack: link, Read: link, Response: link}, 300, seed)
				s := predict(t, model(live.Redrawn(Halves, n, seed)), Simulation{Trials: 2000, Seed: seed, Confidence: confidence}).Read(0.5)
				held += holds(s.Low <= truth && truth <= s.High)
			}
			t.Logf("%d redrawn, said %v: held %d of %d", n, confidence, held, seeds)
			require.Greater(t, float64(held), confidence*seeds-2.5*math.Sqrt(confidence*(1-confidence)*seeds))
		}
	}
}

func measuredBy(legs Legs, n int, seed uint64) *Live {
	l, r := new(Live), rand.New(rand.NewPCG(9, seed))
	for range n {
		_, w := there(legs.Write, legs.Ack, r)
		_, d := there(legs.Read, legs.Response, r)
		l.Writes.Record(w)
		l.Reads.Record(d)
	}
	return l
}
