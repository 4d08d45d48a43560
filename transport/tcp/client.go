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
	"github.com/eventual-go/eventual/transport/internal/carry"
)

var (
	errAway  = fmt.Errorf("%w: node is stopping", transport.ErrUnreachable)
	errStale = errors.New("tcp: connection takes no more calls") // nothing was sent: use another
)

// A client is the calling end of a connection that this node dialled.
type client struct {
	conn    *line
	w       *writer
	limit   int // bytes of a request
	accepts int // bytes of a response
	ping    time.Duration
	stats   *counters
	since   time.Time
	dead    chan struct{} // closed after err is set
	err     error
	calls   sync.Pool         // of *call, answered
	idle    time.Duration     // without a call, after which it is closed; zero: never
	trust   *trust            // in the other side; nil without TLS
	gaveUp  func(error) error // words, and tells of, what ended the writer
	closed  atomic.Bool       // failed or away
	settled int               // calls whose replies were handed on since live was told; read's alone

	mu      sync.Mutex
	gate    gate
	next    uint64
	pending table[call] // every call in the gate that has not been answered
	live    int         // those of them whose callers wait
	used    bool        // a call began since the last beat
	rested  time.Time   // the last beat at which there was something to do
	away    bool        // takes no more calls; ends when live is 0
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
		conn:    newLine(conn),
		limit:   min(own.message, other.message, other.window),
		accepts: own.message,
		ping:    pingEvery(own.ping, other.ping),
		stats:   stats,
		since:   time.Now(),
		dead:    make(chan struct{}),
		gate:    gate{calls: min(own.calls, other.calls), bytes: other.window},
	}
	c.gaveUp = func(err error) error { return err }
	c.used, c.rested = true, c.since // there is a call that it was made for
	c.w = newWriter(c.conn, 3*c.ping, c.dead, &c.mu)
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
		c.fail(c.gaveUp(c.w.run(tick.C, c.beat)))
	})
	if c.trust != nil {
		group.Go(func() { c.trust.watch(c.dead, c.leave, c.fail) })
	}
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
		c.turnAway()
		return
	}
	c.w.force(&frame{kind: kindPing})
}

// fail gives the connection up. Only the first reason counts.
func (c *client) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed {
		return
	}
	c.failed = true
	c.closed.Store(true)
	c.err = fmt.Errorf("%w: connection lost: %w", transport.ErrUnreachable, carry.Cause(err))
	close(c.dead)
	c.conn.Close()
	c.pending.all(func(k *call) { k.reply <- result{err: c.err} })
	c.pending = table[call]{}
}

// usable says whether new calls may be made.
func (c *client) usable() bool { return !c.closed.Load() }

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
	f := frame{kind: kindRequest, timeout: carry.Left(ctx), method: method, payload: req}
	k, err := c.enter(ctx, &f)
	if err != nil {
		return nil, err
	}
	select {
	case r := <-k.reply:
		c.calls.Put(k)
		return r.resp, r.err
	case <-ctx.Done():
		c.abandon(k)
		return nil, ctx.Err()
	}
}

// enter waits until the call is admitted, registers it, and queues its request. All of
// that is one step if there is nothing to wait for.
func (c *client) enter(ctx context.Context, f *frame) (*call, error) {
	k, queued, err := c.register(ctx, f)
	if err != nil || queued {
		return k, err
	}
	if f.timeout = carry.Left(ctx); !c.w.put(f, ctx.Done()) {
		return nil, c.unsent(ctx, k)
	}
	return k, nil
}

func (c *client) register(ctx context.Context, f *frame) (k *call, queued bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Load() {
		return nil, false, errStale
	}
	if t := c.gate.enter(len(f.payload)); t != nil {
		if err := c.await(ctx, t); err != nil {
			return nil, false, err
		}
		f.timeout = carry.Left(ctx)
	}
	c.next++
	k = c.newCall()
	k.id, k.method, k.bytes = c.next, f.method, len(f.payload)
	c.pending.put(k.id, k)
	c.live++
	c.used = true
	f.id = k.id
	return k, c.w.tryPut(f) == nil, nil
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
	if err == nil && c.closed.Load() {
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
	if c.pending.get(k.id) == k { // else it failed, or the other side answered what it was not asked
		c.pending.delete(k.id)
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
	if c.failed {
		return
	}
	if c.pending.get(k.id) != k {
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
	c.turnAway()
}

// turnAway needs c.mu.
func (c *client) turnAway() {
	c.away = true
	c.closed.Store(true)
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
		if r.empty() {
			c.settle()
		}
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
	res, err := c.result(r, h, k)
	if err != nil {
		c.fail(err)
		res = result{err: c.err}
	}
	k.reply <- res
	c.settled++
	return err
}

// result reads what a call gets. An error is the connection's.
func (c *client) result(r *frameReader, h header, k *call) (result, error) {
	status, err := r.readByte()
	if err != nil {
		return result{}, err
	}
	body, err := r.read(nil, h.size-1)
	if err != nil {
		return result{}, err
	}
	resp, failure, malformed := parseResponse(status, body, k.method, c.accepts)
	return result{resp, failure}, malformed
}

// answered takes the call with an id off the list, if there is one.
func (c *client) answered(id uint64) (k *call, abandoned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k = c.pending.get(id)
	if k == nil {
		return nil, false
	}
	c.pending.delete(id)
	c.gate.leave(k.bytes)
	return k, k.abandoned
}

// settle follows answered, when replies have been read and handed on: not before may
// the connection be closed.
func (c *client) settle() {
	if c.settled == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live -= c.settled
	c.settled = 0
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
	dialled, accepted, refused, crowded, distrusted atomic.Uint64
	violations, late, unknown, dropped, stalled     atomic.Uint64
}
