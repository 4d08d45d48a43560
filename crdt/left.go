package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// Left returns what replicas have left in v that can be handed over: as much of v as serves [Value.Handover] as the cut,
// if v is one. It is empty if v has nothing of them; what remains of them after a handover, as in a [BoundedCounter], is
// something. It takes O(size of the contexts), and of what it returns.
func (v *Value) Left(by ...vclock.ReplicaID) (left *Value) {
	left = new(Value)
	for _, c := range v.list() {
		if c := c.(causal); c.canHandOver() {
			left.parts = append(left.parts, c.left(by))
		}
	}
	return left
}

// left returns what the replicas have left in the state: of a type that is not Causal all of it.
func (c *boxed[P]) left(by []vclock.ReplicaID) component {
	switch s := any(c.state).(type) {
	case *BoundedCounter:
		return &boxed[*BoundedCounter]{def: c.def, state: s.left(by)}
	case Causal[P]:
		seen := s.Context()
		others := without(seen, by)
		if others.Len() == seen.Len() {
			return c.def.fresh()
		}
		return &boxed[P]{def: c.def, state: s.Delta(others)}
	}
	return c.clone()
}

// left returns the rows of the replicas, and those that have given to them or taken from them: rights on their way to a
// replica are its own, and stand in the row of who gave them.
func (c *BoundedCounter) left(by []vclock.ReplicaID) *BoundedCounter {
	left := new(BoundedCounter)
	for _, row := range c.shares() {
		concerns := func(r vclock.ReplicaID) bool {
			return row.replica == r || amount(row.sent, r) > 0 || amount(row.taken, r) > 0
		}
		if slices.ContainsFunc(by, concerns) {
			left.rows = append(left.rows, row)
		}
	}
	return left
}

// without returns the events in seen that are not by these replicas.
func without(seen *vclock.Context, by []vclock.ReplicaID) *vclock.Context {
	others := new(vclock.Context)
	for s := range seen.All() {
		if !slices.Contains(by, s.Replica) {
			others.AddSpan(s)
		}
	}
	return others
}
