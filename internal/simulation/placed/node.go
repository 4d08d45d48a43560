package placed

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/quorum/handoff"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
)

// A node is one machine, with the protocols that run on it.
type node struct {
	run   *run
	index int
	id    transport.NodeID
	zone  string

	up          bool
	out         bool // it is gone for good, or has not come yet
	life        int  // counts crashes
	frozenUntil time.Duration
	volatile    bool // a crash takes away what it holds, but not what it knows of the ring
	lostAt      []moment
	reduced     time.Duration // when it last came to hold less than before
	stores      int
	ever        []view // what it has ever merged, by key

	replica *replica
	hints   *hints
	saved   []byte // of the transition

	// what goes with a crash
	ring       *ring.Transition
	calls      map[uint64]*call
	handler    transport.Handler
	responder  *antientropy.Responder
	intake     handoff.Intake
	rounds     map[*node]bool       // under way, by peer
	held       map[int]*merkle.Tree // of partitions that are handed over: what there was before
	operations []*operation

	conversations []*conversation
	registers     *caspaxos.Registers
	acceptor      transport.Handler
	deciding      bool // the acceptor is about a request: others wait for that
	proposer      uint64
	proposals     []*proposal
}

// A moment is a place in the order of events, which virtual time is not: many have one time.
type moment uint64

func (r *run) newNode(i int, zone string) *node {
	n := &node{run: r, index: i, id: nodeID(i), zone: zone, ever: make([]view, len(r.keys))}
	n.replica = r.newReplica(n)
	n.hints = &hints{node: n}
	return n
}

func nodeID(i int) transport.NodeID { return transport.NodeID(fmt.Sprintf("n%d", i)) }

// node returns the node of an ID, nil if there is none.
func (r *run) node(id transport.NodeID) *node {
	i := slices.IndexFunc(r.nodes, func(n *node) bool { return n.id == id })
	if i < 0 {
		return nil
	}
	return r.nodes[i]
}

// start has a node begin, or go on from what outlived its crash.
func (r *run) start(n *node) {
	n.up = true
	n.calls, n.rounds, n.held, n.operations = make(map[uint64]*call), make(map[*node]bool), make(map[int]*merkle.Tree), nil
	n.ring = &ring.Transition{Self: n.id}
	if n.saved != nil {
		if err := n.ring.Restore(n.saved); err != nil {
			r.fail(ringWrong, "", "restore: %v", err)
		}
		r.advance(n)
	}
	n.hints.open()
	c := &quorum.Coordinator{Self: n.id, Local: slow{n.replica}, Ring: places{n}, Join: r.join, Hints: n.hints}
	n.handler = c.Handler()
	n.responder = &antientropy.Responder{Store: n.replica, MaxMessage: r.plan.maxMessage}
	r.propose(n)
	n.intake = handoff.Intake{Rate: r.plan.intakeRate, MaxMessage: r.plan.maxMessage}
	r.routines(n)
}

// crash takes away from a node what is in its memory alone.
func (r *run) crash(n *node, disk bool) {
	r.say(n, "crashes, disk lost: %v", disk)
	r.did("a crash")
	n.up = false
	n.life++
	n.hush()
	for _, o := range n.operations {
		r.abandon(o)
	}
	for _, p := range n.proposals {
		p.abandon()
	}
	r.forgetPromises(n)
	if disk || n.volatile {
		r.did("a replica lost")
		r.lose(n)
	}
}

// lose takes away all that a node holds of keys, and its hints. What it knows of the ring it keeps:
// without that it must not come back under its name.
func (r *run) lose(n *node) {
	n.lostAt = append(n.lostAt, r.moment())
	n.reduced = r.now
	n.replica = r.newReplica(n)
	n.hints.lose()
	for _, k := range r.keys {
		r.doubt(k)
	}
}

// lost reports whether a node has lost what it held since a moment.
func (n *node) lost(since moment) bool {
	return slices.ContainsFunc(n.lostAt, func(at moment) bool { return at >= since })
}

// doubt finds the writes of a key of which no copy is left: nobody can promise those. Who does not hold the key any
// more may have handed over what it has to the one who has lost it, and be about to forget it: that is no copy.
func (r *run) doubt(k *key) {
	for _, w := range k.writes {
		w.unsure = w.unsure || !slices.ContainsFunc(r.nodes, func(n *node) bool {
			return n.owns(k) && k.covers(n.replica.has[k.index], w.view) || k.covers(n.hints.of(k), w.view)
		})
	}
}

// owns reports whether a node holds a key, by the ring that it has.
func (n *node) owns(k *key) bool {
	if n.ring == nil {
		return false
	}
	g := n.ring.Ring()
	return g != nil && g.Owns(n.id, g.Partition(k.pos))
}

// places is a node's ring, as coordinators ask it.
type places struct{ node *node }

// Place returns who holds a key.
func (p places) Place(name string) quorum.Placement {
	g := p.node.ring.Ring()
	if g == nil {
		return quorum.Placement{Version: math.MaxUint64}
	}
	return g.Place(p.node.run.byName[name].pos)
}

// serves reports whether clients can ask a node now.
func (n *node) serves(now time.Duration) bool {
	return n.up && n.frozenUntil <= now && n.ring.Ring() != nil
}

// handle has a node do what a request asks for.
func (r *run) handle(n *node, m *message, req []byte, a *message) {
	switch m.method {
	case methodState:
		r.tellState(n, m, a)
	case quorum.Method:
		a.body, a.err = n.handler.ServeCall(r.ctx, m.from.id, m.method, req)
	case caspaxos.Method:
		n.deciding = true
		a.body, a.err = n.acceptor.ServeCall(r.ctx, m.from.id, m.method, req)
		n.deciding = false
	case handoff.MethodReplay:
		a.body, a.err = n.intake.Serve(epoch.Add(r.now), m.from.id, req, func(keys []string, states [][]byte) []error {
			errs := make([]error, len(keys))
			for i := range keys {
				_, errs[i] = n.replica.Merge(r.ctx, keys[i], states[i])
			}
			return errs
		})
	default:
		a.body, a.err = n.responder.ServeCall(r.ctx, m.from.id, m.method, req)
	}
	if a.err != nil && !errors.Is(a.err, errDown) {
		r.fail(unexplained, "", "%s refuses %s: %v", n.id, m.method, a.err)
	}
}

// dawdle has other things happen before a node goes on with what it is doing, now and then. It reports
// whether the node is still there.
func (r *run) dawdle(n *node) bool {
	if r.plan.dawdles == 0 || r.dawdling || r.calm || !r.random.chance(r.plan.dawdles) {
		return true
	}
	r.did("a replica that takes its time")
	r.dawdling = true
	life, until := n.life, r.now+r.random.between(0, r.plan.slowness)
	for r.violation == nil && r.now < until && n.up && n.life == life {
		r.step()
	}
	r.dawdling = false
	return n.up && n.life == life
}
