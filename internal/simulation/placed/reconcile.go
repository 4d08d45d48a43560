package placed

import (
	"slices"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/merkle"
)

// reconcile runs one round of anti-entropy in some ranges, both ways or one, and tells whether all of it was exchanged.
func (r *run) reconcile(n, peer *node, ranges []merkle.Range, give bool, done func(complete bool)) {
	if n.rounds[peer] || len(ranges) == 0 {
		done(false)
		return
	}
	n.rounds[peer] = true
	r.rounds++
	x := &exchange{
		run: r, node: n, peer: peer, ranges: ranges, give: give, done: done, began: r.now,
		mine: slices.Clone(n.replica.has), theirs: slices.Clone(peer.replica.has),
		round: antientropy.NewRound(n.replica, antientropy.RoundConfig{
			Peer: peer.id, MaxMessage: r.plan.maxMessage, Ranges: ranges, Give: give, Session: r.rounds,
		}),
	}
	r.did("a round")
	x.next()
}

// An exchange is one round under way.
type exchange struct {
	run          *run
	node, peer   *node
	ranges       []merkle.Range
	give         bool
	round        *antientropy.Round
	done         func(complete bool)
	began        time.Duration
	mine, theirs []view // what both held when it began
}

func (x *exchange) next() {
	r := x.run
	method, req, more := x.round.Next()
	if !more {
		res := x.round.Result()
		complete := res.KeysRefused+res.Deferred == 0
		if complete {
			x.check()
		}
		x.end(complete)
		return
	}
	r.call(x.node, &message{to: x.peer, method: method, body: slices.Clone(req)}, &call{done: func(a *message, err error) {
		if err == nil {
			err = x.round.Step(r.ctx, a.body)
			if err != nil {
				r.fail(unexplained, "", "round of %s with %s: %v", x.node.id, x.peer.id, err)
			}
		}
		if err != nil {
			r.did("a round that failed")
			x.end(false)
			return
		}
		x.next()
	}})
}

func (x *exchange) end(complete bool) {
	delete(x.node.rounds, x.peer)
	x.done(complete)
}

// check checks that both sides have what either had when the round began, if neither has given
// anything up since.
func (x *exchange) check() {
	r := x.run
	if x.node.reduced >= x.began && x.node.reduced > 0 || x.peer.reduced >= x.began && x.peer.reduced > 0 {
		return
	}
	for _, k := range r.keys {
		if !slices.ContainsFunc(x.ranges, func(at merkle.Range) bool { return at.Contains(k.pos) }) {
			continue
		}
		both := k.join(x.mine[k.index], x.theirs[k.index])
		mine, theirs := x.node.replica.has[k.index], x.peer.replica.has[k.index]
		if !x.give && !k.covers(mine, both) || !k.covers(theirs, both) {
			r.fail(taskWrong, k.name, "%s has %x, %s has %x, and they had %x", x.node.id, mine, x.peer.id, theirs, both)
		}
	}
}

// harmonize reconciles with some node what both hold.
func (r *run) harmonize(n *node) {
	peer := r.nodes[r.random.IntN(len(r.nodes))]
	if g := n.ring.Ring(); g != nil && peer != n && (r.calm || r.random.chance(r.plan.harmony)) {
		r.reconcile(n, peer, g.Shared(n.id, peer.id), false, func(bool) {})
	}
}
