package tcp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// A Transport is one node's end of a cluster on TCP: with Call it calls other
// nodes, with Serve it answers them. Either works without the other. Its fields must
// not be changed after the first use, and it must not be copied. It is safe for
// concurrent use.
type Transport struct {
	// Self is the name of this node. It must be set.
	Self transport.NodeID

	// Cluster is the name of the cluster. Nodes of different clusters refuse each
	// other. The empty name is a name like any other.
	Cluster string

	// Peers holds the addresses, "host:port", of the nodes to call.
	Peers map[transport.NodeID]string

	// TLS has connections be encrypted, and both sides prove who they are. Either it or
	// Plain must be set.
	TLS *TLS

	// Plain has connections be neither encrypted nor proved: a node is who it says it
	// is. It is for networks in which everybody is trusted, and for tests. Nodes with TLS
	// and those without refuse each other.
	Plain bool

	// Events are told of what happens. They may be left out.
	Events Events

	// Resolve returns the address of a node, each time before it is dialled. If nil,
	// Peers is used; otherwise Peers is not. Its error is kept within that of the
	// calls, which is transport.ErrUnreachable too.
	Resolve func(ctx context.Context, id transport.NodeID) (addr string, err error)

	// MaxFrame is the most bytes that a request or a response may have, at least 1 KiB
	// and at most 1 GiB. If zero, 4 MiB. Between two nodes the smaller limit holds.
	MaxFrame int

	// MaxCalls is how many calls may be running at a time over one connection, in
	// each direction. More calls wait for their turn. The requests of running calls
	// have at most four times MaxFrame bytes together. If zero, 1024.
	MaxCalls int

	// MaxConns is how many connections Serve holds at a time, of one node eight at most.
	// When there are more, a node that has several loses its oldest, with the calls that
	// are under way; if each has but one, the new one is refused.
	// Besides, as many, and at least 16, may be in the handshake: when there are more, the
	// oldest from the address with the most of them is closed. If zero, 1024.
	MaxConns int

	// HandshakeTimeout is how long connecting to a node may take, and how long a
	// connection may take to say who it is. If zero, three seconds.
	HandshakeTimeout time.Duration

	// KeepAlive is how often a connection is probed, at least every 10 ms; where two
	// nodes differ, the shorter holds. A connection that brings nothing, or takes
	// nothing, for three times as long is given up; so is one that carries less than
	// 4 KiB of a long message in that time. If zero, two seconds.
	KeepAlive time.Duration

	// IdleTimeout is how long a connection stays open over which no call is made, to
	// within KeepAlive. The next call makes another. If zero, five minutes.
	IdleTimeout time.Duration

	// MaxBackoff is the longest pause between two attempts to connect to a node.
	// Calls during the pause fail at once. If zero, one second.
	MaxBackoff time.Duration

	// Drain is how long calls that are running get to finish when Serve or the whole
	// transport is stopped. If zero, one second.
	Drain time.Duration

	stats   counters
	reports reports
	ready   atomic.Pointer[map[transport.NodeID]*client] // over which calls may be made; never changed, replaced under mu

	mu      sync.Mutex
	peers   map[transport.NodeID]*peer
	crowd   int                  // so many peers call for tidying
	clients map[*client]struct{} // connections dialled
	base    context.Context      // of dialling and serving; ends when Close is called
	stop    context.CancelFunc
	closed  bool
	running sync.WaitGroup // connections dialled, and calls of Serve
}

// Stats counts what a transport has done since it was made.
type Stats struct {
	Dialed         uint64 // connections made to other nodes
	Accepted       uint64 // connections of other nodes that said who they are
	Refused        uint64 // connections that did not, or of another cluster, or too many
	Crowded        uint64 // connections closed to make room for others; in the handshake they are Refused too
	Distrusted     uint64 // connections closed because the other side's certificate was no longer good
	Stalled        uint64 // connections closed because the peer took nothing of what it was sent
	Violations     uint64 // connections closed because the peer broke the protocol
	LateReplies    uint64 // replies dropped because their caller waited no longer
	UnknownReplies uint64 // replies dropped because there was no such call
	DroppedReplies uint64 // replies of this node's handlers that failed because the caller read too slowly
}

// Stats returns the counts up to now.
func (t *Transport) Stats() Stats {
	return Stats{
		Dialed:         t.stats.dialled.Load(),
		Accepted:       t.stats.accepted.Load(),
		Refused:        t.stats.refused.Load(),
		Crowded:        t.stats.crowded.Load(),
		Distrusted:     t.stats.distrusted.Load(),
		Stalled:        t.stats.stalled.Load(),
		Violations:     t.stats.violations.Load(),
		LateReplies:    t.stats.late.Load(),
		UnknownReplies: t.stats.unknown.Load(),
		DroppedReplies: t.stats.dropped.Load(),
	}
}

