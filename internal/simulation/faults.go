package simulation

import (
	"slices"
	"time"
)

// A breakage is one kind of fault. It arranges for its own end.
type breakage func(r *run, length time.Duration)

// repertoire is what each profile breaks, by weight.
var repertoire = [profiles][]breakage{
	lossy:    {badLink, badLink, badNetwork, pause},
	split:    {partition, partition, oneWay, isolate, badLink},
	crashing: {crash, crash, loseDisk, loseDisk, pause, badLink},
	skewed:   {skew, skew, jumpBack, crash, partition, badLink},
	stormy:   {badLink, badNetwork, partition, oneWay, isolate, crash, loseDisk, pause, skew, jumpBack},
}

func (r *run) planFaults() {
	for range r.plan.faults {
		at := r.faults.between(0, r.plan.duration)
		r.heap.push(event{at: at, node: nowhere, life: anyLife, kind: fault, run: r.breakSomething})
	}
}

func (r *run) breakSomething() {
	if r.stopped {
		return
	}
	kinds := repertoire[r.plan.profile]
	b := kinds[r.faults.IntN(len(kinds))]
	b(r, r.faults.between(50*time.Millisecond, r.plan.duration/2))
}

// later undoes a fault, unless all faults have been undone by then.
func (r *run) later(d time.Duration, undo func()) {
	r.heap.push(event{at: r.now + d, node: nowhere, life: anyLife, kind: fault, run: func() {
		if !r.stopped {
			undo()
		}
	}})
}

// stopFaults ends everything that is broken: from here on the cluster must come to
// rest. Messages that are late stay late.
func (r *run) stopFaults() {
	r.trace.say(r.now, -1, "the faults stop")
	r.stopped = true
	r.network.restore()
	for _, n := range r.nodes {
		n.skew = 0
		n.pausedUntil = 0
		n.replica.mend()
		if !n.up && !n.gone {
			r.restart(n)
		}
	}
	r.watch()
}

func (r *run) randomNode() *node { return r.nodes[r.faults.IntN(len(r.nodes))] }

// worsen makes a link bad in all ways at once.
func (r *run) worsen(l *link) {
	l.loss = 0.5 * r.faults.Float64()
	l.copy = 0.3 * r.faults.Float64()
	l.lag = r.faults.between(0, 20*time.Millisecond)
	l.wide = r.faults.between(0, 150*time.Millisecond)
}

func (l *link) mend() { l.loss, l.copy, l.lag, l.wide = 0, 0, time.Millisecond, time.Millisecond }

func badLink(r *run, length time.Duration) {
	from, to := r.faults.IntN(len(r.nodes)), r.faults.IntN(len(r.nodes))
	l := &r.network.links[from][to]
	r.worsen(l)
	r.trace.say(r.now, from, "bad link to %s: %+v", name(to), *l)
	r.later(length, l.mend)
}

func badNetwork(r *run, length time.Duration) {
	r.trace.say(r.now, -1, "bad network for %v", length)
	r.network.each(func(_, _ int, l *link) { r.worsen(l) })
	r.later(length, func() { r.network.each(func(_, _ int, l *link) { l.mend() }) })
}

// partition cuts the nodes into two sides.
func partition(r *run, length time.Duration) {
	side := make([]bool, len(r.nodes))
	for i := range side {
		side[i] = r.faults.chance(0.5)
	}
	r.trace.say(r.now, -1, "partition %v for %v", side, length)
	r.cut(length, func(from, to int) bool { return side[from] != side[to] })
}

// isolate cuts one node off from all others.
func isolate(r *run, length time.Duration) {
	alone := r.randomNode().index
	r.trace.say(r.now, alone, "isolated for %v", length)
	r.cut(length, func(from, to int) bool { return from == alone || to == alone })
}

// oneWay lets a node hear and not be heard, or the reverse.
func oneWay(r *run, length time.Duration) {
	n, mute := r.randomNode().index, r.faults.chance(0.5)
	r.trace.say(r.now, n, "one-way cut (mute: %v) for %v", mute, length)
	r.cut(length, func(from, to int) bool { return mute && from == n || !mute && to == n })
}

func (r *run) cut(length time.Duration, which func(from, to int) bool) {
	r.counts.Cuts++
	var cuts []*link
	r.network.each(func(from, to int, l *link) {
		if which(from, to) && !l.cut {
			l.cut = true
			cuts = append(cuts, l)
		}
	})
	r.later(length, func() {
		r.trace.say(r.now, -1, "healed")
		for _, l := range cuts {
			l.cut = false
		}
	})
}

func pause(r *run, length time.Duration) {
	n := r.randomNode()
	r.trace.say(r.now, n.index, "paused for %v", length)
	n.pausedUntil = max(n.pausedUntil, r.now+length)
}

func crash(r *run, length time.Duration) {
	n := r.randomNode()
	if !n.up {
		return
	}
	r.crash(n)
	r.later(length, func() {
		if !n.up && !n.gone {
			r.restart(n)
		}
	})
}

// loseDisk crashes a node that comes back with nothing, once nothing is lost by it:
// it waits for a moment at which every other node holds all that this one does, and
// gives up if there is none.
func loseDisk(r *run, length time.Duration) {
	n := r.randomNode()
	r.trace.say(r.now, n.index, "shall lose its disk")
	var attempt func()
	attempt = func() {
		switch {
		case !n.up:
		case r.redundant(n):
			r.crash(n)
			r.restartEmpty(n)
		default:
			r.later(20*time.Millisecond, attempt)
		}
	}
	attempt()
	_ = length
}

// redundant reports whether every other owner holds everything that n does.
func (r *run) redundant(n *node) bool {
	return !slices.ContainsFunc(r.owners(), func(o *node) bool { return o != n && !r.holdsAll(o, n) })
}

func (r *run) holdsAll(o, n *node) bool {
	if r.plan.retires {
		return r.holdsHeritage(o, n)
	}
	for _, l := range r.keys {
		if !o.replica.has(l, n.replica.shadows[l.index]) {
			return false
		}
	}
	return true
}

// skew sets a clock ahead or back by up to three times the drift that is accepted.
func skew(r *run, length time.Duration) {
	n := r.randomNode()
	n.skew = r.faults.between(-3*maxDrift, 3*maxDrift)
	r.trace.say(r.now, n.index, "clock skew %v for %v", n.skew, length)
	r.later(length, func() { n.skew = 0 })
}

// jumpBack has a clock go back, and stay there.
func jumpBack(r *run, _ time.Duration) {
	n := r.randomNode()
	n.skew -= r.faults.between(0, 10*time.Second)
	r.trace.say(r.now, n.index, "clock jumps back, skew %v", n.skew)
}
