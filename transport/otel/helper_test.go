package transportotel

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/transport/tcp"
)

// echoes answers each call with its request, and notes the method.
func echoes(seen *[]string) transport.Handler {
	return transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
		*seen = append(*seen, method)
		return req, nil
	})
}

func says(resp string, err error) transport.HandlerFunc {
	return func(context.Context, transport.NodeID, string, []byte) ([]byte, error) { return []byte(resp), err }
}

// recorded is a Tracing whose spans are kept, of all that is sampled.
func recorded(opts ...sdktrace.TracerProviderOption) (*Tracing, *tracetest.SpanRecorder) {
	r := tracetest.NewSpanRecorder()
	return &Tracing{Provider: sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(r))...)}, r
}

// begin starts a span of its own, as a program does around what it calls.
func begin(t *testing.T, tr *Tracing) (context.Context, trace.Span) {
	t.Helper()
	ctx, span := tr.Provider.Tracer("program").Start(t.Context(), "program")
	t.Cleanup(func() { span.End() })
	return ctx, span
}

// wire is a Caller that notes what is sent.
type wire struct {
	next    transport.Caller
	methods []string
	bytes   int
}

func (w *wire) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	w.methods = append(w.methods, method)
	w.bytes += len(req)
	return w.next.Call(ctx, to, method, req)
}

// overMem starts node b with h in memory, and returns node a's end.
func overMem(_ *testing.T, h transport.Handler) transport.Caller {
	var network mem.Network
	network.Node("b", h)
	return network.Node("a", nil)
}

// overTCP does so over a socket.
func overTCP(t *testing.T, h transport.Handler) transport.Caller {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &tcp.Transport{Self: "b", Plain: true}
	t.Cleanup(func() { b.Close() })
	go b.Serve(t.Context(), ln, h)
	a := &tcp.Transport{Self: "a", Plain: true, Peers: map[transport.NodeID]string{"b": ln.Addr().String()}}
	t.Cleanup(func() { a.Close() })
	return a
}

var transports = map[string]func(*testing.T, transport.Handler) transport.Caller{"mem": overMem, "tcp": overTCP}

func attributes(s sdktrace.ReadOnlySpan) map[string]string {
	all := make(map[string]string)
	for _, kv := range s.Attributes() {
		if kv.Value.Type() == attribute.STRING {
			all[string(kv.Key)] = kv.Value.AsString()
		}
	}
	return all
}

func kinds(spans []sdktrace.ReadOnlySpan, k trace.SpanKind) (some []sdktrace.ReadOnlySpan) {
	for _, s := range spans {
		if s.SpanKind() == k {
			some = append(some, s)
		}
	}
	return some
}
