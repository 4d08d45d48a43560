package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventual-go/eventual/transport"
)

var (
	errAway  = fmt.Errorf("%w: node is stopping", transport.ErrUnreachable)
	errStale = errors.New("tcp: connection takes no more calls") // nothing was sent: use another
)

// A client is the calling end of a connection that this node dialled.
type client struct {
	conn    net.Conn
	w       *writer
	limit   int // bytes of a request
	accepts int // bytes of a response
	ping    time.Duration
	stats   *counters
	since   time.Time
	dead    chan struct{} // closed after err is set
	err     error
	calls   sync.Pool     // of *call, answered
	idle    time.Duration // without a call, after which it is closed; zero: never

	mu      sync.Mutex
	gate    gate
	next    uint64
	pending map[uint64]*call // every call in the gate that has not been answered
	live    int              // those of them whose callers wait
	used    bool             // a call began since the last beat
	rested  time.Time        // the last beat at which there was something to do
	away    bool             // takes no more calls; ends when live is 0
	failed  bool
}

// A call waits for the reply to one request.
type call struct {
	id        uint64
	method    string
	bytes     int
	abandoned bool        // its caller waits no longer
	reply     chan result // holds one
}

type result struct {
	resp []byte
	err  error
}

func newClient(conn net.Conn, own, other limits, stats *counters) *client {
	c := &client{
		conn:    conn,
		limit:   min(own.message, other.message, other.window),
		accepts: own.message,
		ping:    pingEvery(own.ping, other.ping),
		stats:   stats,
		since:   time.Now(),
		dead:    make(chan struct{}),
		gate:    gate{calls: min(own.calls, other.calls), bytes: other.window},
		pending: make(map[uint64]*call),
	}
	c.used, c.rested = true, c.since // there is a call that it was made for
	c.w = newWriter(conn, 3*c.ping, c.dead)
	return c
}

// pingEvery returns the interval that suits both sides.
func pingEvery(own, other time.Duration) time.Duration {
	if other <= 0 {
		return own
	}
	return max(min(own, other), 10*time.Millisecond)
}

// run serves the connection until it is lost.
func (c *client) run() {
	var group sync.WaitGroup
	group.Go(func() {
		tick := time.NewTicker(c.ping)
		defer tick.Stop()
		c.fail(c.w.run(tick.C, c.beat))
	})
	c.fail(c.read())
	group.Wait()
}

// beat pings the other side, or leaves if there was no call for long.
func (c *client) beat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.used || c.live > 0 || len(c.gate.waiting) > 0 {
		c.used, c.rested = false, now
	}
	if c.idle > 0 && now.Sub(c.rested) >= c.idle {
		c.away = true
		c.finishAway()
		return
	}
	c.w.force(&frame{kind: kindPing})
}

// fail gives the connection up. Only the first reason counts.
func (c *client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.failed {
		c.failed = true
		c.err = fmt.Errorf("%w: connection lost: %w", transport.ErrUnreachable, cause{err})
		close(c.dead)
		c.conn.Close()
	}
}

// usable says whether new calls may be made.
func (c *client) usable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.failed && !c.away
}

// failure returns why the connection was lost; nil while it is not, and if it was
// left in peace.
func (c *client) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return nil
	}
	return c.err
}

// call makes one call. It returns errStale if nothing was sent and nothing can be.
func (c *client) call(ctx context.Context, method string, req []byte) ([]byte, error) {
	if len(req) > c.limit {
		return nil, &transport.TooLargeError{What: "request", Limit: c.limit, Size: len(req)}
	}
	k, err := c.enter(ctx, method, len(req))
	if err != nil {
		return nil, err
	}
	f := frame{kind: kindRequest, id: k.id, method: method, payload: req}
	if d, ok := ctx.Deadline(); ok {
		f.timeout = microseconds(time.Until(d))
	}
	if !c.w.put(&f, ctx.Done()) {
		return nil, c.unsent(ctx, k)
	}
	select {
	case r := <-k.reply:
		c.calls.Put(k)
		return r.resp, r.err
	case <-ctx.Done():
		c.abandon(k)
		return nil, ctx.Err()
	case <-c.dead:
		return c.salvage(k)
	}
}

