package simulation

import (
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/vclock"
)

// replication is what drives anti-entropy at one node: the part of
// antientropy.Loop that has timers. What it decides by is the protocol's own.
type replication struct {
	run    *run
	node   *node
	out    outgoing
	mirror []mirrored // what an outbox holds for each node
	peers  []peer     // by node
	rounds uint64
	busy   bool // a round is under way
	equal  bool // a round that began in the calm found no difference
	armed  bool // a push is due

	membership antientropy.Membership
	outdated   *node              // to reconcile with next
	cursor     antientropy.Cursor // how far a stream has come that ended early
}

// peer is what a node remembers of another.
type peer struct {
	deferred []merkle.Range // left to deltas by the last round
}

func (r *run) newReplication(n *node) *replication {
	a := &replication{run: r, node: n, peers: make([]peer, r.plan.nodes), mirror: make([]mirrored, r.plan.nodes)}
	a.out = r.newOutgoing()
	a.membership.Self, a.membership.Epoch = n.id, func() antientropy.Epoch { return n.epoch }
	for _, o := range r.nodes {
		if o != n && !o.gone {
			a.out.Open(o.id)
		}
	}
	return a
}

func (a *replication) start() {
	r := a.run
	r.after(r.sources.between(0, r.plan.interval), a.node, round, a.tick)
	if r.plan.propagation == lazy {
		a.mend()
	}
	if r.plan.collects {
		c := &collector{replication: a}
		r.after(r.turns.between(0, r.plan.collectEvery), a.node, collect, c.tick)
	}
}

// newHandler is all that a node answers.
func (r *run) newHandler(n *node) transport.Handler {
	coordinator := &quorum.Coordinator{Self: n.id, Local: n.replica}
	mux := new(transport.Mux)
	mux.Handle("quorum/", coordinator.Handler())
	mux.Handle("antientropy/", &antientropy.Responder{
		Store:      n.replica,
		MaxMessage: r.plan.maxMessage,
		Learned:    func(from transport.NodeID, key string, novel []byte) { n.repl.put(key, novel, from) },
		InFlight:   n.repl.out.Holds,
		Refused:    r.refusedKey,
		Membership: &n.repl.membership,
		Outdated:   func(peer transport.NodeID) { n.repl.outdated = r.nodes[r.number(peer)] },
	})
	return &trees{node: n, rest: mux}
}

// put queues a delta, and has it pushed soon.
func (a *replication) put(key string, delta []byte, origin transport.NodeID) {
	a.run.learned(a.node, key, delta, origin)
	lent := slices.Clone(delta)
	overflowed, err := a.out.Put(key, lent, origin)
	spoil(lent)
	a.mirrorPut(key, delta, origin)
	if err != nil {
		a.run.fail(errorUnexplained, key, "outbox: %v", err)
	}
	a.run.counts.Overflowed += len(overflowed)
	a.arm()
}

func (a *replication) arm() {
	if a.armed {
		return
	}
	a.armed = true
	a.run.after(a.run.plan.pushDelay, a.node, push, func() {
		a.armed = false
		a.pushAll()
	})
}

// pushAll sends what waits to every peer that has no batch on its way.
func (a *replication) pushAll() {
	r := a.run
	a.age()
	if a.node.unmet() {
		a.arm()
		return
	}
	for _, o := range r.nodes {
		b, ok := a.out.Batch(o.id)
		if !ok {
			continue
		}
		r.counts.Pushes++
		began := r.now
		a.mirror[o.index].flight = b.ID
		r.call(a.node, o.index, b.Method, b.Request, &call{repeatable: true, done: func(resp []byte, err error) {
			a.pushed(o, b, began, resp, err)
		}})
	}
}

func (a *replication) pushed(to *node, b antientropy.Batch, began time.Duration, resp []byte, err error) {
	var refused []antientropy.Refused
	a.age()
	if err == nil {
		refused, err = a.out.Acked(to.id, b.ID, resp)
	}
	if err == nil {
		a.mirrorAcked(to, b, began, refused)
	} else {
		a.run.explainCall(err)
		if _, closed := a.out.Failed(to.id, b.ID); closed {
			a.mirror[to.index] = mirrored{}
		}
	}
	if a.out.Pending(to.id) > 0 {
		a.arm()
	}
}

// tick reconciles with some peer, one that deltas do not reach first, and comes
// back after an interval.
func (a *replication) tick() {
	r := a.run
	r.after(r.plan.interval, a.node, round, a.tick)
	a.age()
	if !a.busy {
		a.reconcile(a.choose())
	}
}

func (a *replication) choose() *node {
	r := a.run
	first := r.sources.IntN(len(r.nodes))
	if o := a.outdated; o != nil && !o.gone {
		a.outdated = nil
		return o
	}
	chosen := -1
	for i := range r.nodes {
		k := (first + i) % len(r.nodes)
		if k == a.node.index || r.nodes[k].gone {
			continue
		}
		if chosen < 0 || !a.out.Closed(r.nodes[chosen].id) && a.out.Closed(r.nodes[k].id) {
			chosen = k
		}
	}
	return r.nodes[chosen]
}

