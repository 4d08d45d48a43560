package antientropy

import (
	"context"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Propagation is how updates go from node to node.
type Propagation uint8

const (
	// Eager sends each update to all peers, and what was new to these on to theirs. It
	// is fastest, and right where every node is every other's peer or they form a
	// tree. [Outbox] has the rules.
	Eager Propagation = iota

	// Lazy sends each update along a tree that forms by itself, so that it reaches
	// each node about once, and tells numbers over the other links, by which the tree
	// is mended. It is right for graphs of many nodes with a few peers each, and where
	// traffic is dear. [Broadcast] has the rules. Nodes of both kinds understand one
	// another.
	Lazy
)

// outgoing is what Outbox and Broadcast have in common.
type outgoing interface {
	Open(peer transport.NodeID)
	Close(peer transport.NodeID) (dropped int)
	Forget(peer transport.NodeID)
	Closed(peer transport.NodeID) bool
	Pending(peer transport.NodeID) int
	Holds(peer transport.NodeID, key string) bool
	Tick(now time.Duration) []Dropped
	Batch(peer transport.NodeID) (Batch, bool)
	Acked(peer transport.NodeID, id uint64, resp []byte) ([]Refused, error)
	Failed(peer transport.NodeID, id uint64) (dropped int, closed bool)
	put(a arrival) ([]Dropped, error)
}

var (
	_ outgoing = (*Outbox)(nil)
	_ outgoing = (*Broadcast)(nil)
)

// mend has what was announced and did not arrive asked for, while Run runs.
func (l *Loop) mend(ctx context.Context) {
	for sleep(ctx, l.pace.Patience/4) {
		l.telling(func(n *news) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.tick(n)
			for _, p := range l.peers {
				signal(p.pending)
			}
		})
	}
}