// salvage returns the reply that arrived just before the connection was lost.
func (c *client) salvage(k *call) ([]byte, error) {
	select {
	case r := <-k.reply:
		return r.resp, r.err
	default:
		return nil, c.err
	}
}

// enter waits until the call is admitted, and registers it.
func (c *client) enter(ctx context.Context, method string, bytes int) (*call, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed || c.away {
		return nil, errStale
	}
	if t := c.gate.enter(bytes); t != nil {
		if err := c.await(ctx, t); err != nil {
			return nil, err
		}
	}
	c.next++
	k := c.newCall()
	k.id, k.method, k.bytes = c.next, method, bytes
	c.pending[k.id] = k
	c.live++
	c.used = true
	return k, nil
}

func (c *client) newCall() *call {
	if k, ok := c.calls.Get().(*call); ok {
		return k
	}
	return &call{reply: make(chan result, 1)}
}

// await waits for a ticket, with c.mu unlocked meanwhile.
func (c *client) await(ctx context.Context, t *ticket) error {
	c.mu.Unlock()
	var err error
	select {
	case <-t.ready:
	case <-ctx.Done():
		err = ctx.Err()
	case <-c.dead:
		err = errStale
	}
	c.mu.Lock()
	if err == nil && (c.failed || c.away) {
		err = errStale
	}
	if err != nil {
		c.gate.abandon(t)
		c.finishAway()
	}
	return err
}

// unsent takes back a call of which nothing was sent.
func (c *client) unsent(ctx context.Context, k *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[k.id] == k { // else the other side answered what it was not asked
		delete(c.pending, k.id)
		c.gate.leave(k.bytes)
		c.live--
		c.finishAway()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errStale
}

// abandon has the other side cancel a call that nobody waits for. The call keeps
// its place until the other side has answered.
func (c *client) abandon(k *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[k.id] != k {
		c.stats.late.Add(1) // the reply is being delivered, to nobody
		return
	}
	k.abandoned = true
	c.live--
	c.w.force(&frame{kind: kindCancel, id: k.id})
	c.finishAway()
}

// leave takes no more calls, and ends the connection when nobody waits for those
// under way.
func (c *client) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = true
	c.finishAway()
}

// finishAway needs c.mu.
func (c *client) finishAway() {
	if c.away && c.live == 0 {
		c.w.close()
	}
}

// read takes in what the other side sends, until the connection is lost.
func (c *client) read() error {
	r := newFrameReader(c.conn, max(1+c.accepts, 1+failureSlack), 3*c.ping)
	r.pong = c.w.pong
	for {
		h, err := r.next()
		if err != nil {
			return err
		}
		switch h.kind {
		case kindResponse:
			err = c.response(r, h)
		case kindPong:
			c.w.taken.Store(true)
		case kindAway:
			c.leave()
		default:
			err = fmt.Errorf("%w: kind %d from the accepting side", errFrame, h.kind)
		}
		if err != nil {
			return err
		}
	}
}

// response hands a reply to the call that waits for it, or drops it.
func (c *client) response(r *frameReader, h header) error {
	if h.size == 0 {
		return fmt.Errorf("%w: response without status", errFrame)
	}
	k, abandoned := c.answered(h.id)
	if k == nil || abandoned {
		c.dropped(k)
		return r.skip(h.size)
	}
	defer c.settled()
	status, err := r.readByte()
	if err != nil {
		return err
	}
	body, err := r.read(nil, h.size-1)
	if err != nil {
		return err
	}
	resp, failure, malformed := parseResponse(status, body, k.method, c.accepts)
	if malformed != nil {
		return malformed
	}
	k.reply <- result{resp, failure}
	return nil
}

// answered takes the call with an id off the list, if there is one.
func (c *client) answered(id uint64) (k *call, abandoned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k = c.pending[id]
	if k == nil {
		return nil, false
	}
	delete(c.pending, id)
	c.gate.leave(k.bytes)
	return k, k.abandoned
}

// settled follows answered, when the reply has been read and handed on: not before
// may the connection be closed.
func (c *client) settled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live--
	c.finishAway()
}

func (c *client) dropped(k *call) {
	if k == nil {
		c.stats.unknown.Add(1)
	} else {
		c.stats.late.Add(1)
	}
}

// counters is what Stats reads.
type counters struct {
	dialled, accepted, refused, violations atomic.Uint64
	late, unknown                          atomic.Uint64
}
