package placed

import (
	"math/bits"
	"slices"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// A set is some nodes, a bit for each.
type set uint16

func (s set) size() int { return bits.OnesCount16(uint16(s)) }

func (n *node) bit() set { return 1 << n.index }

// setOf is the set of some IDs.
func (r *run) setOf(ids []transport.NodeID) (s set) {
	for _, id := range ids {
		if n := r.node(id); n != nil {
			s |= n.bit()
		}
	}
	return s
}

// A rule says which sets of nodes will do: those that have so many of each of some others. All
// levels come to this. It is worked out apart from package quorum.
type rule []atLeast

type atLeast struct {
	of   set
	need int
}

// met reports whether a set will do.
func (u rule) met(s set) bool {
	for _, c := range u {
		if (s & c.of).size() < c.need {
			return false
		}
	}
	return true
}

// universe is all nodes that a rule speaks of.
func (u rule) universe() (s set) {
	for _, c := range u {
		s |= c.of
	}
	return s
}

// rule returns what a level asks of a placement, by the node self, and whether it can be asked.
// Where only some nodes count, such as the durable ones, it is in vain that others answer.
func (r *run) rule(p *quorum.Placement, self *node, l quorum.Level, counts set) (u rule, can bool) {
	can = true
	for _, ids := range [][]transport.NodeID{p.Owners, p.Next} {
		if len(ids) == 0 {
			continue
		}
		all := r.setOf(ids)
		local := r.inZone(p, ids, p.Zones[self.id])
		add := func(of set, need int) {
			can = can && need >= 1 && need <= of.size()
			u = append(u, atLeast{of & counts, need})
		}
		switch l {
		case quorum.Default:
		case quorum.Any:
		case quorum.Majority:
			add(all, all.size()/2+1)
		case quorum.All:
			add(all, all.size())
		case quorum.LocalOne:
			add(local, 1)
		case quorum.LocalMajority:
			add(local, local.size()/2+1)
		case quorum.EachMajority:
			for _, zone := range r.zonesOf(p, ids) {
				in := r.inZone(p, ids, zone)
				add(in, in.size()/2+1)
			}
		default:
			add(all, int(l))
		}
	}
	return u, can
}

// rules joins what several levels ask.
func rules(all ...rule) rule { return slices.Concat(all...) }

func (r *run) inZone(p *quorum.Placement, ids []transport.NodeID, zone string) set {
	return r.setOf(slices.DeleteFunc(slices.Clone(ids), func(id transport.NodeID) bool { return p.Zones[id] != zone }))
}

func (r *run) zonesOf(p *quorum.Placement, ids []transport.NodeID) (zones []string) {
	for _, id := range ids {
		if zone := p.Zones[id]; !slices.Contains(zones, zone) {
			zones = append(zones, zone)
		}
	}
	return zones
}

const everybody = ^set(0)

// subsets calls f with each subset of s, until f returns false. It reports whether it never did.
func subsets(s set, f func(set) bool) bool {
	for sub := s; ; sub = (sub - 1) & s {
		if !f(sub) {
			return false
		}
		if sub == 0 {
			return true
		}
	}
}
