package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// Left returns what replicas have left in v that can be handed over: as much of v as serves [Value.Handover] as the cut,
// if v is one. It is empty if nothing is left of them. It takes O(size of the contexts), and of what it returns.
func (v *Value) Left(by ...vclock.ReplicaID) (left *Value) {
	left = new(Value)
	for _, c := range v.list() {
		c := c.(causal)
		if !c.canHandOver() {
			continue
		}
		if others, any := without(c.context(), by); any {
			left.parts = append(left.parts, c.since(others))
		}
	}
	return left
}

// without returns the events in seen that are not by these replicas, and whether there are any that are.
func without(seen *vclock.Context, by []vclock.ReplicaID) (others *vclock.Context, found bool) {
	others = new(vclock.Context)
	for s := range seen.All() {
		if slices.Contains(by, s.Replica) {
			found = true
		} else {
			others.AddSpan(s)
		}
	}
	return others, found
}
