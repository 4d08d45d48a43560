package placed

import (
	"errors"
	"slices"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
)

// methodState is how nodes ask one another for their rings. What is asked and answered goes as it is:
// its bytes have tests of their own.
const methodState = "ring/state"

func (n *node) save(b []byte) error {
	n.saved = b
	return nil
}

// tellState answers who asks for the ring.
func (r *run) tellState(n *node, m, a *message) {
	a.state = n.ring.State()
	if g := n.ring.Ring(); g != nil && g.Epoch() > m.state.Epoch {
		a.ring = g
	}
	if m.state.Epoch > a.state.Epoch && r.random.chance(0.5) {
		r.poll(n, m.from, nil)
	}
}

// poll asks a node for its ring, and goes on with what it says.
func (r *run) poll(n, peer *node, then func()) {
	r.call(n, &message{to: peer, method: methodState, state: n.ring.State()}, &call{done: func(a *message, err error) {
		if err == nil {
			if err := n.ring.Heard(peer.id, a.state, a.ring, n.save); err != nil {
				r.fail(twoRings, "", "%s hears %s: %v", n.id, peer.id, err)
			}
			r.advance(n)
		}
		if then != nil {
			then()
		}
	}})
}

// advance has a node go on with the change of the ring, as far as it can.
func (r *run) advance(n *node) {
	r.meet(n.ring.Ring(), n) // it may pass through this one
	if err := n.ring.Advance(n.save); err != nil {
		r.fail(ringWrong, "", "advance: %v", err)
	}
	r.meet(n.ring.Ring(), n)
}

// meet notes a ring that a node has. There is one for each epoch.
func (r *run) meet(g *ring.Ring, n *node) {
	if g == nil {
		return
	}
	known := r.rings[g.Epoch()]
	switch {
	case known == nil:
		r.rings[g.Epoch()] = g
		r.latest = max(r.latest, g.Epoch())
		r.say(n, "ring of epoch %d, changing: %v", g.Epoch(), g.Changing())
		if g.Epoch() > 1 && !g.Changing() {
			r.did("a change of the ring " + r.ended(g))
		}
	case known.Fingerprint() != g.Fingerprint():
		r.fail(twoRings, "", "epoch %d at %s", g.Epoch(), n.id)
	}
}

// ended says how a change ended.
func (r *run) ended(g *ring.Ring) string {
	if s, err := r.rings[g.Epoch()-1].Settle(); err == nil && s.Fingerprint() == g.Fingerprint() {
		return "settled"
	}
	return "aborted"
}

// tend does what a change of the ring asks of a node.
func (r *run) tend(n *node) {
	for _, id := range n.ring.Ask() {
		if r.random.chance(0.7) {
			r.poll(n, r.node(id), nil)
		}
	}
	if peer := r.nodes[r.random.IntN(len(r.nodes))]; peer != n && (r.calm || r.random.chance(r.plan.gossip)) {
		r.poll(n, peer, nil)
	}
	tasks := n.ring.Begin(2, func(peer transport.NodeID) bool { return !n.rounds[r.node(peer)] })
	for _, task := range tasks {
		r.did("a task of a change")
		if task.Give {
			n.remember(task.Ranges)
		}
		g := n.ring
		r.reconcile(n, r.node(task.Peer), task.Ranges, task.Give, func(complete bool) {
			g.Finish(task, complete)
			r.advance(n)
		})
	}
	r.drop(n)
}

// remember notes what there is before a partition is handed over. Only that is dropped after it.
func (n *node) remember(ranges []merkle.Range) {
	g, index := n.ring.Ring(), n.replica.Index()
	for p := range g.Partitions() {
		from := g.Range(p).From
		if n.held[p] == nil && slices.ContainsFunc(ranges, func(at merkle.Range) bool { return at.Contains(from) }) {
			n.held[p] = index
		}
	}
}

// drop forgets what a node does not hold any more and has handed over. What came meanwhile is handed over again.
func (r *run) drop(n *node) {
	parts := n.ring.Droppable()
	if len(parts) == 0 {
		return
	}
	r.say(n, "drops partitions %v", parts)
	var again, gone []int
	for _, p := range parts {
		in := []merkle.Range{n.ring.Ring().Range(p)}
		if n.held[p] != nil {
			n.replica.discard(n.held[p], in)
		}
		if _, left := n.replica.Index().Sum(in[0]); left > 0 {
			r.did("a partition handed over again")
			again = append(again, p)
		} else {
			r.did("a partition dropped")
			gone = append(gone, p)
		}
		delete(n.held, p)
	}
	n.ring.Again(again)
	if err := n.ring.Dropped(gone, n.save); err != nil {
		r.fail(ringWrong, "", "dropped: %v", err)
	}
}

