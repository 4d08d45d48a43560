package mem

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/faults"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

var (
	errDown = fmt.Errorf("%w: node is down", transport.ErrUnreachable)
	errCut  = fmt.Errorf("%w: this side was closed while the call was under way", transport.ErrUnreachable)
)

// A Node is one node of a [Network]. It is a [transport.Caller], safe for
// concurrent use. Nodes are made by [Network.Node].
type Node struct {
	network *Network
	id      transport.NodeID
	handler transport.Handler

	mu     sync.Mutex
	life   *life // the last one, which may be over
	closed bool
}

// A life is the time between a node's start and its stop. What the node does
// meanwhile ends with it.
type life struct {
	ctx  context.Context
	stop context.CancelCauseFunc
}

// over returns why the life is over, nil while it is not.
func (l *life) over() error { return context.Cause(l.ctx) }

// ID returns the name of the node.
func (n *Node) ID() transport.NodeID { return n.id }

// Close takes the node away for good: it is down, its own calls fail with
// transport.ErrClosed, and those that are under way, which may have run, with
// transport.ErrUnreachable. It returns nil, at once: handlers that are running see
// their contexts end.
func (n *Node) Close() error {
	n.stop(transport.ErrClosed)
	return nil
}

func (n *Node) start() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed || n.life != nil && n.life.over() == nil {
		return
	}
	ctx, stop := context.WithCancelCause(context.Background())
	n.life = &life{ctx, stop}
}

func (n *Node) stop(cause error) {
	n.mu.Lock()
	l := n.life
	n.closed = n.closed || cause == transport.ErrClosed
	n.mu.Unlock()
	l.stop(cause) // with no lock held: it may run what waits for the end
}

// state returns the node's life, and why it cannot be used if it cannot.
func (n *Node) state() (*life, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return n.life, transport.ErrClosed
	}
	return n.life, n.life.over()
}

// A call is one call under way, seen from both sides.
type call struct {
	from     *Node
	to       transport.NodeID
	method   string
	deadline time.Time       // zero: none
	wait     context.Context // ends when the caller waits no longer
	answered atomic.Bool
	answer   chan answer // holds one
}

type answer struct {
	resp []byte
	err  error
}

// Call calls method of another node, or of this one. See [transport.Caller].
func (n *Node) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	trace := n.network.Faults().Trace
	if trace == nil {
		return n.call(ctx, to, method, req)
	}
	began := time.Now()
	resp, err := n.call(ctx, to, method, req)
	trace.Called(faults.Message{From: n.id, To: to, Method: method, Size: len(req)}, began, err)
	return resp, err
}

func (n *Node) call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	here, err := n.state()
	if err != nil {
		return nil, err
	}
	if err := transport.CheckCall(to, method, req, n.network.maxMessage()); err != nil {
		return nil, err
	}
	if err := n.network.reach(n.id, to); err != nil {
		return nil, err
	}
	wait, done := context.WithCancel(ctx)
	defer done()
	c := &call{from: n, to: to, method: method, wait: wait, answer: make(chan answer, 1)}
	c.deadline, _ = ctx.Deadline()
	c.send(req)
	select {
	case a := <-c.answer:
		if err := carry.Ended(ctx); err != nil {
			return nil, err
		}
		return a.resp, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-here.ctx.Done():
		if here.over() == transport.ErrClosed {
			return nil, errCut
		}
		return nil, here.over()
	}
}

// reach returns the error of a call that fails before anything is sent.
func (n *Network) reach(from, to transport.NodeID) error {
	if f := n.Faults(); f.IsCut(from, to) || f.IsCut(to, from) {
		if n.Refuse {
			return fmt.Errorf("%w: link between %q and %q is cut", transport.ErrUnreachable, from, to)
		}
		return nil
	}
	node := n.node(to)
	if node == nil {
		return fmt.Errorf("%w: no node %q", transport.ErrUnreachable, to)
	}
	if _, err := node.state(); err != nil {
		return errDown
	}
	return nil
}

// send puts the request on its way. A copy that is delivered twice runs twice; only
// the first run ends with the caller.
func (c *call) send(req []byte) {
	req = bytes.Clone(req)
	var once sync.Once
	m := faults.Message{From: c.from.id, To: c.to, Method: c.method, Size: len(req)}
	c.from.network.Faults().Send(m, func() {
		follows := false
		once.Do(func() { follows = true })
		go c.serve(bytes.Clone(req), follows)
	})
}

// serve runs the call at the node that it is for, and sends the reply. A run that
// follows the caller ends when the caller waits no longer.
func (c *call) serve(req []byte, follows bool) {
	net := c.from.network
	node := net.node(c.to)
	if node == nil {
		c.finish(answer{err: errDown})
		return
	}
	there, err := node.state()
	if err != nil {
		c.lost()
		return
	}
	ctx, cancel := c.context(there)
	defer cancel()
	defer context.AfterFunc(there.ctx, c.lost)()
	if follows {
		if c.wait.Err() != nil {
			c.cancelled(cancel)
		}
		defer context.AfterFunc(c.wait, func() { c.cancelled(cancel) })()
	}
	var resp []byte
	err = carry.ErrNoReply
	defer func() { // also if the handler ends its goroutine
		c.reply(there, resp, err)
		scribble(req)
	}()
	resp, err = transport.Invoke(ctx, node.handler, c.from.id, c.method, req)
}

func (c *call) context(there *life) (context.Context, context.CancelFunc) {
	if c.deadline.IsZero() {
		return context.WithCancel(there.ctx)
	}
	return context.WithDeadline(there.ctx, c.deadline)
}

// cancelled tells the handler that the caller waits no longer, if the link lets
// the news through.
func (c *call) cancelled(cancel func()) {
	c.from.network.Faults().Signal(c.from.id, c.to, cancel)
}

// lost tells the caller that the other node is gone, if the link lets the news
// through.
func (c *call) lost() {
	c.from.network.Faults().Signal(c.to, c.from.id, func() { c.finish(answer{err: errDown}) })
}

// reply sends back what the handler returned, unless its node is gone.
func (c *call) reply(there *life, resp []byte, err error) {
	if there.over() != nil {
		return
	}
	a := answer{resp: bytes.Clone(resp)}
	limit := c.from.network.maxMessage()
	switch {
	case err != nil:
		a = answer{err: transport.NewRemoteError(c.method, err)}
	case len(resp) > limit:
		a = answer{err: &transport.TooLargeError{What: "response", Limit: limit, Size: len(resp)}}
	}
	m := faults.Message{From: c.to, To: c.from.id, Kind: faults.Reply, Method: c.method, Size: len(resp)}
	c.from.network.Faults().Send(m, func() {
		if !c.finish(a) {
			c.from.network.late.Add(1)
		}
	})
}

// finish answers the call, unless it has its answer or waits no longer.
func (c *call) finish(a answer) bool {
	if c.wait.Err() != nil || !c.answered.CompareAndSwap(false, true) {
		return false
	}
	c.answer <- a
	return true
}

// scribble overwrites a request whose handler has returned.
func scribble(req []byte) {
	for i := range req {
		req[i] = 0xDB
	}
}
