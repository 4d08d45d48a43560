package mem

import (
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Link says what a network does to what is sent from one node to another:
// requests of the one, and its replies to the other's requests. The zero Link
// delivers everything at once, and once. Probabilities are from 0, never, to 1,
// always.
type Link struct {
	// Latency is how long everything takes. Jitter is how much longer it may take, at
	// most; each message takes a random part of it. Neither changes the order: what
	// was sent first on a link arrives first, replies apart from requests.
	Latency, Jitter time.Duration

	// Loss is the probability that a message is lost.
	Loss float64

	// Duplicate is the probability that a message arrives twice, the second time up
	// to Latency+Jitter later.
	Duplicate float64

	// Reorder is the probability that a message is held back for up to
	// Latency+Jitter, at least a millisecond, while later ones overtake it.
	Reorder float64
}

type pair struct{ from, to transport.NodeID }

type kind uint8

const (
	request kind = iota
	reply
)

type link struct {
	from, to transport.NodeID
	own      *Link // nil: the network's
	cut      bool
	streams  [2]stream // by kind
}

func newLink(seed uint64, from, to transport.NodeID) *link {
	l := &link{from: from, to: to}
	for k := range l.streams {
		h := fnv.New64a()
		h.Write([]byte(from))
		h.Write([]byte{0, byte(k)})
		h.Write([]byte(to))
		l.streams[k].rng = rand.New(rand.NewPCG(seed, h.Sum64()))
	}
	return l
}

// A stream is the sequence of messages of one kind in one direction of a link.
type stream struct {
	rng  *rand.Rand
	last time.Time // when the last message arrives that was not reordered
}

// A verdict is what becomes of one message: it arrives after each of the delays.
type verdict struct {
	delays    []time.Duration
	reordered bool
}

// next decides about the next message of the stream, sent now. Every message draws
// equally often, so that what becomes of the n-th does not depend on what the link
// was set to when the ones before it were sent.
func (s *stream) next(l Link, now time.Time) verdict {
	lost, twice, held := s.draw(l.Loss), s.draw(l.Duplicate), s.draw(l.Reorder)
	jitter, hold, again := s.rng.Float64(), s.rng.Float64(), s.rng.Float64()
	if lost {
		return verdict{}
	}
	spread := max(l.Latency, 0) + max(l.Jitter, 0)
	at := now.Add(max(l.Latency, 0) + part(jitter, max(l.Jitter, 0)))
	if held {
		at = at.Add(1 + part(hold, max(spread, time.Millisecond)))
	} else {
		at = s.inOrder(at, now)
	}
	v := verdict{delays: []time.Duration{at.Sub(now)}, reordered: held}
	if twice {
		v.delays = append(v.delays, at.Sub(now)+part(again, spread))
	}
	return v
}

// inOrder keeps a message from arriving before, or together with, an earlier one
// that is still under way.
func (s *stream) inOrder(at, now time.Time) time.Time {
	if s.last.After(now) && !at.After(s.last) {
		at = s.last.Add(1)
	}
	s.last = at
	return at
}

func (s *stream) draw(probability float64) bool { return s.rng.Float64() < probability }

func part(fraction float64, of time.Duration) time.Duration {
	return time.Duration(fraction * float64(of))
}
