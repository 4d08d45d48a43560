package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// straggler is how long the second copy of a request may run whose call has no
// deadline.
const straggler = time.Minute

// Caller puts the faults on the calls that a node makes by another transport: on
// its requests before they are sent, and on replies when they have come. Use it
// together with [Network.Handler]: a link's own faults (what a [Link] says) happen
// where the message is sent, requests here and replies there; cuts, partitions,
// frozen and slow nodes tell at both ends. So the nodes of a cluster may have one
// Network between them, or each its own, and faults happen once either way.
//
// A request that is delayed is copied, and given up if the call is; one that comes
// twice is two calls of next, the second of which does not end with the caller but
// with its deadline, or after a minute. A reply that comes twice is not seen. How
// connections are made and lost, and that a caller has given up, is the other
// transport's own and passes a cut, unless Refuse is set and nothing is called.
//
// That a call is refused is said at either end: of what the Handler of the other node
// refuses, the Caller makes transport.ErrUnreachable, as of a node that takes no
// connections. A caller without it sees the handler's word, a [*transport.RemoteError].
//
// The Caller has no Close: close next.
func (n *Network) Caller(self transport.NodeID, next transport.Caller) transport.Caller {
	return &caller{n, self, next}
}

// Handler puts the faults on the calls that a node answers: see [Network.Caller]. A
// call whose request or reply is lost stays with the handler's side until its
// context ends, as one that takes long: it counts against what the other transport
// allows. A nil next answers no method.
func (n *Network) Handler(self transport.NodeID, next transport.Handler) transport.Handler {
	if next == nil {
		next = new(transport.Mux)
	}
	return &handler{n, self, next}
}

type caller struct {
	net  *Network
	self transport.NodeID
	next transport.Caller
}

// Call calls next, if the network lets it.
func (c *caller) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	m := Message{From: c.self, To: to, Method: method, Size: len(req), N: unnumbered}
	if err := c.net.refused(c.self, to); err != nil {
		return nil, err
	}
	if c.net.Trace == nil {
		return c.call(ctx, m, req)
	}
	began := time.Now()
	resp, err := c.call(ctx, m, req)
	c.net.Trace.Called(m, began, err)
	return resp, err
}

// refused returns the error of a call over a cut link, if the network says it at once.
func (n *Network) refused(a, b transport.NodeID) error {
	if n.Refuse && (n.IsCut(a, b) || n.IsCut(b, a)) {
		return unreachable(a, b)
	}
	return nil
}

func unreachable(a, b transport.NodeID) error {
	return fmt.Errorf("%w: link between %q and %q is cut", transport.ErrUnreachable, a, b)
}

// turnedAway is what the handler's end says to a caller that it refuses. A handler can
// say nothing but an error of its own; this one is known by its words, both names among
// them, which no call that was refused ends in.
func turnedAway(at, from transport.NodeID) error {
	return fmt.Errorf("faults: call not taken in: %w", unreachable(at, from))
}

// isTurnedAway says whether it was that which came back from a node.
func isTurnedAway(e *transport.RemoteError, by, from transport.NodeID) bool {
	return e.Message == transport.NewRemoteError(e.Method, turnedAway(by, from)).Message
}

// call makes the call when its request departs. If that is at once, it is made here,
// and costs nothing more.
func (c *caller) call(ctx context.Context, m Message, req []byte) ([]byte, error) {
	f, frozen := c.net.leaving(&m)
	if !frozen && f.instant() {
		return c.run(ctx, m, req)
	}
	l := &late{caller: c, ctx: ctx, req: bytes.Clone(req), results: make(chan result, 2)}
	l.parcel = parcel{net: c.net, Message: m, departed: l.start}
	l.leave(f, frozen)
	select {
	case r := <-l.results:
		return r.resp, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// run makes the call, and returns when its reply has arrived.
func (c *caller) run(ctx context.Context, m Message, req []byte) ([]byte, error) {
	c.net.arrived(m)
	resp, err := c.next.Call(ctx, m.To, m.Method, req)
	said, remote := errors.AsType[*transport.RemoteError](err)
	if err != nil && !remote {
		return nil, err // of this side
	}
	if remote && isTurnedAway(said, m.To, c.self) {
		err = unreachable(m.To, c.self)
	}
	reply := Message{From: m.To, To: c.self, Kind: Reply, Method: m.Method, Size: len(resp), N: unnumbered}
	if lost := c.net.receive(ctx, reply); lost != nil {
		return nil, lost
	}
	return resp, err
}

// A late call is one whose request departs later than it is made, or twice.
type late struct {
	*caller
	parcel
	ctx     context.Context
	req     []byte
	started atomic.Bool
	results chan result // has room for all
}

// A result is how one copy of a request ended.
type result struct {
	resp []byte
	err  error
}

// start makes the call, without waiting for it. The first ends with the caller.
func (l *late) start() {
	ctx, cancel := l.ctx, context.CancelFunc(func() {})
	if l.started.Swap(true) {
		ctx, cancel = detached(ctx)
	}
	go func() {
		defer cancel()
		resp, err := l.run(ctx, l.Message, l.req)
		l.results <- result{resp, err}
	}()
}

// detached returns a context that ends by itself, and not with ctx.
func detached(ctx context.Context) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		end = time.Now().Add(straggler)
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end)
}

type handler struct {
	net  *Network
	self transport.NodeID
	next transport.Handler
}

// ServeCall has next serve the call, when it has arrived, and returns when the reply
// is to be sent.
func (h *handler) ServeCall(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
	if h.net.refused(h.self, from) != nil {
		return nil, turnedAway(h.self, from)
	}
	m := Message{From: from, To: h.self, Method: method, Size: len(req), N: unnumbered}
	if lost := h.net.receive(ctx, m); lost != nil {
		return nil, lost
	}
	resp, err := h.next.ServeCall(ctx, from, method, req)
	reply := Message{From: h.self, To: from, Kind: Reply, Method: method, Size: len(resp), N: unnumbered}
	if lost := h.net.post(ctx, reply); lost != nil {
		return nil, lost
	}
	return resp, err
}

// receive waits until a message that another transport has brought is taken in.
func (n *Network) receive(ctx context.Context, m Message) error {
	if n.isClear(m.From, m.To) {
		return nil
	}
	return await(ctx, func(arrived func()) {
		p := &parcel{net: n, Message: m, arrived: arrived}
		p.arrive()
	})
}

// post waits until a message is to be given to another transport.
func (n *Network) post(ctx context.Context, m Message) error {
	f, frozen := n.leaving(&m)
	if !frozen && f.instant() {
		n.arrived(m)
		return nil
	}
	return await(ctx, func(sent func()) {
		p := &parcel{net: n, Message: m}
		p.departed = func() {
			n.arrived(p.Message)
			sent()
		}
		p.leave(f, frozen)
	})
}

// await starts something, and waits until it is done or ctx is over.
func await(ctx context.Context, start func(done func())) error {
	happened := make(chan struct{}, 1)
	start(func() {
		select {
		case happened <- struct{}{}:
		default: // a second time
		}
	})
	select {
	case <-happened:
		return nil
	default:
	}
	select {
	case <-happened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
