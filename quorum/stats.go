package quorum

import (
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Stats is what a [Coordinator] has done since it was made. Counts only grow.
type Stats struct {
	Reads       uint64 // calls of Read that have ended
	ReadErrors  uint64 // of these, those that failed
	Stale       uint64 // of these, those answered below their level
	Conflicts   uint64 // of these, those of which no single owner had all: versions that were concurrent
	Writes      uint64 // calls of Write that have ended
	WriteErrors uint64 // of these, those that failed

	Answers      uint64 // owners that have answered reads
	Repairs      uint64 // owners that were found behind, and sent what they lack: staleness observed
	RepairErrors uint64 // of these, those that did not take it

	Hints      uint64 // that somebody keeps for an owner, at the request of this node
	HintErrors uint64 // that nobody was found to keep

	// Lag is how long after a write began each of its owners had it, for owners that
	// took it from this node.
	Lag Lag

	// Nodes are the other nodes that were asked so far, in ascending order, also those that have
	// left the ring.
	Nodes []NodeStats
}

// NodeStats is how another node answers.
type NodeStats struct {
	Node      transport.NodeID
	Latency   time.Duration // of its answers, on average of late; zero: it has not answered yet
	Patience  time.Duration // how long is waited before others are asked too
	Suspected bool          // to be away
	Pending   int           // tasks that wait to be sent
}

// A Lag is a distribution of durations: Counts[i] of them are less than LagBound(i), and
// not less than the one before. The last one has all that are longer.
type Lag struct {
	Counts [lagBuckets]uint64
	Sum    time.Duration
}

const lagBuckets = 28

// LagBound is the upper bound of bucket i of a [Lag]: 64 microseconds times 2^i. The last
// bucket has none.
func LagBound(i int) time.Duration { return lagUnit << i }

const lagUnit = 64 * time.Microsecond

// Count is how many durations there are.
func (l *Lag) Count() (n uint64) {
	for _, c := range l.Counts {
		n += c
	}
	return n
}

// Quantile is an upper bound of the fraction q of the durations, at most twice what it
// is; zero if there are none.
func (l *Lag) Quantile(q float64) time.Duration {
	rank, n := uint64(q*float64(l.Count())), uint64(0)
	for i, c := range l.Counts {
		if n += c; n > rank || n == rank && c > 0 && n == l.Count() {
			return LagBound(i)
		}
	}
	return 0
}

type counters struct {
	reads, readErrors, stale, conflicts atomic.Uint64
	writes, writeErrors                 atomic.Uint64
	answers, repairs, repairErrors      atomic.Uint64
	hints, hintErrors                   atomic.Uint64
	lag                                 lagCounter
}

type lagCounter struct {
	counts [lagBuckets]atomic.Uint64
	sum    atomic.Int64
}

func (l *lagCounter) add(d time.Duration) {
	i := min(bits.Len64(uint64(max(d, 0)/lagUnit)), lagBuckets-1)
	l.counts[i].Add(1)
	l.sum.Add(int64(d))
}

// Stats returns what was counted so far. It costs O(nodes).
func (c *Coordinator) Stats() Stats {
	n := &c.counters
	s := Stats{
		Reads: n.reads.Load(), ReadErrors: n.readErrors.Load(), Stale: n.stale.Load(), Conflicts: n.conflicts.Load(),
		Writes: n.writes.Load(), WriteErrors: n.writeErrors.Load(),
		Answers: n.answers.Load(), Repairs: n.repairs.Load(), RepairErrors: n.repairErrors.Load(),
		Hints: n.hints.Load(), HintErrors: n.hintErrors.Load(),
	}
	for i := range n.lag.counts {
		s.Lag.Counts[i] = n.lag.counts[i].Load()
	}
	s.Lag.Sum = time.Duration(n.lag.sum.Load())
	c.nodes.Range(func(_, v any) bool {
		s.Nodes = append(s.Nodes, v.(*node).stats())
		return true
	})
	slices.SortFunc(s.Nodes, func(a, b NodeStats) int {
		if a.Node < b.Node {
			return -1
		}
		return 1
	})
	return s
}

func (n *node) stats() NodeStats {
	s := NodeStats{Node: n.id, Patience: time.Duration(n.pulse.patience.Load()), Suspected: n.pulse.suspect.Load()}
	n.pulse.mu.Lock()
	s.Latency = n.pulse.mean
	n.pulse.mu.Unlock()
	for i := range n.lanes {
		l := &n.lanes[i]
		l.mu.Lock()
		s.Pending += len(l.queue)
		l.mu.Unlock()
	}
	return s
}
