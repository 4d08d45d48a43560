package pbs

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"
)

const (
	// MaxRedraws bounds how often a [Live] is drawn again.
	MaxRedraws = 1000

	redrawTrials = 10_000    // of a simulation by what was drawn again
	redrawMost   = 1_000_000 // round trips that are drawn again, of those that were measured
	halfBucket   = 1.0 / 64  // of the least duration in it, at most
)

// Redrawn is [Live.Legs], with n others in Legs.Redrawn that might have been measured in their place: so intervals
// know how little was measured. It is a parametric bootstrap (Efron, Tibshirani: An Introduction to the Bootstrap,
// 1993, section 6.5): as many round trips as there were are drawn from the legs, put into buckets, and divided in the
// same way. How far what comes of them is from what comes of the legs is about how far that is from the truth: by the
// number of round trips, and by what is lost as they are divided. Where in its bucket a duration was is not known
// either; so each of the others takes longer by up to 1/64, or shorter.
//
// It costs what Legs does, n times, and the drawing. Some 20 are enough for intervals that hold 19 times out of 20;
// fewer are allowed for by wider ones: by 1.06 times with 20, 1.3 with 5, 2.2 with 2 and 6.5 with one, and by far more for
// 99 out of 100. One seed and one measurement, one result; what two Lives have measured is redrawn independently, also by one
// seed, as long as they have not counted just the same.
func (l *Live) Redrawn(s Split, n int, seed uint64) Legs {
	w, r := l.observed()
	legs := divide(w, r, s)
	if w.Count() == 0 || r.Count() == 0 {
		return legs // which a Model refuses
	}
	own := r.sign(w.sign(seed))
	for i := range min(n, MaxRedraws) {
		random := rand.New(rand.NewPCG(own, uint64(i)))
		again := divide(redraw(legs.Write, legs.Ack, w.Count(), random), redraw(legs.Read, legs.Response, r.Count(), random), s)
		stretch := func() float64 { return 1 + halfBucket*(2*random.Float64()-1) }
		legs.Redrawn = append(legs.Redrawn, again.scaled(stretch(), stretch()))
	}
	return legs
}

// sign returns a number of its own for what was counted and a seed, by FNV-1a: by one seed two Lives would have the same luck.
func (o *Observed) sign(seed uint64) uint64 {
	h := fnv.New64a()
	word := func(x uint64) { _, _ = h.Write(binary.LittleEndian.AppendUint64(nil, x)) }
	word(seed)
	for _, b := range o.buckets {
		word(uint64(b.least))
		word(b.upTo)
	}
	return h.Sum64()
}

// redraw draws so many round trips.
func redraw(out, back Distribution, n uint64, r *rand.Rand) *Observed {
	h := new(Histogram)
	for range min(n, redrawMost) {
		_, trip := there(out, back, r)
		h.Record(trip)
	}
	return h.Observed()
}

func (l Legs) scaled(writes, reads float64) Legs {
	by := func(d Distribution, by float64) Distribution {
		if d == nil {
			return nil
		}
		return Scaled{d, by}
	}
	return Legs{Write: by(l.Write, writes), Ack: by(l.Ack, writes), Read: by(l.Read, reads), Response: by(l.Response, reads)}
}

// redraws is how many times what was measured was drawn again.
func (m *Model) redraws() (n int) {
	for i := range m.Replicas {
		n = max(n, len(m.Replicas[i].Redrawn))
	}
	return n
}

// redrawn is the model by what was drawn again for the i-th time. Replicas whose legs are known have them.
func (m Model) redrawn(i int) Model {
	m.Replicas = slices.Clone(m.Replicas)
	for k := range m.Replicas {
		if again := m.Replicas[k].Redrawn; len(again) > 0 {
			m.Replicas[k] = again[i%len(again)]
		}
	}
	return m
}

// vary simulates what else the model might be, by the same random numbers, so that what differs is the model.
func (p *Prediction) vary(m *Model, s Simulation) {
	n := m.redraws()
	if n == 0 {
		return
	}
	s.Trials = min(s.Trials, redrawTrials)
	p.again = append(p.again, m.simulate(&s))
	for i := range n {
		other := m.redrawn(i)
		p.again = append(p.again, other.simulate(&s))
	}
}

// worth is how many trials of a model that is known would leave a share of them as uncertain as it is: that which
// takes up to at.
func (p *Prediction) worth(of series, at time.Duration) int {
	n := float64(len(of(p)))
	if len(p.again) == 0 {
		return int(n)
	}
	share := func(q *Prediction) float64 {
		all := of(q)
		return float64(countUpTo(all, at)) / float64(len(all))
	}
	base, differ := share(p.again[0]), 0.0
	others := p.again[1:]
	for _, q := range others {
		d := share(q) - base
		differ += d * d / float64(len(others))
	}
	hits := float64(countUpTo(of(p), at))
	smooth := (hits + 0.5) / (n + 1)
	noise := smooth * (1 - smooth) / n
	wider := widened(p.confidence, len(others))
	return max(int(n*noise/(noise+differ)/square(wider)), 1)
}

// widened is by how much wider an interval is whose variance is that of so many others. The part of it that comes of trials
// is known better than that; but to take more degrees of freedom for it, by how much differs, falls short where two of few
// happen to be alike.
func widened(confidence float64, others int) float64 {
	z := max(deviate(confidence), 0.01) // below, the two are in proportion
	return student(z, float64(others)) / z
}

// A series is one of what a prediction has drawn.
type series func(*Prediction) []time.Duration

func countUpTo(sorted []time.Duration, t time.Duration) int {
	return sort.Search(len(sorted), func(i int) bool { return sorted[i] > t })
}

func square(x float64) float64 { return x * x }

// student is the deviate of Student's distribution in the place of a normal one, z, for a variance that was estimated with so
// many degrees of freedom: by the incomplete beta function (Abramowitz, Stegun: 26.7.1).
func student(z, freedom float64) float64 {
	beyond := math.Erfc(z / math.Sqrt2)
	share := solve(func(p float64) bool { return incomplete(p, freedom/2, 0.5) > beyond })
	return math.Sqrt(freedom * (1 - share) / share)
}
