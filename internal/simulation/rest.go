package simulation

import (
	"bytes"
	"slices"
	"time"
)

// watch looks at the cluster from time to time after the faults have stopped, until
// it has come to rest: all replicas equal, nothing waiting, no operation undecided,
// and then a round at every node that finds no difference.
func (r *run) watch() {
	deadline := r.now + 15*time.Second + 60*r.plan.interval
	var look func()
	look = func() {
		r.look()
		switch {
		case r.finished || r.violation != nil:
		case r.now > deadline:
			r.fail(neverQuiet, "", "%s", r.restless())
		default:
			r.heap.push(event{at: r.now + r.plan.interval/4, node: nowhere, life: anyLife, kind: fault, run: look})
		}
	}
	look()
}

func (r *run) look() {
	switch {
	case !r.calm && r.restless() == "":
		r.calm = true
		r.counts.Converged = r.now - r.plan.duration
		r.trace.say(r.now, -1, "all replicas are equal")
		r.checkFinal()
	case r.calm && !slices.ContainsFunc(r.present(), func(n *node) bool { return !n.repl.equal }):
		r.finished = true
	}
}

// stirred takes note that a request which arrived once more brought back what had been
// set aside, so that it is not over yet.
func (r *run) stirred() {
	r.calm = false
	for _, n := range r.present() {
		n.repl.equal = false
	}
}

// restless says what keeps the cluster from being at rest, "" if nothing.
func (r *run) restless() string {
	if r.open > 0 {
		return operationUndecided
	}
	first := r.owners()[0]
	for _, n := range r.present() {
		switch {
		case n.repl.pending() > 0:
			return "deltas wait at " + name(n.index)
		case n.replica.Index().Root() != first.replica.Index().Root():
			return "the roots of " + name(first.index) + " and " + name(n.index) + " differ"
		case n.replica.Generation() != first.replica.Generation():
			return "the generations of " + name(first.index) + " and " + name(n.index) + " differ"
		}
	}
	if key := r.unretired(first); key != "" {
		return "a replica that was retired is named in " + key
	}
	if key := r.unforgotten(first); r.plan.collects && key != "" {
		return neverCollected + ": " + key
	}
	return ""
}

// checkFinal compares all replicas with one another and with the model.
func (r *run) checkFinal() {
	for _, n := range r.present() {
		if r.plan.retires {
			r.checkHeritage(n)
		}
	}
	for _, l := range r.keys {
		var model shadow
		for _, w := range r.writes {
			if w.ledger == l {
				model = l.join(model, w.effect)
			}
		}
		for _, n := range r.present() {
			r.checkKey(l, n, model)
		}
	}
}

func (r *run) checkKey(l *ledger, n *node, model shadow) {
	got := n.replica.knows(l)
	told := l.join(got, l.aside)
	for _, w := range r.writes {
		switch {
		case w.ledger != l || l.covers(got, w.effect):
		case w.acked && !r.ownersEmptied && !w.unsure:
			r.fail(ackedLost, l.key, "%s, acknowledged at %v, is not at %s", w.describe, w.ackedAt, n.id)
		case !l.covers(told, w.effect):
			r.fail(lostUntold, l.key, "%s is not at %s", w.describe, n.id)
		default:
			r.did("a write lost that was set aside")
		}
	}
	if !l.covers(model, got) || !l.covers(told, model) || l.aside.empty() && !got.equal(model) {
		r.fail(modelDiffers, l.key, "%s has %v, and all operations come to %v", n.id, got, model)
	}
	state, err := n.replica.Load(r.ctx, l.key) // checked against the model there
	first, err0 := r.owners()[0].replica.Load(r.ctx, l.key)
	if err != nil || err0 != nil || !bytes.Equal(state, first) {
		r.fail(replicasDiffer, l.key, "%s has %x, %s has %x (%v, %v)", r.owners()[0].id, first, n.id, state, err0, err)
	}
	n.replica.checkBuried(l)
	if l.aside.empty() {
		r.checkStock(l, n, state)
	}
}

// present is the nodes that have not left for good.
func (r *run) present() []*node {
	return slices.DeleteFunc(slices.Clone(r.nodes), func(n *node) bool { return n.gone })
}
