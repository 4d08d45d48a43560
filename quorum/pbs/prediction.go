package pbs

import (
	"slices"
	"time"
)

// A Prediction is what came of a simulation. It is not changed by its methods, and may
// be used concurrently. It holds 24 bytes for each trial, and if legs were redrawn as much again for up to 10,000 trials of
// each of those, and of one more: 5 MB if they were 20 times.
type Prediction struct {
	since         []time.Duration // after which each trial is consistent; ascending, as the others
	reads, writes []time.Duration
	confidence    float64
	strict        bool          // R+W > N
	again         []*Prediction // if legs were redrawn: by the legs, and by each of those
}

// Predict simulates the Model. The error is of [*ParameterError], joined. It costs two draws for each replica of
// a trial's reads, and two for each of its writes, times Versions; then three sorts of what came of it.
func (m Model) Predict(s Simulation) (*Prediction, error) {
	s = s.or()
	var f faults
	f.model(&m)
	f.simulation(&s)
	if len(f) > 0 {
		return nil, f.err()
	}
	p := m.simulate(&s)
	p.vary(&m, s)
	return p, nil
}

func (m *Model) simulate(s *Simulation) *Prediction {
	p := &Prediction{
		since: make([]time.Duration, s.Trials), reads: make([]time.Duration, s.Trials),
		writes: make([]time.Duration, s.Trials), confidence: s.Confidence,
		strict: m.R+m.W > len(m.Replicas),
	}
	p.run(m, s)
	for _, drawn := range [][]time.Duration{p.since, p.reads, p.writes} {
		slices.Sort(drawn)
	}
	return p
}

// The series of a prediction.
func ofSince(p *Prediction) []time.Duration  { return p.since }
func ofReads(p *Prediction) []time.Duration  { return p.reads }
func ofWrites(p *Prediction) []time.Duration { return p.writes }

func (p *Prediction) quantile(of series, q float64) Span {
	return quantile(of(p), q, p.confidence, func(at time.Duration) int { return p.worth(of, at) })
}

// At is the same prediction, whose intervals are to hold the truth so often; that of the Simulation if it is not above
// 0 and below 1.
func (p *Prediction) At(confidence float64) *Prediction {
	other := *p
	if confidence > 0 && confidence < 1 {
		other.confidence = confidence
	}
	return &other
}

// Consistent is the probability that a read is consistent which starts t after the last write was
// acknowledged, if nothing has been written since. Before zero it is as at zero. Where R+W > N it is 1, with
// no interval: any R replicas include one of those that had acknowledged the write.
func (p *Prediction) Consistent(t time.Duration) Chance {
	if p.strict {
		return Chance{1, 1, 1}
	}
	t = max(t, 0)
	return exact(countUpTo(p.since, t), len(p.since), p.worth(ofSince, t), p.confidence)
}

// Until is how long after a write was acknowledged the probability that a read is consistent
// reaches this one: a quantile of the trials' own thresholds, from which each of them is
// consistent. A probability of 1 or more, or one that is no number, has no upper bound,
// unless R+W > N: then it is zero.
func (p *Prediction) Until(probability float64) Span {
	if p.strict {
		return Span{}
	}
	return p.quantile(ofSince, probability)
}

// Read is a quantile, from 0 to 1, of how long a read takes.
func (p *Prediction) Read(q float64) Span { return p.quantile(ofReads, q) }

// Write is a quantile, from 0 to 1, of how long it takes until a write is acknowledged.
func (p *Prediction) Write(q float64) Span { return p.quantile(ofWrites, q) }
