package faults

import (
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/eventual-go/eventual/transport"
)

type pair struct{ from, to transport.NodeID }

// A link is one direction between two nodes.
type link struct {
	pair
	own     *Link // nil: the network's
	cut     bool
	free    time.Time // when the bytes that were sent are through
	streams [2]stream // by kind
}

// A stream is the sequence of messages of one kind in one direction of a link.
type stream struct {
	seed, name uint64
	rng        *rand.Rand
	n          uint64    // messages up to now
	last       time.Time // when the last message arrives that was not reordered
}

func newLink(seed uint64, on pair) *link {
	l := &link{pair: on}
	for k := range l.streams {
		h := fnv.New64a()
		h.Write([]byte(on.from))
		h.Write([]byte{0, byte(k)})
		h.Write([]byte(on.to))
		l.streams[k] = stream{seed: seed, name: h.Sum64(), rng: rand.New(rand.NewPCG(seed, h.Sum64()))}
	}
	return l
}

// A chance is what was drawn for one message, before anything is known of its link.
// Every message draws equally often, so that what becomes of the n-th does not
// depend on what the link was set to when the ones before it were sent.
type chance struct {
	n                                        uint64
	loss, twice, held, jitter, hold, another float64
}

func (s *stream) next() chance {
	f := s.rng.Float64
	c := chance{n: s.n, loss: f(), twice: f(), held: f(), jitter: f(), hold: f(), another: f()}
	s.n++
	return c
}

// sample draws from a distribution for the n-th message, by a generator of its own:
// nobody knows how often a distribution draws.
func (s *stream) sample(d Distribution, n uint64) time.Duration {
	if d == nil {
		return 0
	}
	return bounded(d.Sample(rand.New(rand.NewPCG(s.seed^0x5bd1e9955bd1e995, s.name+n*0x9e3779b97f4a7c15))))
}

// A fate is what becomes of one message: it arrives after each of the delays.
type fate struct {
	delays    [2]time.Duration
	copies    int // of the delays; none: it is lost
	reordered bool
}

func (f *fate) list() []time.Duration { return f.delays[:f.copies] }

// decide turns what was drawn into what becomes of a message of a stream of l, of
// this size, sent now, for which the link's Delay is extra.
func (l *link) decide(k Kind, c chance, cfg Link, extra time.Duration, size int, now time.Time) fate {
	queued := l.queue(cfg, size, now)
	if c.loss < cfg.Loss {
		return fate{}
	}
	latency, jitter := bounded(cfg.Latency), bounded(cfg.Jitter)
	spread := bounded(latency + jitter + extra)
	at := now.Add(queued + bounded(latency+part(c.jitter, jitter)+extra))
	f := fate{copies: 1, reordered: c.held < cfg.Reorder}
	if f.reordered {
		at = at.Add(1 + part(c.hold, max(spread, time.Millisecond)))
	} else {
		at = l.streams[k].inOrder(at, now)
	}
	f.delays[0] = at.Sub(now)
	if c.twice < cfg.Duplicate {
		f.copies = 2
		f.delays[1] = f.delays[0] + part(c.another, spread)
	}
	return f
}

// queue puts a message behind those that are not through yet, and returns how long
// it takes until it is through itself: a token bucket that is refilled at Bandwidth
// and holds Burst.
func (l *link) queue(cfg Link, size int, now time.Time) time.Duration {
	if cfg.Bandwidth <= 0 {
		return 0
	}
	busy := bounded(l.free.Sub(now)) + transfer(size, cfg.Bandwidth)
	busy = bounded(busy)
	l.free = now.Add(busy)
	return bounded(busy - transfer(cfg.Burst, cfg.Bandwidth))
}

func transfer(bytes, bandwidth int) time.Duration {
	seconds := float64(max(bytes, 0)) / float64(bandwidth)
	if seconds >= far.Seconds() {
		return far
	}
	return time.Duration(seconds * float64(time.Second))
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

func part(fraction float64, of time.Duration) time.Duration {
	return time.Duration(fraction * float64(of))
}