// strays has a node find what it has and does not hold, now and then.
func (r *run) strays(n *node) {
	if !r.calm && !r.random.chance(0.1) {
		return
	}
	index := n.replica.Index()
	_, before := n.ring.Left()
	n.ring.Find(func(in merkle.Range) bool {
		_, keys := index.Sum(in)
		return keys > 0
	})
	_, after := n.ring.Left()
	r.tell(after > before, "a stray found")
}

// checkDropped checks that what a node forgets of a key those have who hold it from now on.
func (r *run) checkDropped(n *node, k *key, had view) {
	g := n.ring.Ring()
	at, there := g.Place(k.pos), view(0)
	for _, id := range slices.Concat(at.Owners, at.Next) {
		there = k.join(there, r.node(id).ever[k.index])
	}
	if !k.covers(there, had) {
		r.fail(droppedEarly, k.name, "%s drops %x, and %v %v have %x", n.id, had, at.Owners, at.Next, there)
	}
}

// change has the operator do something to the ring, at some node that has the newest one.
func (r *run) change() {
	n := r.operator()
	if n == nil {
		return
	}
	g := n.ring.Ring()
	if r.gone(g) != nil && !g.Changing() {
		r.retire()
		return
	}
	if g.Changing() {
		if r.decrees.chance(r.plan.aborts) {
			r.abort(n, g)
		}
		return
	}
	if next, what := r.another(g); next != nil {
		r.decide(n, next, what)
	}
}

// operator is some node that has the newest ring.
func (r *run) operator() *node {
	var have []*node
	for _, n := range r.nodes {
		if g := n.ring; n.up && g.Ring() != nil && g.Ring().Epoch() == r.latest {
			have = append(have, n)
		}
	}
	if len(have) == 0 {
		return nil
	}
	return one(r.decrees, have...)
}

func (r *run) decide(n *node, next *ring.Ring, what string) {
	r.say(n, "%s", what)
	if err := n.ring.Adopt(next, n.save); err != nil {
		r.fail(ringWrong, "", "adopt: %v", err)
	}
	r.did(what)
	r.advance(n)
}

func (r *run) abort(n *node, g *ring.Ring) {
	back, err := g.Abort()
	if err != nil {
		r.fail(ringWrong, "", "abort: %v", err)
		return
	}
	switch err := n.ring.Adopt(back, n.save); {
	case errors.Is(err, ring.ErrTooLate):
		r.did("an abort that comes too late")
	case err != nil:
		r.fail(ringWrong, "", "abort: %v", err)
	}
	r.advance(n)
}

// another is a ring with other members, weights or replicas.
func (r *run) another(g *ring.Ring) (next *ring.Ring, what string) {
	members, replicas := g.Members(), 0
	var spare []ring.Member
	for _, n := range r.nodes {
		if !n.out && !slices.ContainsFunc(members, func(m ring.Member) bool { return m.ID == n.id }) {
			spare = append(spare, ring.Member{ID: n.id, Zone: n.zone, Weight: 1})
		}
	}
	at := r.decrees.IntN(len(members))
	switch what = one(r.decrees, "join", "join", "leave", "replace", "weight", "replicas"); {
	case what == "join" && len(spare) > 0:
		members = append(members, one(r.decrees, spare...))
	case what == "leave" && len(members) > max(2, g.Replicas()-1):
		members = slices.Delete(members, at, at+1)
	case what == "replace" && len(spare) > 0:
		members[at] = one(r.decrees, spare...)
	case what == "weight":
		members[at].Weight = one(r.decrees, 0.5, 1, 2, 4)
	case what == "replicas":
		replicas = one(r.decrees, 1, 2, 3, 3, 5)
	default:
		return nil, ""
	}
	next, err := g.Change(members, replicas)
	if err != nil {
		r.fail(ringWrong, "", "change: %v", err)
		return nil, ""
	}
	return next, "change: " + what
}
