package quorum

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultSuspectAfter = 250 * time.Millisecond
	minHedge            = time.Millisecond
)

// A pulse is how a node has answered of late: how long that took, and whether it
// does at all. The estimate is that of RFC 6298, mean and mean deviation.
type pulse struct {
	mu     sync.Mutex
	mean   time.Duration // zero: not measured yet
	dev    time.Duration
	open   []time.Time // when the messages under way began, ascending
	gone   bool        // it could not be reached
	goneAt time.Time
	probed time.Time // when it was last asked although it is suspected

	patience atomic.Int64 // how long an answer should take at most, in ns
	suspect  atomic.Bool  // as of the last look
}

func (p *pulse) begin(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = append(p.open, now)
}

// end notes what came of a message: that the node could not be reached, that it
// answered, or that it did not.
func (p *pulse) end(began, now time.Time, unreachable, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.open {
		if p.open[i].Equal(began) {
			p.open = append(p.open[:i], p.open[i+1:]...)
			break
		}
	}
	switch {
	case answered:
		p.gone = false
		p.measure(now.Sub(began))
	case unreachable:
		p.gone, p.goneAt = true, now
	}
}

func (p *pulse) measure(d time.Duration) {
	if p.mean == 0 {
		p.mean, p.dev = d, d/2
	} else {
		p.dev += (max(d-p.mean, p.mean-d) - p.dev) / 4
		p.mean += (d - p.mean) / 8
	}
	p.patience.Store(int64(max(minHedge, p.mean+4*p.dev)))
}

// away reports whether the node is suspected at a moment. Now and then it says no of
// one that is, so that it is asked.
func (p *pulse) away(now time.Time, after time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	after = max(cmp.Or(after, defaultSuspectAfter), 8*time.Duration(p.patience.Load()))
	suspect := p.gone || len(p.open) > 0 && now.Sub(p.open[0]) > after
	p.suspect.Store(suspect)
	if suspect && now.Sub(p.probed) >= probeGap {
		p.probed = now
		return false
	}
	return suspect
}

// rank is how long an answer is to be waited for, for what is under way and takes
// longer than it should.
func (p *pulse) rank(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.mean
	if len(p.open) > 0 {
		d = max(d, now.Sub(p.open[0]))
	}
	return int(d / (50 * time.Microsecond)) // so that equals take turns by their place in the ring
}

// prefer orders nodes for reads.
func (c *Coordinator) prefer(id nodeID, now time.Time) int {
	n := c.node(id)
	if n.pulse.away(now, c.SuspectAfter) {
		return -1
	}
	return n.pulse.rank(now)
}

// hedge is how long the nodes that a call waits for should take to answer.
func (c *Coordinator) hedge(op machine) time.Duration {
	longest := minHedge
	each := func(id nodeID) {
		if id != c.Self {
			longest = max(longest, time.Duration(c.node(id).pulse.patience.Load()))
		}
	}
	switch op := op.(type) { // and not by the interface, so that nothing is allocated
	case *ReadOp:
		op.awaits(each)
	case *WriteOp:
		op.awaits(each)
	}
	return longest
}
