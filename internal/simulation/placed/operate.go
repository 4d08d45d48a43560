package placed

import (
	"errors"
	"fmt"
	"slices"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// stepper is what a read and a write have in common.
type stepper interface {
	Start() []quorum.Send
	Answer(s quorum.Send, resp []byte, err error) []quorum.Send
	Hedge() []quorum.Send
	Timeout() []quorum.Send
	Done() bool
}

// An operation is one attempt at a read or a write, at its coordinator, and what the simulator knows
// about it: who has answered what.
type operation struct {
	node  *node
	key   *key
	write *write // nil of a read
	reads quorum.ReadOptions
	asks  quorum.WriteOptions
	back  quorum.Demand
	hints bool
	tries int

	start   moment
	epoch   uint64 // of the ring by which it is made
	place   quorum.Placement
	op      stepper
	decided bool
	heard   map[int]bool // what came of a Send counts once
	acks    set          // who has answered, or merged
	mended  set          // who has merged what a read found
	stood   set          // for whom others have
	stands  set          // and which ones
	kept    int          // hints
	spoke   set          // of whom it is known what came of asking them
	data    bool         // somebody has answered that it has something
	moved   uint64       // the highest version that was told
	by      *node        // by whom

	err   error                 // what came of it
	after func(last *operation) // is told when it is over, with the last attempt; nil: nobody is
}

func (o *operation) String() string {
	if o.write != nil {
		return fmt.Sprintf("%v by %s, %+v", o.write, o.node.id, o.asks)
	}
	return fmt.Sprintf("read of %s by %s, %+v", o.key.name, o.node.id, o.reads)
}

// begin begins an operation by the ring that its node has.
func (r *run) begin(o *operation) {
	g := o.node.ring.Ring()
	if g == nil {
		return
	}
	o.tries++
	o.start, o.epoch, o.place, o.heard = r.moment(), g.Epoch(), g.Place(o.key.pos), map[int]bool{}
	var err error
	if o.write != nil {
		o.op, err = r.newWriteOp(o)
	} else {
		o.op, err = r.newReadOp(o)
	}
	if can := r.can(o); can != (err == nil) {
		r.fail(levelWrong, o.key.name, "%v of %v: %v", o, o.place, err)
	}
	if err != nil {
		r.did("a level that cannot be asked")
		o.err = err
		o.end()
		return
	}
	r.say(o.node, "begins, by ring %d: %v", o.epoch, o)
	r.open++
	o.node.operations = append(o.node.operations, o)
	r.proceed(o, o.op.Start())
	r.after(r.random.between(0, r.plan.operationTimeout), o.node, timeout, func() { r.proceed(o, o.op.Hedge()) })
	r.after(r.plan.operationTimeout, o.node, timeout, func() { r.proceed(o, o.op.Timeout()) })
}

func (r *run) newWriteOp(o *operation) (stepper, error) {
	if o.asks.Applied && o.tries == 1 {
		o.asks.Applied = o.node.owns(o.key)
	}
	if o.asks.Applied && o.tries == 1 {
		if _, err := o.node.replica.Merge(r.ctx, o.key.name, o.write.delta); err != nil {
			r.fail(unexplained, o.key.name, "own merge: %v", err)
		}
		r.did("a write that is applied")
	}
	if o.asks.Applied {
		o.acks = o.node.bit()
	}
	return quorum.NewWriteOp(quorum.WriteConfig{
		Key: o.key.name, Delta: slices.Clone(o.write.delta), Placement: o.place, Self: o.node.id, Options: o.asks,
		Hints: o.hints, Away: r.away(), Durable: !o.node.volatile,
	})
}

func (r *run) newReadOp(o *operation) (stepper, error) {
	return quorum.NewReadOp(quorum.ReadConfig{
		Key: o.key.name, Placement: o.place, Self: o.node.id, Options: o.reads, Join: r.join, WriteBack: o.back, Prefer: r.prefer(),
	})
}

// away takes nodes to be away: those that are, mostly, and others.
func (r *run) away() func(transport.NodeID) bool {
	var away set
	for _, n := range r.nodes {
		if !n.up && r.random.chance(0.7) || r.random.chance(0.1) {
			away |= n.bit()
		}
	}
	return func(id transport.NodeID) bool { return away&r.node(id).bit() != 0 }
}

// prefer orders nodes at random, and takes some to be away.
func (r *run) prefer() func(transport.NodeID) int {
	ranks := r.random.Perm(2 * len(r.nodes))
	return func(id transport.NodeID) int { return ranks[r.node(id).index] - len(ranks)/4 }
}

// proceed goes on with an operation that was told something: what it has decided comes first.
func (r *run) proceed(o *operation, sends []quorum.Send) {
	r.settle(o)
	life := o.node.life
	for _, s := range sends {
		if r.violation != nil || !o.node.up || o.node.life != life {
			return
		}
		m := &message{from: o.node, to: r.node(s.To), method: quorum.Method, body: s.Request()}
		if m.to == o.node {
			r.ownTask(o, s, m)
			continue
		}
		r.call(o.node, m, &call{again: true, done: func(a *message, err error) {
			if err != nil {
				a = new(message)
			}
			r.feed(o, s, a.body, err)
		}})
	}
}

// ownTask has a node do what an operation of its own asks of it.
func (r *run) ownTask(o *operation, s quorum.Send, m *message) {
	a, life := new(message), o.node.life
	r.handle(o.node, m, m.body, a)
	if o.node.up && o.node.life == life {
		r.feed(o, s, slices.Clone(a.body), a.err)
	}
}

// feed hands an answer to an operation, and sends what that leads to.
func (r *run) feed(o *operation, s quorum.Send, resp []byte, err error) {
	r.note(o, &s, resp, err)
	r.proceed(o, o.op.Answer(s, resp, err))
}

// settle takes down the outcome of an operation, once.
func (r *run) settle(o *operation) {
	if o.decided || !o.op.Done() {
		return
	}
	o.decided = true
	r.open--
	if o.write != nil {
		o.err = r.wrote(o, o.op.(*quorum.WriteOp))
	} else {
		o.err = r.read(o, o.op.(*quorum.ReadOp))
	}
	if o.err == nil || !r.again(o) {
		o.end()
	}
}

// end tells who waits for it.
func (o *operation) end() {
	if o.after != nil {
		o.after(o)
	}
}

// abandon forgets an operation whose node crashes. Nobody is told of it; what it did may have happened.
func (r *run) abandon(o *operation) {
	if !o.decided {
		o.decided = true
		r.open--
	}
}

// again makes one more attempt, if it was refused by who knows of a later placement, or comes after what was held by one. It
// reports whether it goes on.
func (r *run) again(o *operation) bool {
	for i := range o.reads.After {
		if h := &o.reads.After[i]; h.Version > max(o.moved, o.place.Version) && len(h.Nodes) > 0 {
			o.moved, o.by = h.Version, r.node(h.Nodes[0])
		}
	}
	if o.moved <= o.place.Version || o.tries > 5 || r.calm {
		return false
	}
	later := func() bool {
		g := o.node.ring.Ring()
		return g.Place(o.key.pos).Version > o.place.Version
	}
	next := operation{node: o.node, key: o.key, write: o.write, reads: o.reads, asks: o.asks, back: o.back,
		hints: o.hints, tries: o.tries, after: o.after}
	begin := func() {
		r.did("an attempt by a newer ring")
		r.begin(&next)
	}
	if later() {
		begin()
		return true
	}
	r.poll(o.node, o.by, func() {
		if later() {
			begin()
		} else {
			o.end()
		}
	})
	return true
}

// explain checks that an error is one that an operation may end by.
func (r *run) explain(o *operation, err error) {
	_, unavailable := errors.AsType[*quorum.UnavailableError](err)
	_, timeout := errors.AsType[*quorum.TimeoutError](err)
	if !unavailable && !timeout {
		r.fail(unexplained, o.key.name, "%v: %v", o, err)
	}
}
