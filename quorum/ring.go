package quorum

import (
	"context"

	"github.com/eventual-go/eventual/transport"
)

// A Ring says which nodes hold a key. All nodes of a cluster must agree on it
// while keys are written: a read finds a write because their owners are the same.
// Implementations are safe for concurrent use.
type Ring interface {
	// Place returns who holds key. The Placement is only read, and must not be
	// changed afterwards by the Ring.
	Place(key string) Placement
}

// A Placement is where one key is held. It is shared by all who asked for it, and
// must not be changed. A node that is listed twice is one.
type Placement struct {
	// Owners are the nodes that hold the key, the preferred first.
	Owners []transport.NodeID
	// Next are the nodes that will hold it once a change of the ring is over, empty
	// if there is none under way. Until then each call counts for both: what a level
	// asks of the Owners it asks of Next as well.
	Next []transport.NodeID
	// Fallbacks are nodes that stand in for those of the Owners and of Next that are
	// away, the preferred first, where a call allows for that.
	Fallbacks []transport.NodeID
	// Zones say in which zone each of these nodes is. A node that has no entry is in
	// the zone without a name; if nil, all are.
	Zones map[transport.NodeID]string
	// Version grows whenever Owners or Next change. A replica refuses what comes from a
	// coordinator that knows of an older one. Zero, for placements that never change,
	// is refused by nobody and refuses nothing.
	Version uint64
}

// Everywhere is the [Ring] of a cluster in which every node holds every key. It
// must not be changed while in use.
type Everywhere []transport.NodeID

// Place returns all nodes, in their order.
func (e Everywhere) Place(string) Placement { return Placement{Owners: e} }

// A Replica holds encoded states by key: the part of a store that a quorum needs.
// Implementations are safe for concurrent use.
type Replica interface {
	// Load returns the state of key, empty if there is none. It is held by then as safely
	// as what Merge acknowledges: a read counts it, and so do those that follow. Nobody
	// changes the bytes after they were returned.
	Load(ctx context.Context, key string) (state []byte, err error)

	// Merge joins state into what is held under key, and returns what of it was
	// new, empty if nothing was. When it returns nil the state is held as safely as
	// this replica ever holds one: the return is what a quorum counts. The replica
	// neither changes state nor keeps it after returning.
	Merge(ctx context.Context, key string, state []byte) (novel []byte, err error)
}
