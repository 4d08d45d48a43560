package simulation

import (
	"math/rand/v2"
	"time"
)

// source is seeded randomness. Each subject (the links, the faults, the clients,
// the nodes) has a stream of its own, so that a change to one does not reshuffle
// the others.
type source struct{ *rand.Rand }

func newSource(seed uint64, stream uint64) source {
	return source{rand.New(rand.NewPCG(seed, stream*0x9e3779b97f4a7c15+1))}
}

const (
	streamPlan = iota
	streamLinks
	streamFaults
	streamClients
	streamNodes
	streamTurns
	streamMishaps
	streamSlow
)

// chance is true with probability p.
func (s source) chance(p float64) bool { return p > 0 && s.Float64() < p }

// between is uniform in [lo, hi).
func (s source) between(lo, hi time.Duration) time.Duration {
	if hi <= lo {
		return lo
	}
	return lo + time.Duration(s.Int64N(int64(hi-lo)))
}

// around is exponential with the given mean: mostly short, now and then long.
func (s source) around(mean time.Duration) time.Duration {
	return time.Duration(s.ExpFloat64() * float64(mean))
}
