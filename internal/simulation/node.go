package simulation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/vclock"
)

// A node is one whole replica: its store, and the protocols with their driver. All
// but the store and the identity is lost in a crash.
type node struct {
	index       int
	id          transport.NodeID
	life        int // counts crashes
	up          bool
	pausedUntil time.Duration
	skew        time.Duration
	incarnation int           // counts lost disks
	lostAt      time.Duration // when the last disk was lost

	owner     bool // it is a member of every epoch, and one of those that quorums are of
	gone      bool // it has left for good
	retain    int  // bytes of records that its store keeps
	epoch     antientropy.Epoch
	emptiedAt time.Duration // when its store was emptied last

	keeping   keeping
	cache     int64 // bytes of values that its store holds in memory
	placeless bool  // its disk cannot tell where it is
	places    int
	forgetful bool          // it has lost something that it had
	forgotAt  time.Duration // when, last

	replica *replica
	calls   map[uint64]*call // under way, by number
	repl    *replication
	handler transport.Handler

	operations []*operation // quorum operations that were begun here
}

// errTimeout is what a caller gets where an answer does not come.
var errTimeout = errors.New("simulation: no answer in time")

// A call is a request that a node waits for.
type call struct {
	repeatable bool // a second answer is passed on too
	keeps      bool // done may keep the answer
	done       func(resp []byte, err error)
}

func (r *run) newNode(i int) *node {
	n := &node{index: i, id: nodeID(i), up: true, owner: true, retain: r.chooseRetain()}
	r.chooseKeeping(n)
	n.replica = r.newReplica(n, r.identity(n))
	return n
}

// identity names an incarnation of a node. It depends on the seed alone.
func (r *run) identity(n *node) vclock.ReplicaID {
	incarnation := n.incarnation
	if planted.Bug == planted.IdentityReused {
		incarnation = 0
	}
	return vclock.Named(fmt.Sprintf("%s.%d.%x", n.id, incarnation, r.seed&0xffff))
}

// wake gives a node that starts its protocols.
func (r *run) wake(n *node) {
	n.up = true
	n.calls = make(map[uint64]*call)
	n.repl = r.newReplication(n)
	n.handler = r.newHandler(n)
	n.repl.start()
}

// crash loses everything of a node but its store, and of that what is not durable.
func (r *run) crash(n *node) {
	r.counts.Crashes++
	r.trace.say(r.now, n.index, "crashes")
	r.down(n)
	n.replica.cut()
}

// stop ends a node in an orderly way.
func (r *run) stop(n *node) {
	r.trace.say(r.now, n.index, "is stopped")
	r.down(n)
	n.replica.shut()
}

func (r *run) down(n *node) {
	n.up = false
	n.life++
	n.calls, n.repl, n.handler = nil, nil, nil
	r.abandon(n)
}

// restart brings a node back with what is durable of its store.
func (r *run) restart(n *node) {
	r.trace.say(r.now, n.index, "restarts")
	if !n.replica.open() {
		r.restartLater(n, 300*time.Millisecond)
		return
	}
	r.wake(n)
}

// restartLater brings a node back after some time.
func (r *run) restartLater(n *node, most time.Duration) {
	r.later(r.mishaps.between(0, most), func() {
		if !n.up && !n.gone {
			r.restart(n)
		}
	})
}

// restartEmpty brings a node back that has lost its disk: it has nothing, and is
// somebody else.
func (r *run) restartEmpty(n *node) {
	r.counts.Amnesia++
	r.trace.say(r.now, n.index, "restarts without its disk")
	r.depart(n)
	n.incarnation++
	n.lostAt = r.now
	r.ownersEmptied = r.ownersEmptied || n.owner
	n.replica = r.newReplica(n, r.identity(n))
	r.wake(n)
}

// call sends a request and hands its answer to done, or an error once it has taken
// too long.
func (r *run) call(n *node, to int, method string, req []byte, c *call) {
	r.calls++
	id := r.calls
	n.calls[id] = c
	r.send(&message{from: n.index, to: to, call: id, method: method, body: req}, deliver)
	r.after(r.plan.callTimeout, n, timeout, func() {
		if n.calls[id] == c {
			delete(n.calls, id)
			c.done(nil, errTimeout)
		}
	})
}

// serve has a node answer a request. The handler gets bytes of its own, which are
// spoilt afterwards: it may keep none of them.
func (r *run) serve(n *node, m *message) {
	req := slices.Clone(m.body)
	resp, err := n.handler.ServeCall(r.ctx, nodeID(m.from), m.method, req)
	resp = slices.Clone(resp) // it may be a part of req
	spoil(req)
	r.trace.result(digest(resp))
	if r.trace.print != nil {
		r.trace.say(r.now, n.index, "serves %s of %s, call %d: %d bytes, then %d (%v)", m.method, name(m.from), m.call, len(m.body), len(resp), err)
	}
	a := &message{from: n.index, to: m.from, call: m.call, method: m.method, body: resp}
	if n.replica.fallen {
		return // it goes down
	}
	if err != nil {
		r.explain(err)
		a.body, a.err = nil, transport.NewRemoteError(m.method, err)
	}
	r.send(a, reply)
}

// spoil overwrites bytes that nobody may have kept.
func spoil(b []byte) {
	for i := range b {
		b[i] = 0xC1 // no value in msgpack
	}
}

// answer hands an answer to who waits for it, if anybody still does.
func (r *run) answer(n *node, m *message) {
	c, ok := n.calls[m.call]
	if !ok {
		return
	}
	if !c.repeatable {
		delete(n.calls, m.call)
	}
	if r.trace.print != nil {
		r.trace.say(r.now, n.index, "has the answer of %s to %s, call %d: %d bytes, %v", name(m.from), m.method, m.call, len(m.body), m.err)
	}
	if m.err != nil {
		c.done(nil, m.err)
		return
	}
	resp := slices.Clone(m.body)
	c.done(resp, nil)
	if !c.keeps {
		spoil(resp)
	}
}

// lacksSince reports whether a node may lack what it had at some moment: it lost its
// disk, or its store was emptied.
func (n *node) lacksSince(at time.Duration) bool {
	return n.incarnation > 0 && n.lostAt >= at || n.emptiedAt > 0 && n.emptiedAt >= at ||
		n.forgetful && n.forgotAt >= at || n.replica.fallen
}
