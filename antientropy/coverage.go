package antientropy

import (
	"slices"
	"time"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// A coverage is since when all is known to be here that a peer held. It is a core: no lock, no clock.
//
// An exchange that ends without an error has brought all that the peer held when it began, but for what it left to
// deltas. On that the next one insists, so that it brings it; what this one leaves in its turn, the one before had brought.
// So two in a row cover what the peer held when the first began, however busily it is written to.
type coverage struct {
	ranges []merkle.Range // what it is about; all if there are none
	since  time.Time
	before time.Time // when the last complete exchange began
	voids  uint64    // how often it was given up
}

// begin is told what an exchange is about. What was not shared before may have come here without what the peer held.
func (c *coverage) begin(ranges []merkle.Range) {
	if !within(ranges, c.ranges) {
		c.void()
	}
	c.ranges = ranges
}

// complete is told of an exchange that brought all but what it left to deltas, which it was not to insist on; and of
// when the one began on whose rest it did insist.
func (c *coverage) complete(began, before time.Time, left bool) {
	c.before = began
	if left {
		began = before
	}
	if began.After(c.since) {
		c.since = began
	}
}

// lose is told of what is not here any more.
func (c *coverage) lose(ranges []merkle.Range) {
	if overlap(ranges, c.ranges) {
		c.void()
	}
}

// void gives up what is known, also by exchanges under way.
func (c *coverage) void() {
	c.since, c.before = time.Time{}, time.Time{}
	c.voids++
}

// of returns since when ranges are covered; zero if they are not.
func (c *coverage) of(ranges []merkle.Range) time.Time {
	if !within(ranges, c.ranges) {
		return time.Time{}
	}
	return c.since
}

// covers notes what an exchange has brought that has ended without an error. l.mu is held.
func (l *Loop) covers(d *driving, round *Round) {
	if d.asked || d.voids != d.covered.voids || round.withheld > 0 {
		return
	}
	left := slices.ContainsFunc(round.deferred, func(at merkle.Range) bool { return !round.insists(at) })
	d.covered.complete(d.began, d.before, left)
}

// emptied gives up all coverage: the store has nothing any more. l.mu is held.
func (l *Loop) emptied(d *driving) {
	for _, p := range l.peers {
		p.covered.void()
	}
	d.voids, d.before = d.covered.voids, time.Time{} // it begins anew
}

// gave notes that ranges were handed over, to be discarded. l.mu is held.
func (l *Loop) gave(ranges []merkle.Range) {
	for _, p := range l.peers {
		p.covered.lose(ranges)
	}
}

// covered returns since when each peer is covered, of what is shared now.
func (l *Loop) covered() map[transport.NodeID]time.Time {
	l.mu.Lock()
	all := make(map[transport.NodeID]coverage, len(l.peers))
	for id, p := range l.peers {
		all[id] = p.covered
	}
	l.mu.Unlock()
	since := make(map[transport.NodeID]time.Time, len(all))
	for id, c := range all {
		if ranges, any := l.sharedWith(id); any {
			since[id] = c.of(ranges)
		}
	}
	return since
}
