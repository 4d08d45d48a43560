package simulation

import (
	"slices"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/transport"
)

// This file is what happens to a cluster over months, in some seconds: epochs of members
// follow one another, nodes are away for long and write meanwhile, some leave for good.

// chooseOwners divides the nodes: the owners are members of all epochs, and quorums are
// of them. The others are guests, and members now and then.
func (r *run) chooseOwners() {
	if !r.plan.collects {
		return
	}
	owners := 2 + r.turns.IntN(min(3, len(r.nodes)-1))
	for i, at := range r.turns.Perm(len(r.nodes)) {
		r.nodes[at].owner = i < owners
	}
	for _, n := range r.owners() { // who begin the cluster
		if _, err := n.replica.Adopt(r.ctx, ""); err != nil {
			r.fail(errorUnexplained, "", "adopt: %v", err)
		}
	}
}

func (r *run) chooseRetain() int {
	if r.plan.collects && r.turns.chance(0.4) {
		return 1 // the last record alone
	}
	return 0
}

func (r *run) owners() (owners []*node) {
	for _, n := range r.nodes {
		if n.owner {
			owners = append(owners, n)
		}
	}
	return owners
}

func (r *run) planTurns() {
	if !r.plan.collects {
		return
	}
	r.turnEpoch()
	at := func(p float64, f func()) {
		if r.turns.chance(p) {
			r.heap.push(event{at: r.turns.between(0, r.plan.duration), node: nowhere, life: anyLife, kind: fault, run: f})
		}
	}
	for range 4 {
		at(0.6, r.turnEpoch)
		at(0.6, r.leaveForLong)
	}
	at(0.8, r.leaveForGood)
}

// turnEpoch gives out a new epoch, to each node that concerns it at a moment of its own.
// Who was no member before has exchanged with one: it is of the same generation.
func (r *run) turnEpoch() {
	if r.stopped {
		return
	}
	e := antientropy.Epoch{Number: uint64(len(r.epochs) + 1)}
	newest := ""
	for _, n := range r.owners() {
		e.Members = append(e.Members, n.id)
		newest = max(newest, n.replica.Generation())
	}
	for _, n := range r.nodes {
		joins := len(r.epochs) == 0 || r.member(n) || n.replica.Generation() == newest
		if !n.owner && !n.gone && joins && r.turns.chance(0.5) {
			e.Members = append(e.Members, n.id)
		}
	}
	r.epochs = append(r.epochs, e)
	r.retire()
	r.did("an epoch")
	r.trace.say(r.now, nowhere, "epoch %d: %v", e.Number, e.Members)
	for _, n := range r.nodes {
		if len(r.epochs) == 1 {
			n.epoch = e
			continue
		}
		r.heap.push(event{at: r.now + r.turns.around(200*time.Millisecond), node: nowhere, life: anyLife, kind: fault, run: func() {
			if n.epoch.Number < e.Number {
				n.epoch = e
			}
		}})
	}
}

// member reports whether a node is a member of the newest epoch.
func (r *run) member(n *node) bool {
	return len(r.epochs) > 0 && slices.Contains(r.epochs[len(r.epochs)-1].Members, n.id)
}

// leaveForLong cuts off a guest, which goes on writing.
func (r *run) leaveForLong() {
	n := r.nodes[r.turns.IntN(len(r.nodes))]
	if r.stopped || n.owner || n.gone {
		return
	}
	length, left := r.turns.between(r.plan.duration/4, r.plan.duration), n.replica.at()
	r.trace.say(r.now, n.index, "is away for %v", length)
	r.cut(length, func(from, to int) bool { return from == n.index || to == n.index })
	r.heap.push(event{at: r.now + length, node: nowhere, life: anyLife, kind: fault, run: func() { r.cameBack(n, left) }})
}

// cameBack counts how far the others have gone meanwhile.
func (r *run) cameBack(n *node, left *generation) {
	if left == nil || n.gone || n.replica.at() != left {
		return
	}
	newest := left.number
	for _, o := range r.owners() {
		if at := o.replica.at(); at != nil {
			newest = max(newest, at.number)
		}
	}
	switch newest - left.number {
	case 0:
	case 1:
		r.did("a guest comes back after a record")
	default:
		r.did("a guest comes back after records")
	}
}

// leaveForGood takes a guest out, once all owners hold what it does.
func (r *run) leaveForGood() {
	n := r.nodes[r.turns.IntN(len(r.nodes))]
	if r.stopped || n.owner || n.gone || r.member(n) {
		return
	}
	if !n.up || !r.redundant(n) {
		r.later(50*time.Millisecond, r.leaveForGood)
		return
	}
	r.crash(n)
	n.gone = true
	r.depart(n)
	r.did("a guest leaves for good")
	r.trace.say(r.now, n.index, "leaves for good")
	for _, o := range r.nodes {
		if o.repl != nil {
			o.repl.drop(n)
		}
	}
}

// haunt has a message arrive once more, much later.
func (r *run) haunt(m *message, k kind) {
	if k != deliver || !r.plan.collects || !r.turns.chance(0.01) || r.stopped {
		return
	}
	r.network.copied++
	r.heap.push(event{at: r.now + r.turns.between(0, r.plan.duration), node: m.to, life: anyLife, kind: k, msg: m})
}

// A lesson is whom a node learned something from last, and when.
type lesson struct {
	from transport.NodeID
	at   time.Duration
}

// learned notes where a delta came from that a node passes on.
func (r *run) learned(n *node, key string, delta []byte, from transport.NodeID) {
	r.echoes[n.index][key+"\x00"+string(delta)] = lesson{from, r.now}
}

// checkEcho checks that what a node is told as a delta is not what the sender has from
// there.
func (r *run) checkEcho(n *node, key string, state []byte) {
	m := r.serving
	if m == nil || m.method != "antientropy/deltas" && m.method != "antientropy/tree" {
		return
	}
	of, known := r.echoes[m.from][key+"\x00"+string(state)]
	if known && of.from == n.id && of.at < m.sent && n.emptiedAt < of.at && n.lostAt < of.at {
		r.fail(echoed, key, "%s tells %s what it has from there, since %v: %x", name(m.from), n.id, of.at, state)
	}
}
