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

// A Placement is where one key is held.
type Placement struct {
	// Owners are the nodes that hold the key, the preferred first. A node that is
	// listed twice is one owner.
	Owners []transport.NodeID
}

// Everywhere is the [Ring] of a cluster in which every node holds every key. It
// must not be changed while in use.
type Everywhere []transport.NodeID

// Place returns all nodes, in their order.
func (e Everywhere) Place(string) Placement { return Placement{Owners: e} }

// A Replica holds encoded states by key: the part of a store that a quorum needs.
// Implementations are safe for concurrent use.
type Replica interface {
	// Load returns the state of key, empty if there is none. Nobody changes the
	// bytes after they were returned.
	Load(ctx context.Context, key string) (state []byte, err error)

	// Merge joins state into what is held under key, and returns what of it was
	// new, empty if nothing was. When it returns nil the state is held as safely as
	// this replica ever holds one: the return is what a quorum counts. The replica
	// neither changes state nor keeps it after returning.
	Merge(ctx context.Context, key string, state []byte) (novel []byte, err error)
}
