package placed

import (
	"slices"
	"time"

	"github.com/eventual-go/eventual/quorum/ring"
)

// Who has promised something to a register must not forget it, and sessions hold that who has something has it still. So
// where there are such, a node that has lost its disk is gone. It comes back under another name, and takes its place when
// the operator says so.

// present is the nodes that are there, or will be again.
func (r *run) present() []*node {
	return slices.DeleteFunc(slices.Clone(r.nodes), func(n *node) bool { return n.out })
}

// spared reports whether the others can go on without a node: so they can if there are three for each key, and the ring is
// not changing, which all know. (What to do of a node that is lost in the middle of a change package ring says.)
func (r *run) spared(n *node) bool {
	g := r.rings[r.latest]
	for _, other := range r.present() {
		if own := other.ring.Ring(); r.member(g, other) && (own == nil || own.Epoch() != r.latest) {
			return false
		}
	}
	return !g.Changing() && g.Replicas() >= 3 && len(g.Members()) >= 3 && r.member(g, n)
}

func (r *run) member(g *ring.Ring, n *node) bool {
	return slices.ContainsFunc(g.Members(), func(m ring.Member) bool { return m.ID == n.id })
}

// depart has a node lose its disk.
func (r *run) depart(n *node, heal time.Duration) {
	n.out = true
	r.crash(n, true)
	r.at(r.now+heal, fault, func() {
		r.did("a node that comes back under another name")
		last := r.nodes[len(r.nodes)-1]
		last.out = false
		r.start(last)
	})
	r.at(r.now+2*heal, decree, r.retire)
}

// gone is a member of a ring that will not come back.
func (r *run) gone(g *ring.Ring) *node {
	for _, n := range r.nodes {
		if n.out && r.member(g, n) {
			return n
		}
	}
	return nil
}

// retire has the operator put the node that has come in the place of the one that is gone.
func (r *run) retire() {
	n := r.operator()
	if n == nil {
		return
	}
	g, last := n.ring.Ring(), r.nodes[len(r.nodes)-1]
	gone := r.gone(g)
	if gone == nil || g.Changing() || last.out {
		return
	}
	members := g.Members()
	for i := range members {
		if members[i].ID == gone.id {
			members[i] = ring.Member{ID: last.id, Zone: last.zone, Weight: 1}
		}
	}
	next, err := g.Change(members, 0)
	if err != nil {
		r.fail(ringWrong, "", "change: %v", err)
		return
	}
	r.decide(n, next, "change: retire")
}
