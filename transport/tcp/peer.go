package tcp

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

const firstBackoff = 20 * time.Millisecond

// A peer is a node that this one calls: the connection to it, or what is known of
// why there is none.
type peer struct {
	id transport.NodeID
	t  *Transport

	mu       sync.Mutex
	client   *client // the last one; nil before the first
	dialling *dialling
	backoff  backoff
	failure  error // why the last connection could not be made
}

// A dialling is one attempt to connect, which any number of calls wait for.
type dialling struct {
	done   chan struct{} // closed after the result is set
	client *client
	err    error
}

// get returns a usable connection, making one if need be.
func (p *peer) get(ctx context.Context) (*client, error) {
	c, d, err := p.join(time.Now())
	if c != nil || err != nil {
		return c, err
	}
	select {
	case <-d.done:
		return d.client, d.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// join returns the connection, or the attempt to make one, or why there is none.
func (p *peer) join(now time.Time) (*client, *dialling, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client != nil {
		if p.client.usable() {
			return p.client, nil, nil
		}
		p.noteLoss(now)
	}
	if p.dialling != nil {
		return nil, p.dialling, nil
	}
	if wait := p.backoff.wait(now); wait > 0 {
		return nil, nil, fmt.Errorf("%w (not tried again for %v)", p.failure, wait.Round(time.Millisecond))
	}
	if !p.t.spawn(p.dial) {
		return nil, nil, transport.ErrClosed
	}
	p.dialling = &dialling{done: make(chan struct{})}
	return nil, p.dialling, nil
}

// noteLoss lets go of a connection. One that was lost as soon as it was made counts
// as one that could not be made. It needs p.mu.
func (p *peer) noteLoss(now time.Time) {
	if failure := p.client.failure(); failure != nil && now.Sub(p.client.since) < p.t.maxBackoff() {
		p.failure = failure
		p.backoff.failed(now, p.t.maxBackoff())
	} else {
		p.backoff = backoff{}
	}
	p.client = nil
}

// dial makes one attempt, and serves the connection that comes of it to its end.
func (p *peer) dial(ctx context.Context) {
	c, err := p.connect(ctx)
	d := p.settle(c, err)
	d.client, d.err = c, err
	close(d.done)
	if c != nil {
		p.t.hold(ctx, c)
	}
}

// settle notes what came of an attempt, and ends it.
func (p *peer) settle(c *client, err error) *dialling {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.dialling
	p.dialling = nil
	if p.client = c; err != nil {
		p.failure = err
		p.backoff.failed(time.Now(), p.t.maxBackoff())
	}
	return d
}

func (p *peer) connect(ctx context.Context) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, p.t.handshakeTimeout())
	defer cancel()
	addr, err := p.t.resolve(ctx, p.id)
	if err != nil {
		return nil, unreachable(p.id, err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, unreachable(p.id, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	own := p.t.hello(p.id)
	other, err := greet(conn, own, p.t.handshakeTimeout())
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, unreachable(p.id, err)
	}
	p.t.stats.dialled.Add(1)
	return newClient(conn, own.limits, other.limits, &p.t.stats), nil
}

// unreachable wraps why there is no connection. Errors of a context stay text: they
// are not those of the context of a call.
func unreachable(id transport.NodeID, err error) error {
	if refused, ok := err.(*HandshakeError); ok {
		return fmt.Errorf("%w: %q: %w", transport.ErrUnreachable, id, refused)
	}
	return fmt.Errorf("%w: %q: %w", transport.ErrUnreachable, id, opaque{err})
}

// A backoff says when to try again after failures: at once after none, and then
// after pauses that double up to a limit, each between half of that and the whole.
type backoff struct {
	failures int
	until    time.Time
}

func (b *backoff) failed(now time.Time, limit time.Duration) {
	pause := limit
	if b.failures < 16 {
		pause = min(limit, firstBackoff<<b.failures)
	}
	b.failures++
	b.until = now.Add(pause/2 + rand.N(pause/2+1))
}

func (b *backoff) wait(now time.Time) time.Duration { return max(b.until.Sub(now), 0) }
