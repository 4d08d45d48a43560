package transportotel

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
)

// Prefix begins the methods that are this package's own; no handler sees them.
const Prefix = intercept.TracedPrefix

const scope = "github.com/eventual-go/eventual/transport/otel"

// Tracing has the calls of a node traced. The zero value is ready to use. The fields are
// set before the first use and not changed afterwards; then it is safe for concurrent
// use. It must not be copied.
//
// A call that is not sampled costs half a microsecond, three allocations and nothing
// on the wire. A call that is costs two spans, a copy of its request, and 28 bytes or
// some more with a tracestate.
type Tracing struct {
	// Provider makes the spans. If nil, otel.GetTracerProvider(), as it is when Caller or
	// Handler is called.
	Provider trace.TracerProvider

	// Recheck is how long a node that does not take what calls carry is not asked again
	// whether it does. If zero, one minute.
	Recheck time.Duration

	mu    sync.Mutex
	nodes map[transport.NodeID]asked
}

// An asked node takes what calls carry, or does not.
type asked struct {
	again time.Time // if it does not: when it is asked again; the zero time if it does
	large int       // requests of so many bytes are sent without; zero: none
}

// Caller traces the calls made by next.
func (t *Tracing) Caller(next transport.Caller) transport.Caller {
	return &caller{t: t, tracer: t.tracer(), next: next}
}

// Handler traces the calls that next serves, of those that carry a context. A nil next
// answers no method.
func (t *Tracing) Handler(next transport.Handler) transport.Handler {
	if next == nil {
		next = new(transport.Mux)
	}
	return &handler{t.tracer(), next}
}

func (t *Tracing) tracer() trace.Tracer {
	p := t.Provider
	if p == nil {
		p = otel.GetTracerProvider()
	}
	return p.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL))
}

// finish ends a span with how its call ended, which the one side or the other is to be
// blamed for.
func finish(span trace.Span, r intercept.Result, err error, blamed bool) {
	defer span.End()
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(semconv.RPCResponseStatusCode(r.String()))
	if err == nil {
		return
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(r.String()))
	span.RecordError(err)
	if blamed {
		span.SetStatus(codes.Error, text(err.Error()))
	}
}

// text is s as an attribute can have it.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// maxNodes is how many nodes are remembered. When there are more, all are asked again.
const maxNodes = 4096

// asked says what is known of a node, and whether it is known if it takes what calls carry.
func (t *Tracing) asked(id transport.NodeID) (node asked, known bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	node, known = t.nodes[id]
	return node, known && (node.again.IsZero() || time.Now().Before(node.again))
}

// remember keeps whether a node takes what calls carry.
func (t *Tracing) remember(id transport.NodeID, takes bool) {
	var node asked
	if !takes {
		node.again = time.Now().Add(cmp.Or(max(t.Recheck, 0), time.Minute))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.nodes == nil || len(t.nodes) >= maxNodes {
		t.nodes = make(map[transport.NodeID]asked)
	}
	t.nodes[id] = node
}

// forget has a node be asked again.
func (t *Tracing) forget(id transport.NodeID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.nodes, id)
}

// learn keeps that a request of so many bytes was too large together with a context.
func (t *Tracing) learn(id transport.NodeID, size int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if node, known := t.nodes[id]; known && size > 0 && (node.large == 0 || size < node.large) {
		node.large = size
		t.nodes[id] = node
	}
}

// takes says whether a node takes a context with a request of so many bytes, and asks it
// if that is not known. The error is that of the question, if the node has not answered
// it in any way.
func (t *Tracing) takes(ctx context.Context, to transport.NodeID, size int, next transport.Caller) (bool, error) {
	if node, known := t.asked(to); known {
		return node.again.IsZero() && (node.large == 0 || size < node.large), nil
	}
	resp, err := next.Call(ctx, to, Prefix, nil)
	if _, ok := remote(err); err != nil && !ok && !errors.Is(err, transport.ErrTooLarge) {
		return false, err
	}
	takes := err == nil && string(resp) == greeting
	t.remember(to, takes)
	return takes, nil
}
