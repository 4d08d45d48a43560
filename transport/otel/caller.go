package transportotel

import (
	"context"
	"errors"
	"strings"
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
	if !of.IsSampled() || !of.IsValid() || method == "" {
		return c.next.Call(ctx, to, method, req)
	}
	takes, err := c.t.takes(ctx, to, c.next)
	switch {
	case err != nil: // the node cannot be called
		return nil, err
	case !takes:
		return c.next.Call(ctx, to, method, req)
	}
	resp, err := c.carry(ctx, to, method, req, of)
	again, takes := refused(err)
	if !again {
		return resp, plain(err, method)
	}
	if !takes {
		c.t.remember(to, false)
	}
	return c.next.Call(ctx, to, method, req)
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

// refused says whether a call that carried a context was not even begun because it
// did, and is to be made again without; and whether its node takes contexts at all.
func refused(err error) (again, takes bool) {
	if e, ok := remote(err); ok {
		stranger := (e.Code == transport.CodeUnknownMethod || e.Code == transport.CodeDenied) && !strings.HasPrefix(e.Message, mark)
		return stranger, !stranger
	}
	if e, ok := errors.AsType[*transport.TooLargeError](err); ok {
		return e.What != "response", true
	}
	return errors.Is(err, transport.ErrTooLarge), true // by something in between
}

// remote is the error of a handler, if err is one.
func remote(err error) (*transport.RemoteError, bool) {
	return errors.AsType[*transport.RemoteError](err)
}

// plain is the error as it is without a context.
func plain(err error, method string) error {
	e, ok := err.(*transport.RemoteError)
	if !ok {
		return err
	}
	return &transport.RemoteError{Method: method, Message: strings.TrimPrefix(e.Message, markOf(e.Code)), Code: e.Code}
}
