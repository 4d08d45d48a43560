package transportotel

import (
	"context"
	"errors"
	"sync"

	"go.opentelemetry.io/otel/trace"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
)

type caller struct {
	t      *Tracing
	tracer trace.Tracer
	next   transport.Caller
	spans  options
}

// Call calls next, in a span.
func (c *caller) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	opts := c.spans.of(target{to, method})
	if links := linked(ctx); links != nil {
		opts = append(opts, trace.WithLinks(links...))
	}
	ctx, span := c.tracer.Start(ctx, text(method), opts...)
	resp, err := c.send(ctx, to, method, req, span.SpanContext())
	finish(span, intercept.CallResult(err), err, true)
	return resp, err
}

// send makes the call with the span's context, or without it if it must.
func (c *caller) send(ctx context.Context, to transport.NodeID, method string, req []byte, of trace.SpanContext) ([]byte, error) {
	if !of.IsSampled() || !of.IsValid() || method == "" || len(method) > transport.MaxName-len(Prefix) {
		return c.next.Call(ctx, to, method, req)
	}
	switch takes, err := c.t.takes(ctx, to, len(req), c.next); {
	case err != nil: // the node cannot be called
		return nil, err
	case !takes:
		return c.next.Call(ctx, to, method, req)
	}
	resp, err := c.carry(ctx, to, method, req, of)
	if err == nil {
		return resp, nil
	}
	again, lost := c.refused(ctx, to, len(req), err)
	switch {
	case lost != nil:
		return nil, lost
	case again:
		return c.next.Call(ctx, to, method, req)
	}
	return resp, plain(err, method)
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// carry makes the call with a context in front of its request.
func (c *caller) carry(ctx context.Context, to transport.NodeID, method string, req []byte, of trace.SpanContext) ([]byte, error) {
	buf := buffers.Get().(*[]byte)
	b := append(appendContext((*buf)[:0], of), req...)
	resp, err := c.next.Call(ctx, to, Prefix+method, b)
	if cap(b) <= 64<<10 {
		*buf = b
		buffers.Put(buf)
	}
	return resp, err
}

// refused says whether a call that carried a context has not run because it did, for
// certain, and so may be made again without. The error is that of finding out.
//
// It has not if the request was not sent, being too large with what it carried. And it
// has not if the node says that it does not know the method, or does not let this one
// call it, and takes contexts no more: one that does says neither in this way. What is
// wrapped or joined is of more than this call, and proves nothing.
func (c *caller) refused(ctx context.Context, to transport.NodeID, size int, err error) (again bool, lost error) {
	switch e := err.(type) {
	case *transport.TooLargeError:
		return e.What == "request" || e.What == "method", nil
	case *transport.RemoteError:
		if e.Code != transport.CodeUnknownMethod && e.Code != transport.CodeDenied {
			return false, nil
		}
		c.t.forget(to)
		takes, lost := c.t.takes(ctx, to, 0, c.next)
		return !takes && lost == nil, lost
	}
	if e, ok := remote(err); ok && (e.Code == transport.CodeUnknownMethod || e.Code == transport.CodeDenied) {
		c.t.forget(to)
	} else if !ok && errors.Is(err, transport.ErrTooLarge) {
		c.t.learn(to, size) // by something in between: it may have run
	}
	return false, nil
}
