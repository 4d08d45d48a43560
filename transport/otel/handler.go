package transportotel

import (
	"context"
	"errors"
	"strings"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
)

const (
	system   = "eventual"
	greeting = "traced 1"
)

type handler struct {
	tracer trace.Tracer
	next   transport.Handler
}

// ServeCall has next serve the call, in a span if it carries the context of one.
func (h *handler) ServeCall(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
	method, carries := strings.CutPrefix(method, Prefix)
	switch {
	case !carries:
		return h.next.ServeCall(ctx, from, method, req)
	case method == "":
		return []byte(greeting), nil
	}
	of, req, err := parseContext(req)
	if err != nil {
		return nil, err
	}
	resp, err := h.serve(trace.ContextWithRemoteSpanContext(ctx, of), from, method, req)
	if err != nil {
		err = hide(err)
	}
	return resp, err
}

var errPanicked = errors.New("panic")

func (h *handler) serve(ctx context.Context, from transport.NodeID, method string, req []byte) (resp []byte, err error) {
	ctx, span := h.tracer.Start(ctx, text(method), trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		semconv.RPCSystemNameKey.String(system), semconv.RPCMethod(text(method)), semconv.ClientAddress(text(string(from)))))
	defer func() {
		r := intercept.ServeResult(ctx, err)
		finish(span, r, err, r == intercept.Failed || r == intercept.Timeout || r == intercept.UnknownMethod)
	}()
	err = errPanicked
	return h.next.ServeCall(ctx, from, method, req)
}
