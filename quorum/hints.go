package quorum

import (
	"context"

	"github.com/eventual-go/eventual/transport"
)

// Hints keep deltas for nodes that are away, until these are back. Implementations
// are safe for concurrent use. A handoff.Handoff is one.
type Hints interface {
	// Keep holds delta, written to key, for a node. When it returns nil, it is held as
	// safely as this holder ever holds one. It neither changes delta nor keeps it.
	Keep(ctx context.Context, to transport.NodeID, key string, delta []byte) error

	// Held returns what is held under key for anybody, joined; empty if nothing is.
	Held(ctx context.Context, key string) (state []byte, err error)
}

// durableOf reports whether what v keeps is on disk when it says so.
func durableOf(v any) bool {
	d, ok := v.(lasting)
	return ok && d.Durable()
}

// lasting says what becomes of what it keeps: that it is on disk when it says so, or
// that it is in memory alone.
type lasting interface{ Durable() bool }
