package antientropy

import (
	"cmp"
	"math"
	"math/rand/v2"

	"github.com/eventual-go/eventual/transport"
)

// A Chooser picks the peer to reconcile with next. [Random], [RoundRobin] and [Zones]
// are some.
type Chooser interface {
	// Choose returns the index of one of the peers, which ascend and are at least one:
	// those that answer. turn counts the calls, from zero. It is called by one
	// goroutine at a time; what it returns should follow from its arguments, so that a
	// run can be repeated.
	Choose(peers []transport.NodeID, turn uint64, random *rand.Rand) int
}

// Random chooses any peer each time. Differences spread fastest in a large cluster,
// where no two nodes should wait for one another's turn.
type Random struct{}

// Choose implements [Chooser].
func (Random) Choose(peers []transport.NodeID, _ uint64, random *rand.Rand) int {
	return random.IntN(len(peers))
}

// RoundRobin chooses one after the other in the order of their names.
type RoundRobin struct{}

// Choose implements [Chooser].
func (RoundRobin) Choose(peers []transport.NodeID, turn uint64, _ *rand.Rand) int {
	return int(turn % uint64(len(peers)))
}

// Zones chooses peers near by, and for a share of the turns one further away: one
// after the other among each of them. If there are none of the one kind it chooses
// among the other.
type Zones struct {
	// Of tells the zone of a node. Needed.
	Of func(transport.NodeID) string

	// Self is the zone of this node.
	Self string

	// Across is the share of turns with peers of other zones, from 0 to 1. If zero, a
	// tenth; if negative, none, unless there is nobody else.
	Across float64
}

// Choose implements [Chooser].
func (z Zones) Choose(peers []transport.NodeID, turn uint64, _ *rand.Rand) int {
	var near, far []int
	for i, p := range peers {
		if z.Of(p) == z.Self {
			near = append(near, i)
		} else {
			far = append(far, i)
		}
	}
	share := min(max(cmp.Or(z.Across, 0.1), 0), 1)
	before, after := math.Floor(float64(turn)*share), math.Floor(float64(turn+1)*share)
	switch {
	case len(near) == 0:
		return far[turn%uint64(len(far))]
	case len(far) == 0:
		return near[turn%uint64(len(near))]
	case after > before:
		return far[uint64(before)%uint64(len(far))]
	}
	return near[(turn-uint64(before))%uint64(len(near))]
}
