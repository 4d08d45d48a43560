package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/vclock"
)

// stepper is what a quorum read and a quorum write have in common.
type stepper interface {
	Start() []quorum.Send
	Answer(s quorum.Send, resp []byte, err error) []quorum.Send
	Hedge() []quorum.Send
	Timeout() []quorum.Send
	Done() bool
}

// An operation is a quorum read or write under way at its coordinator.
type operation struct {
	node    *node
	op      stepper
	slow    bool // what it sends to others waits before
	decided bool
	ended   func() // once the outcome is decided
}

// coordinate runs a step machine at a node until it has nothing more to send.
func (r *run) coordinate(n *node, op stepper, slow bool, ended func()) {
	o := &operation{node: n, op: op, slow: slow, ended: ended}
	r.open++
	n.operations = append(n.operations, o)
	r.transmit(o, op.Start())
	chance := r.turns
	if slow {
		chance = r.slow
	}
	r.after(chance.between(0, r.plan.operationTimeout), n, timeout, func() { r.transmit(o, op.Hedge()) })
	r.after(r.plan.operationTimeout, n, timeout, func() { r.transmit(o, op.Timeout()) })
}

func (r *run) transmit(o *operation, sends []quorum.Send) {
	for _, s := range sends {
		if r.violation != nil {
			return
		}
		if s.To == o.node.id {
			resp, err := o.node.handler.ServeCall(r.ctx, o.node.id, quorum.Method, s.Request())
			r.explain(err)
			r.feed(o, s, resp, err)
			continue
		}
		if o.slow {
			r.after(r.slow.between(0, r.plan.operationTimeout), o.node, timeout, func() { r.ask(o, s) })
			continue
		}
		r.ask(o, s)
	}
	r.settle(o)
}

func (r *run) ask(o *operation, s quorum.Send) {
	r.call(o.node, r.number(s.To), quorum.Method, s.Request(), &call{
		repeatable: true,
		keeps:      true,
		done:       func(resp []byte, err error) { r.feed(o, s, resp, err) },
	})
}

// feed hands an answer to the operation, and sends what that leads to.
func (r *run) feed(o *operation, s quorum.Send, resp []byte, err error) {
	r.transmit(o, o.op.Answer(s, resp, err))
}

func (r *run) settle(o *operation) {
	if o.decided || !o.op.Done() {
		return
	}
	o.decided = true
	r.open--
	o.ended()
}

// abandon forgets the operations of a node that crashes. Nobody is told of them;
// what they did may have happened.
func (r *run) abandon(n *node) {
	for _, o := range n.operations {
		if !o.decided {
			o.decided = true
			r.open--
		}
	}
	n.operations = nil
}

// A write is one local update and the quorum write that follows it.
type write struct {
	ledger   *ledger
	node     int
	delta    []byte
	effect   shadow
	started  time.Duration
	needed   int
	acked    bool
	unsure   bool // it was lost by one replica while no other had it
	ackedAt  time.Duration
	describe string
}

// quorumWrite sends the delta of a local update to the other replicas.
func (r *run) quorumWrite(n *node, w *write, level quorum.Level) {
	op, err := quorum.NewWriteOp(quorum.WriteConfig{
		Key: w.ledger.key, Delta: slices.Clone(w.delta), Placement: r.everywhere(), Self: n.id,
		Options: quorum.WriteOptions{Level: level}, Away: r.away(n),
	})
	if err != nil {
		r.fail(errorUnexplained, w.ledger.key, "write: %v", err)
		return
	}
	w.needed = r.needed(level)
	r.coordinate(n, op, false, func() {
		if _, err := op.Result(); err != nil {
			r.trace.say(r.now, n.index, "%s: not acknowledged: %v", w.describe, err)
			return
		}
		r.trace.say(r.now, n.index, "%s: acknowledged", w.describe)
		r.acknowledged(w)
	})
}

// quorumRead reads a key, and checks the answer against what was known before.
func (r *run) quorumRead(n *node, l *ledger, level quorum.Level, slow bool) {
	needed := r.needed(level)
	join := func(a, b []byte) ([]byte, error) { return n.replica.join(l, a, b) }
	op, err := quorum.NewReadOp(quorum.ReadConfig{
		Key: l.key, Placement: r.everywhere(), Self: n.id, Join: join,
		Options: quorum.ReadOptions{Level: level}, Prefer: r.prefer(),
		Generation: n.replica.GenerationOf, Since: n.replica.GenerationOf(nil),
	})
	if err != nil {
		r.fail(errorUnexplained, l.key, "read: %v", err)
		return
	}
	r.counts.Reads++
	describe := fmt.Sprintf("read %s at level %v", l.key, level)
	r.trace.say(r.now, n.index, "%s", describe)
	expect := r.expectation(l, needed)
	r.coordinate(n, op, slow, func() {
		res, err := op.Result()
		if err != nil {
			r.trace.say(r.now, n.index, "%s: %v", describe, err)
			return
		}
		r.counts.Answered++
		s := r.meaning(l, res.State)
		if r.trace.print != nil {
			r.trace.say(r.now, n.index, "%s: %v", describe, l.view(s))
		}
		r.checkRead(expect, res.State, s)
	})
}

// join merges two states on behalf of a reader, and keeps the shadow.
func (p *replica) join(l *ledger, a, b []byte) ([]byte, error) {
	out, err := p.store.Join(a, b)
	if err == nil {
		p.run.bind(l, out, l.join(p.run.meaning(l, a), p.run.meaning(l, b)))
	}
	return out, err
}

// away takes nodes to be away at random, as a coordinator may.
func (r *run) away(n *node) func(transport.NodeID) bool {
	taken := r.turns.IntN(4 * len(r.nodes))
	return func(id transport.NodeID) bool { return id == nodeID(taken) && id != n.id }
}

// prefer orders nodes at random, and takes some to be away.
func (r *run) prefer() func(transport.NodeID) int {
	ranks := r.turns.Perm(2 * len(r.nodes))
	return func(id transport.NodeID) int { return ranks[r.number(id)] - len(ranks)/4 }
}

// needed is how many replicas a level asks for, by the simulator's own reckoning.
func (r *run) needed(level quorum.Level) int {
	switch level {
	case quorum.Majority:
		return len(r.owners())/2 + 1
	case quorum.All:
		return len(r.owners())
	}
	return int(level)
}

func (r *run) everywhere() quorum.Placement {
	var owners quorum.Everywhere
	for _, n := range r.owners() {
		owners = append(owners, n.id)
	}
	return owners.Place("")
}

// A reading is what the clients of one key remember.
type reading struct {
	majority shadow // all that reads at a majority or more have answered
	state    []byte // the last of these answers
	contexts []readContext
}

// readContext is what a client may hand back when it writes.
type readContext struct {
	context *vclock.Context
	shadow  shadow // of the multi-value register alone
}