func (a *replication) reconcile(with *node) {
	a.busy = true
	a.rounds++
	a.run.counts.Rounds++
	p := &a.peers[with.index]
	reopened := a.out.Closed(with.id)
	a.out.Open(with.id)
	rd := antientropy.NewRound(a.node.replica, antientropy.RoundConfig{
		Peer:       with.id,
		MaxMessage: a.run.plan.maxMessage,
		Session:    a.rounds,
		Insist:     p.deferred,
		InFlight:   func(key string) bool { return a.out.Holds(with.id, key) },
		Learned:    func(key string, novel []byte) { a.put(key, novel, with.id) },
		Refused:    a.run.refusedKey,
		Resume:     a.cursor,
		Membership: &a.membership,
		SetAside:   func(iter.Seq2[string, []byte]) { a.readmitted(with) },
	})
	p.deferred = nil
	x := a.begin(with, reopened)
	x.resumed = a.cursor != antientropy.Cursor{}
	a.next(rd, x)
}

// readmitted has all begin anew with a store that was emptied: what waits for the peers
// is of what it held.
func (a *replication) readmitted(by *node) {
	for _, o := range a.run.nodes {
		a.drop(o)
		a.peers[o.index].deferred = nil
	}
	a.out.Open(by.id)
}

// drop has nothing wait for a node.
func (a *replication) drop(o *node) {
	a.out.Close(o.id)
	a.mirror[o.index] = mirrored{}
}

// next sends the next request of a round, or ends it.
func (a *replication) next(rd *antientropy.Round, x *exchange) {
	r := a.run
	method, req, more := rd.Next()
	if !more || r.violation != nil {
		a.over(rd, x)
		return
	}
	r.call(a.node, x.with.index, method, req, &call{done: func(resp []byte, err error) {
		if err == nil {
			err = rd.Step(r.ctx, resp)
		}
		if err != nil {
			r.explainCall(err)
			a.ended(rd, x)
			if _, apart := errors.AsType[*antientropy.GenerationError](err); apart || x.reopened {
				a.drop(x.with)
			}
			return
		}
		a.next(rd, x)
	}})
}

func (a *replication) over(rd *antientropy.Round, x *exchange) {
	a.ended(rd, x)
	r, done := a.run, rd.Result()
	a.peers[x.with.index].deferred = rd.Deferred()
	if r.trace.print != nil {
		r.trace.say(r.now, a.node.index, "round with %s: %d differ, %d sent, %d received (%d new), %d refused, %d deferred",
			x.with.id, done.Different, done.KeysSent, done.KeysReceived, done.KeysNovel, done.KeysRefused, done.Deferred)
	}
	a.checkRound(rd, x)
	if !x.calm {
		return
	}
	a.equal = true
	if done.Different > 0 {
		r.fail(neverQuiet, "", "%s finds %d differences to %s though their roots are equal", a.node.id, done.Different, x.with.id)
	}
}

// ended notes how far a round has come, early or not.
func (a *replication) ended(rd *antientropy.Round, x *exchange) {
	a.busy = false
	a.cursor = rd.Resume()
	switch {
	case rd.Result().Strategy != antientropy.FullState:
	case x.resumed:
		a.run.did("a stream that goes on where another ended")
	default:
		a.run.did("a stream")
	}
}

// pending is how many bytes wait for any peer.
func (a *replication) pending() (n int) {
	for _, o := range a.run.nodes {
		n += a.out.Pending(o.id)
	}
	return n
}

// refusedKey checks that a key which could not be exchanged was refused by a clock.
// What a peer refused was checked at the peer.
func (r *run) refusedKey(x antientropy.Refused) {
	if _, ok := errors.AsType[*antientropy.RefusedError](x.Err); ok || errors.Is(x.Err, errNotFor) {
		return
	}
	if _, ok := errors.AsType[*vclock.DriftError](x.Err); !ok && !r.explained(x.Err) {
		r.fail(errorUnexplained, x.Key, "refused: %v", x.Err)
	}
}

// explain checks that a handler failed because of a clock, if it did.
func (r *run) explain(err error) {
	if err == nil || errors.Is(err, errStopped) {
		return
	}
	if _, ok := errors.AsType[*vclock.DriftError](err); !ok && !r.explained(err) {
		r.fail(errorUnexplained, "", "%v", err)
	}
}

// explainCall checks that a call failed because of the network or of a clock.
func (r *run) explainCall(err error) {
	if errors.Is(err, errTimeout) {
		return
	}
	if e, ok := errors.AsType[*transport.RemoteError](err); ok && r.explainedCall(e) {
		return
	}
	r.explain(err)
}
