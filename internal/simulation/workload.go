package simulation

import (
	"fmt"
	"time"

	"github.com/eventual-go/eventual/quorum"
)

// planOperations spreads what clients do over the run: partly at random, partly in
// bursts, which is when things happen at the same time.
func (r *run) planOperations() {
	at := time.Duration(0)
	for i := range r.plan.operations {
		if i == 0 || r.clients.chance(0.5) {
			at = r.clients.between(0, r.plan.duration)
		} else {
			at = min(at+r.clients.around(r.clients.gap()), r.plan.duration)
		}
		r.heap.push(event{at: at, node: nowhere, life: anyLife, kind: operate, run: r.operate})
	}
	for _, l := range r.keys {
		l.kinds = r.chooseKinds()
		l.last = l.kinds[0]
	}
}

// fill gives all nodes the same keys to begin with, where there are to be so many that
// their indexes have sketches.
func (r *run) fill() {
	if !r.plan.broad {
		return
	}
	first := r.owners()[0]
	for _, l := range r.keys {
		w := r.apply(first, l, changeSet(r, first, l))
		for _, n := range r.nodes {
			if w == nil || n == first {
				continue
			}
			if _, err := n.replica.Merge(r.ctx, l.key, w.delta); err != nil {
				r.fail(errorUnexplained, l.key, "fill: %v", err)
			}
		}
	}
}

// gap is how far apart operations of a burst are: less than messages take, or much
// more.
func (s source) gap() time.Duration {
	if s.chance(0.6) {
		return 300 * time.Microsecond
	}
	return 10 * time.Millisecond
}

// operate is one thing that one client does at some node.
func (r *run) operate() {
	n := r.nodes[r.clients.IntN(len(r.nodes))]
	if !n.up || n.pausedUntil > r.now || n.owner && n.unmet() {
		return
	}
	if r.plan.retires {
		r.operateHeritage(n)
		return
	}
	l := r.chooseKey()
	if r.clients.chance(0.35) && n.owner {
		r.quorumRead(n, l, r.chooseLevel(), false)
		return
	}
	r.update(n, l)
}

// chooseKey prefers the key that was used last, and a few others, unless there are to
// be many.
func (r *run) chooseKey() *ledger {
	if r.last == nil || !r.clients.chance(0.6) {
		r.last = r.anyKey()
	}
	return r.last
}

func (r *run) anyKey() *ledger {
	const hot = 3
	if !r.plan.wide && r.clients.chance(0.6) {
		return r.keys[r.clients.IntN(min(hot, len(r.keys)))]
	}
	return r.keys[r.clients.IntN(len(r.keys))]
}

func (r *run) chooseLevel() quorum.Level {
	switch p := r.clients.Float64(); {
	case p < 0.25:
		return quorum.One
	case p < 0.7:
		return quorum.Majority
	case p < 0.8:
		return quorum.All
	}
	return quorum.Level(1 + r.clients.IntN(len(r.owners())))
}

// update changes a key at one node, and lets the change travel: by the outbox, and
// mostly by a quorum write too.
func (r *run) update(n *node, l *ledger) {
	if n.replica.mute() || !n.replica.ready() {
		return
	}
	first, at := len(l.marks), n.replica.at()
	c := r.change(n, l)
	for i := first; i < len(l.marks); i++ {
		l.marks[i].made = at
	}
	if n.replica.fell(c.err) {
		n.replica.interrupted(l, c)
		return
	}
	if c.err != nil {
		r.explainChange(n, l, c)
		return
	}
	w := r.apply(n, l, c)
	if w == nil {
		return
	}
	n.repl.put(l.key, w.delta, "")
	if c.name == deletion && r.plan.collects {
		r.readMeanwhile(l)
	}
	if r.clients.chance(0.85) && n.owner {
		r.quorumWrite(n, w, r.chooseLevel())
	}
}

// readMeanwhile reads a key at some owner, slowly, while a deletion of it is on its way, and
// may be forgotten before the read is over.
func (r *run) readMeanwhile(l *ledger) {
	owners := r.owners()
	n := owners[r.slow.IntN(len(owners))]
	if n.up && n.pausedUntil <= r.now && !n.unmet() {
		r.quorumRead(n, l, quorum.Majority, true)
	}
}

// apply does to the model what a change did to a store. It returns nil if that was
// nothing.
func (r *run) apply(n *node, l *ledger, c change) *write {
	if c.effect.empty() != (len(c.delta) == 0) {
		r.fail(modelDiffers, l.key, "%v at %s: the effect is %v, the delta %x", c, n.id, c.effect, c.delta)
		return nil
	}
	if len(c.delta) > 0 || c.refused {
		r.did(c.name)
	}
	if len(c.delta) == 0 {
		return nil
	}
	if at := n.replica.at(); at != nil && n.replica.shadows[l.index].empty() && !at.forgotten[l].empty() {
		r.did("a key made again that was forgotten")
	}
	n.replica.updated(l, c)
	r.counts.Updates++
	describe := fmt.Sprintf("%s %v", l.key, c)
	r.trace.result(digest(c.delta))
	r.trace.say(r.now, n.index, "%s: %v", describe, c.effect)
	w := &write{ledger: l, node: n.index, delta: c.delta, effect: c.effect, started: r.now, describe: describe}
	r.writes = append(r.writes, w)
	return w
}

// interrupted takes note of a change that may have happened: the disk has failed in it. Nobody was told of it.
func (p *replica) interrupted(l *ledger, c change) {
	p.run.did("an update that a crash came into")
	describe := fmt.Sprintf("%s %v, of which nobody was told", l.key, c)
	w := &write{ledger: l, node: p.node.index, effect: c.effect, started: p.run.now, describe: describe}
	p.perhaps(l, l.join(p.shadows[l.index], c.effect), w)
}

// updated does to the shadow what an update did to the store, and checks both.
func (p *replica) updated(l *ledger, c change) {
	p.run.bind(l, c.delta, c.effect)
	p.set(l, l.join(p.shadows[l.index], c.effect))
	p.load(l)
	p.checkBuried(l)
}
