package tcp

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/eventual-go/eventual/transport"
)

const leastCrowd = 64 // fewer peers are not worth tidying

// connection returns a usable connection to a node, making one if need be.
func (t *Transport) connection(ctx context.Context, id transport.NodeID) (*client, error) {
	if c := t.connected(id); c != nil && c.usable() {
		return c, nil
	}
	for {
		p, err := t.peer(id)
		if err != nil {
			return nil, err
		}
		if c, err := p.get(ctx); err != errForgotten {
			return c, err
		}
	}
}

// connected returns the last connection to a node without a lock, if it is there still.
func (t *Transport) connected(id transport.NodeID) *client {
	if all := t.ready.Load(); all != nil {
		return (*all)[id]
	}
	return nil
}

// connect notes the connection to a node, or that there is none. To copy all of them
// costs little beside a handshake.
func (t *Transport) connect(id transport.NodeID, c *client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make(map[transport.NodeID]*client)
	if last := t.ready.Load(); last != nil {
		maps.Copy(all, *last)
	}
	if delete(all, id); c != nil {
		all[id] = c
	}
	t.ready.Store(&all)
}

// peer returns the entry of a node, making it if the node may exist.
func (t *Transport) peer(id transport.NodeID) (*peer, error) {
	p, crowd, err := t.entry(id)
	for _, other := range crowd { // without t.mu, which retire takes
		other.retire(time.Now())
	}
	return p, err
}

// entry also returns the other entries, once after each time that they have become
// twice as many.
func (t *Transport) entry(id transport.NodeID) (p *peer, crowd []*peer, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.start(); err != nil {
		return nil, nil, err
	}
	if p := t.peers[id]; p != nil {
		return p, nil, nil
	}
	if _, known := t.Peers[id]; t.Resolve == nil && !known {
		return nil, nil, fmt.Errorf("%w: no address of %q", transport.ErrUnreachable, id)
	}
	if len(t.peers) >= max(t.crowd, leastCrowd) {
		crowd = slices.Collect(maps.Values(t.peers))
		t.crowd = 2 * len(crowd)
	}
	p = &peer{id: id, t: t}
	t.peers[id] = p
	return p, crowd, nil
}

// forget drops an entry.
func (t *Transport) forget(p *peer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peers[p.id] == p {
		delete(t.peers, p.id)
		t.crowd = min(t.crowd, 2*len(t.peers))
	}
}

func (t *Transport) resolve(ctx context.Context, id transport.NodeID) (string, error) {
	if t.Resolve != nil {
		return t.Resolve(ctx, id)
	}
	return t.Peers[id], nil
}
