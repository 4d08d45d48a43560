package tcp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
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
	gone     bool  // forgotten: there may be another entry of the node
}

// errForgotten says that the entry was forgotten before it was used.
var errForgotten = errors.New("tcp: peer forgotten")

// A dialling is one attempt to connect, which any number of calls wait for.
type dialling struct {
	done   chan struct{} // closed after the result is set
	client *client
	err    error
}

// get returns a usable connection, making one if need be.
func (p *peer) get(ctx context.Context) (*client, error) {
	c, d, err := p.join()
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
func (p *peer) join() (*client, *dialling, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		return nil, nil, errForgotten
	}
	if p.client != nil {
		if p.client.usable() {
			return p.client, nil, nil
		}
		p.noteLoss(time.Now())
	}
	if p.dialling != nil {
		return nil, p.dialling, nil
	}
	if wait := p.backoff.wait(time.Now()); wait > 0 {
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
	p.use(nil)
}

// use has calls be made over c. It needs p.mu.
func (p *peer) use(c *client) {
	p.client = c
	p.t.connect(p.id, c)
}

// dial makes one attempt, and serves the connection that comes of it to its end.
func (p *peer) dial(ctx context.Context) {
	c, err := p.connect(ctx)
	if err != nil && ctx.Err() != nil {
		err = transport.ErrClosed
	}
	d := p.settle(c, err)
	d.client, d.err = c, err
	close(d.done)
	if c != nil {
		c.run()
		p.t.release(c)
		p.lost(c)
	}
}

// lost lets go of a connection that has come to its end, and of the entry if nothing
// need be remembered.
func (p *peer) lost(c *client) {
	now := time.Now()
	p.mu.Lock()
	if p.client == c {
		p.noteLoss(now)
	}
	p.mu.Unlock()
	p.retire(now)
}

// retire has the entry forgotten if there is neither a connection nor an attempt to
// make one, and if no failure is recent.
func (p *peer) retire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.client == nil && p.dialling == nil && now.Sub(p.backoff.until) > p.t.maxBackoff() {
		p.gone = true
		p.t.forget(p)
	}
}

// settle notes what came of an attempt, and ends it.
func (p *peer) settle(c *client, err error) *dialling {
	p.mu.Lock()
	defer p.mu.Unlock()
	d := p.dialling
	p.dialling = nil
	if err != nil {
		p.failure = err
		p.backoff.failed(time.Now(), p.t.maxBackoff())
	} else {
		p.use(c)
	}
	return d
}

func (p *peer) connect(ctx context.Context) (*client, error) {
	ctx, cancel := context.WithTimeout(ctx, p.t.handshakeTimeout())
	defer cancel()
	addr, err := p.t.resolve(ctx, p.id)
	if err != nil {
		return nil, carry.Unreachable(p.id, err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, carry.Unreachable(p.id, err)
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	met, err := p.t.reach(conn, p.id)
	if !stop() && err == nil {
		err = os.ErrDeadlineExceeded
	}
	if err != nil {
		err = p.refused(ctx, conn, err)
		conn.Close()
		return nil, carry.Unreachable(p.id, err)
	}
	c := newClient(met.line, met.own.limits, met.other.limits, &p.t.stats)
	c.idle = p.t.idleTimeout()
	c.trust = met.trust
	c.trust.tell(p.t, conn, p.id, true)
	c.gaveUp = func(err error) error { return p.t.gaveUp(err, conn, p.id, true) }
	if !p.t.admit(c) {
		conn.Close()
		return nil, transport.ErrClosed
	}
	p.t.stats.dialled.Add(1)
	return c, nil
}

// refused words and tells why a handshake failed, unless this side is closing.
func (p *peer) refused(ctx context.Context, conn net.Conn, err error) error {
	if ctx.Err() == context.Canceled {
		return err
	}
	e := explain(err, conn, p.id)
	if ctx.Err() != nil {
		e.Reason, e.Err = ReasonTimeout, nil
	}
	if !e.Remote && e.Reason > ReasonCredentials { // it was told so
		linger(conn, 100*time.Millisecond)
	}
	p.t.refused(e, true)
	return e
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