// Call calls method of another node, connecting to it if need be. A node may call
// itself, if it knows its own address. See [transport.Caller].
//
// A call fails with transport.ErrUnreachable at once while the transport pauses
// between two attempts to connect.
func (t *Transport) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := transport.CheckCall(to, method, req, t.maxFrame()); err != nil {
		return nil, err
	}
	resp, err := t.call(ctx, to, method, req)
	if over := carry.Ended(ctx); over != nil {
		return nil, over
	}
	return resp, err
}

// call makes one call, over the connection there is or a new one. Trying again is
// safe: a stale connection is one over which nothing was sent.
func (t *Transport) call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	for range 3 {
		c, err := t.connection(ctx, to)
		if err != nil {
			return nil, err
		}
		resp, err := c.call(ctx, method, req)
		if err != errStale {
			return resp, err
		}
	}
	return nil, fmt.Errorf("%w: connections to %q do not last", transport.ErrUnreachable, to)
}

// ErrMode says that a [Transport] was not told whether to use TLS, or was told both.
var ErrMode = errors.New("tcp: either TLS or Plain must be set of a Transport")

var errSelf = errors.New("tcp: Transport.Self must have 1 to 255 bytes, and Cluster no more")

// valid says whether the fields fit together.
func (t *Transport) valid() error {
	switch {
	case t.Self == "" || len(t.Self) > transport.MaxName || len(t.Cluster) > transport.MaxName:
		return errSelf
	case t.Plain == (t.TLS != nil):
		return ErrMode
	case t.TLS != nil:
		return t.TLS.valid(t.Cluster)
	}
	return nil
}

// start makes the transport ready; it needs t.mu.
func (t *Transport) start() error {
	switch {
	case t.closed:
		return transport.ErrClosed
	case t.base == nil:
		if err := t.valid(); err != nil {
			return err
		}
		t.base, t.stop = context.WithCancel(context.Background())
		t.peers = make(map[transport.NodeID]*peer)
		t.clients = make(map[*client]struct{})
	}
	return nil
}

// spawn runs f in a goroutine that Close waits for, unless the transport is closed.
// The context ends when Close is called.
func (t *Transport) spawn(f func(ctx context.Context)) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.start() != nil {
		return false
	}
	t.running.Go(func() { f(t.base) })
	return true
}

// Close stops the transport: new calls fail with transport.ErrClosed, as do those that
// nothing was sent of; calls under way and running handlers get Drain to finish, then
// connections are closed and Serve returns. Calls that were still under way fail with
// transport.ErrUnreachable, since they may have run. Close returns when nothing of the transport runs any more, which a
// handler that ignores the end of its context can delay; a handler must not call
// it. It returns nil, also when called again.
func (t *Transport) Close() error {
	clients := t.shut()
	for _, c := range clients {
		c.leave()
	}
	force := time.AfterFunc(t.drain(), func() {
		for _, c := range clients {
			c.fail(transport.ErrClosed)
		}
	})
	defer force.Stop()
	t.running.Wait()
	return nil
}

// shut lets nothing new begin, and returns the connections there are.
func (t *Transport) shut() []*client {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.stop != nil {
		t.stop()
	}
	return slices.Collect(maps.Keys(t.clients))
}

// admit has Close end a connection, from before anyone calls over it. It returns
// false if the transport has been closed meanwhile.
func (t *Transport) admit(c *client) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.clients[c] = struct{}{}
	return true
}

// release follows admit when the connection has come to its end.
func (t *Transport) release(c *client) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.clients, c)
}

// hello is what this node says of itself to a peer, which is not known yet to the
// side that accepts.
func (t *Transport) hello(peer transport.NodeID) hello {
	return hello{oldest: version, newest: version, cluster: t.Cluster, self: t.Self, peer: peer, limits: t.limits()}
}

func (t *Transport) limits() limits {
	return limits{
		message: t.maxFrame(),
		calls:   cmp.Or(max(t.MaxCalls, 0), 1024),
		window:  4 * min(t.maxFrame(), maxMessage/4),
		ping:    t.keepAlive(),
	}
}

func (t *Transport) maxFrame() int {
	return min(max(cmp.Or(t.MaxFrame, 4<<20), minMessage), maxMessage)
}

func (t *Transport) maxConns() int { return cmp.Or(max(t.MaxConns, 0), 1024) }

func (t *Transport) handshakeTimeout() time.Duration {
	return cmp.Or(max(t.HandshakeTimeout, 0), 3*time.Second)
}

func (t *Transport) keepAlive() time.Duration {
	return min(max(cmp.Or(t.KeepAlive, 2*time.Second), 10*time.Millisecond), maxInterval)
}

func (t *Transport) idleTimeout() time.Duration { return cmp.Or(max(t.IdleTimeout, 0), 5*time.Minute) }

func (t *Transport) maxBackoff() time.Duration { return cmp.Or(max(t.MaxBackoff, 0), time.Second) }

func (t *Transport) drain() time.Duration { return cmp.Or(max(t.Drain, 0), time.Second) }
