package ring

import (
	"slices"

	"github.com/eventual-go/eventual/transport"
)

// A Balance says how evenly a ring loads its members, once its change is over.
type Balance struct {
	// Max and Min are the most and the least that a member has, each divided by what it
	// would have in exact proportion to its weight. Both are 1 where that is met. Zones, and the rule
	// that a member holds a partition once, may not allow for it.
	Max, Min float64
	// Loads are the partitions of each member.
	Loads map[transport.NodeID]int
}

// Balance returns how evenly the ring loads its members. Of the zero Ring all is 0.
func (r *Ring) Balance() Balance {
	b := Balance{Loads: r.loads()}
	weight, total := 0.0, float64(len(r.parts)*r.now.owners())
	for _, m := range r.now.members {
		weight += m.Weight
	}
	for i, m := range r.now.members {
		share := float64(b.Loads[m.ID]) / (total * (m.Weight / weight))
		if i == 0 {
			b.Max, b.Min = share, share
		}
		b.Max, b.Min = max(b.Max, share), min(b.Min, share)
	}
	return b
}

// loads is how many partitions each member will have.
func (r *Ring) loads() map[transport.NodeID]int {
	out := make(map[transport.NodeID]int, len(r.now.members))
	for p := range r.parts {
		for _, n := range r.parts[p].final() {
			out[r.nodes[n].ID]++
		}
	}
	return out
}

// A Movement says what it takes to come from one ring to another: each replica of a
// partition that a member gets which did not hold it has to be sent once.
type Movement struct {
	Moved int // replicas that are sent
	Least int // the least that any assignment with the same quotas would send
}

// MovementOf returns what it takes to come from one ring to another of as many partitions.
// Of rings that change, it is what they lead to that counts. From the zero Ring, or to it, nothing moves.
func MovementOf(from, to *Ring) Movement {
	var m Movement
	if from.empty() || to.empty() {
		return m
	}
	for p := range min(len(from.parts), len(to.parts)) {
		had := from.parts[p].final()
		for _, n := range to.parts[p].final() {
			if i, ok := from.node(to.nodes[n].ID); !ok || !slices.Contains(had, i) {
				m.Moved++
			}
		}
	}
	m.Least = least(from, to)
	return m
}

// least is what must move because some have less than their quota, or because what is left to those
// who have enough is not all.
func least(from, to *Ring) int {
	g, had := &to.now, from.loads()
	qs := quotas(g.members, newSpread(g.members, g.owners()), len(to.parts), g.owners())
	lacking, kept := 0, 0
	for i, m := range g.members {
		lacking += max(0, qs[i].least-had[m.ID])
		kept += min(had[m.ID], qs[i].most)
	}
	return max(lacking, len(to.parts)*g.owners()-kept)
}
