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

// lanes is how many runs may be merged at once. Those of one origin share a lane.
const lanes = 16

// serveTree answers a batch of a peer's Broadcast.
func (l *Loop) serveTree(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	var n news
	defer func() { n.tell(&l.Events) }()
	in, err := l.receive(&n, from, req)
	if err != nil {
		return nil, err
	}
	defer l.received(&n, from, in)
	for l.nextRun(in) {
		if err := l.mergeRun(ctx, &n, from, in); err != nil {
			return nil, err
		}
	}
	return in.Response(), nil
}

func (l *Loop) receive(n *news, from transport.NodeID, req []byte) (*Receipt, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tick(n)
	return l.tree.Receive(from, req)
}

func (l *Loop) nextRun(in *Receipt) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return in.Run()
}

// mergeRun merges one run, while none of the same origin is.
func (l *Loop) mergeRun(ctx context.Context, n *news, from transport.NodeID, in *Receipt) error {
	lane := l.lanes[in.Origin()%lanes]
	select {
	case lane <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-lane }()
	for {
		key, state, more := l.nextIn(in)
		if !more {
			return nil
		}
		novel, err := l.Store.Merge(ctx, key, state)
		if ctx.Err() != nil && err != nil {
			return ctx.Err()
		}
		if err != nil {
			l.refused(n, Refused{Peer: from, Key: key, Err: err})
		}
		l.merged(in, novel, err)
	}
}

func (l *Loop) nextIn(in *Receipt) (key string, state []byte, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return in.Next()
}

func (l *Loop) merged(in *Receipt, novel []byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil && len(novel) > 0 {
		l.delays.add(in.age())
	}
	in.Merged(novel, err)
}

// received passes on what came, and sees to what the peer asked for.
func (l *Loop) received(n *news, from transport.NodeID, in *Receipt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.overdue(n, in.Dropped())
	for _, p := range l.peers {
		signal(p.pending)
	}
	if p := l.peers[from]; p != nil && p.leave != nil && l.out.Closed(from) {
		signal(p.due)
	}
}

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
