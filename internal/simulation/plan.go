package simulation

import (
	"fmt"
	"time"
)

// A plan is what a seed decides before anything happens.
type plan struct {
	nodes      int
	keys       int
	broad      bool // so many keys that indexes have sketches, most of them left alone
	wide       bool // many small keys, none of them hot, and messages that hold few
	operations int
	duration   time.Duration // of the faults and the operations
	profile    profile
	faults     int

	callTimeout      time.Duration
	operationTimeout time.Duration
	pushDelay        time.Duration
	interval         time.Duration // between rounds
	maxMessage       int           // bytes; small ones are split
	maxPending       int           // bytes that may wait for a peer

	propagation propagation
	maxAge      time.Duration // of deltas that wait
	patience    time.Duration // with those that were announced, see antientropy.Broadcast

	collects     bool // there are epochs, and what is removed is forgotten
	retires      bool // who left is retired, see heritage
	collectEvery time.Duration
	quiet        time.Duration // what is forgotten was left alone for so long

	disks   bool // some stores are on disk
	mishaps int  // what happens to these disks
}

// profile says which faults a run prefers: some need calm to show, others a storm.
type profile uint8

const (
	calm     profile = iota // nothing but ordinary delays
	lossy                   // bad links
	split                   // partitions
	crashing                // crashes, lost disks
	skewed                  // clocks
	stormy                  // all of it
	profiles = iota
)

func (p profile) String() string {
	return [...]string{"calm", "lossy", "split", "crashing", "skewed", "stormy"}[p]
}

func newPlan(s source) plan {
	p := plan{
		nodes:      3 + s.IntN(5),
		keys:       1 + s.IntN(6),
		operations: 30 + s.IntN(90),
		duration:   s.between(2*time.Second, 6*time.Second),
		profile:    profile(s.IntN(profiles)),

		callTimeout:      s.between(50*time.Millisecond, 400*time.Millisecond),
		operationTimeout: s.between(200*time.Millisecond, time.Second),
		pushDelay:        s.between(time.Millisecond, 100*time.Millisecond),
		interval:         s.between(200*time.Millisecond, time.Second),
	}
	p.maxMessage = [...]int{2 << 10, 8 << 10, 0}[s.IntN(3)]
	p.maxPending = [...]int{1 << 10, 8 << 10, 0}[s.IntN(3)]
	if p.wide = s.chance(0.3); p.wide {
		p.keys = 10 + s.IntN(30)
		p.operations *= 2
		p.maxMessage = 1 << 10
	}
	if p.profile != calm {
		p.faults = 2 + s.IntN(14)
	}
	return p
}

// extend plans what has a stream of its own: how deltas travel, and that every other run
// collects.
func (p *plan) extend(s source) {
	p.collectEvery = s.between(100*time.Millisecond, 600*time.Millisecond)
	p.quiet = s.between(0, 100*time.Millisecond)
	p.propagation = propagation(s.IntN(propagations))
	p.maxAge = s.between(200*time.Millisecond, 2*time.Second)
	p.patience = s.between(50*time.Millisecond, 300*time.Millisecond)
	if p.broad = s.chance(0.03); p.broad {
		p.keys, p.wide, p.maxMessage = 500+s.IntN(60), true, 2<<10
		p.maxPending = 1 << 9 // much is left to rounds, which find many keys at once
		if s.chance(0.8) {    // stores that are filled again
			p.profile, p.faults = crashing, 6+s.IntN(14)
		}
	}
	if p.collects = s.chance(0.5); p.collects {
		p.retires = !p.broad && s.chance(0.15)
		p.operations += p.operations / 2
	}
}

// mount plans, likewise, that stores are on disk in two runs of five.
func (p *plan) mount(s source) {
	if p.disks = s.chance(0.4); p.disks && p.profile != calm {
		p.mishaps = s.IntN(16)
	}
}

// deletes is how likely it is that clients delete a whole key.
func (p *plan) deletes() float64 {
	if p.collects {
		return 0.25
	}
	return 0.06
}

func (p plan) String() string {
	return fmt.Sprintf("%d nodes, %d keys (wide: %v), %d operations and %d faults (%v) in %v; call timeout %v, operation timeout %v, push after %v, round every %v; collects: %v, every %v; deltas %v, for %v; disks: %v, %d mishaps",
		p.nodes, p.keys, p.wide, p.operations, p.faults, p.profile, p.duration, p.callTimeout, p.operationTimeout, p.pushDelay, p.interval, p.collects, p.collectEvery, p.propagation, p.maxAge, p.disks, p.mishaps)
}
