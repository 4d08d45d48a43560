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
		if c := c.(causal); c.canHandOver() {
			left.parts = append(left.parts, c.since(without(c.context(), by)))
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
