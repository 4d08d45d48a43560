package transportotel

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// One trace goes through both nodes, over any transport.
func TestOneTraceThroughBothNodes(t *testing.T) {
	for name, over := range transports {
		t.Run(name, func(t *testing.T) {
			a, recordA := recorded()
			b, recordB := recorded()
			program := b.Provider.Tracer("program")
			caller := a.Caller(over(t, b.Handler(transport.HandlerFunc(
				func(ctx context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
					_, span := program.Start(ctx, "work")
					defer span.End()
					return req, nil
				}))))
			ctx, root := begin(t, a)
			sc := root.SpanContext()
			resp, err := caller.Call(ctx, "b", "stock/reserve", []byte("three"))
			require.NoError(t, err)
			require.Equal(t, "three", string(resp))

			client, server := recordA.Ended()[0], recordB.Ended()[1]
			work := recordB.Ended()[0]
			require.Len(t, recordA.Ended(), 1)
			require.Len(t, recordB.Ended(), 2)
			require.Equal(t, sc.SpanID(), client.Parent().SpanID())
			require.Equal(t, client.SpanContext().SpanID(), server.Parent().SpanID())
			require.True(t, server.Parent().IsRemote())
			require.Equal(t, server.SpanContext().SpanID(), work.Parent().SpanID())
			for _, s := range []sdktrace.ReadOnlySpan{client, server, work} {
				require.Equal(t, sc.TraceID(), s.SpanContext().TraceID())
			}
			require.Equal(t, trace.SpanKindClient, client.SpanKind())
			require.Equal(t, trace.SpanKindServer, server.SpanKind())
			require.Equal(t, map[string]string{
				"rpc.system.name": "eventual", "rpc.method": "stock/reserve", "server.address": "b", "rpc.response.status_code": "ok",
			}, attributes(client))
			require.Equal(t, map[string]string{
				"rpc.system.name": "eventual", "rpc.method": "stock/reserve", "client.address": "a", "rpc.response.status_code": "ok",
			}, attributes(server))
			require.Equal(t, "stock/reserve", client.Name())
			require.Equal(t, codes.Unset, server.Status().Code)
		})
	}
}

func TestTraceStateGoesAlong(t *testing.T) {
	a, _ := recorded()
	b, record := recorded()
	caller := a.Caller(overMem(t, b.Handler(says("", nil))))
	ctx := trace.ContextWithRemoteSpanContext(t.Context(), golden.WithTraceState(state(t, "vendor=x:1,other=y")))
	_, err := caller.Call(ctx, "b", "m", nil)
	require.NoError(t, err)
	require.Equal(t, "vendor=x:1,other=y", record.Ended()[0].SpanContext().TraceState().String())
}

// A call that is not sampled is as without tracing.
func TestUnsampledCallsCarryNothing(t *testing.T) {
	a, recordA := recorded(sdktrace.WithSampler(sdktrace.NeverSample()))
	b, recordB := recorded()
	w := &wire{next: overMem(t, b.Handler(says("", nil)))}
	_, err := a.Caller(w).Call(t.Context(), "b", "m", []byte("ab"))
	require.NoError(t, err)
	_, err = new(Tracing).Caller(w).Call(t.Context(), "b", "m", []byte("cd"))
	require.NoError(t, err, "nor without a provider")
	require.Equal(t, []string{"m", "m"}, w.methods)
	require.Equal(t, 4, w.bytes)
	require.Empty(t, recordA.Ended())
	require.Empty(t, recordB.Ended())
}

var failures = []struct {
	err            error
	status         string
	client, server codes.Code
}{
	{errors.New("no luck"), "failed", codes.Error, codes.Error},
	{fmt.Errorf("%w \"x\"", transport.ErrUnknownMethod), "unknown_method", codes.Error, codes.Error},
	{fmt.Errorf("%w: not you", transport.ErrDenied), "denied", codes.Error, codes.Unset},
	{&transport.TooLargeError{What: "request", Limit: 1, Size: 2}, "too_large", codes.Error, codes.Unset},
	{errors.New(mark + "1: by name"), "failed", codes.Error, codes.Error},
	{errors.New(strings.Repeat("long ", 1000)), "failed", codes.Error, codes.Error},
	{errors.New("in\xffvalid"), "failed", codes.Error, codes.Error},
}

// Errors arrive as without tracing, and nothing is called twice for them.
func TestErrorsAreRecordedAndUnchanged(t *testing.T) {
	for name, over := range transports {
		t.Run(name, func(t *testing.T) {
			for _, f := range failures {
				a, recordA := recorded()
				b, recordB := recorded()
				ran := 0
				h := transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
					ran++
					return nil, f.err
				})
				_, want := over(t, h).Call(t.Context(), "b", "m", nil)
				ran = 0
				w := &wire{next: over(t, b.Handler(h))}
				resp, got := a.Caller(w).Call(t.Context(), "b", "m", nil)
				require.Nil(t, resp)
				require.Equal(t, want, got)
				require.Equal(t, 1, ran)
				require.Equal(t, []string{Prefix, Prefix + "m"}, w.methods)

				client, server := recordA.Ended()[0], recordB.Ended()[0]
				require.Equal(t, f.status, attributes(client)["error.type"])
				require.Equal(t, f.status, attributes(server)["error.type"])
				require.Equal(t, f.client, client.Status().Code)
				require.Equal(t, f.server, server.Status().Code)
				require.Equal(t, "exception", server.Events()[0].Name)
			}
		})
	}
}

func TestPanicsEndTheirSpans(t *testing.T) {
	a, recordA := recorded()
	b, recordB := recorded()
	h := transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) { panic("ouch") })
	_, err := a.Caller(overMem(t, b.Handler(h))).Call(t.Context(), "b", "m", nil)
	require.EqualError(t, err, "transport: remote m: panic: ouch")
	require.Equal(t, codes.Error, recordA.Ended()[0].Status().Code)
	require.Equal(t, codes.Error, recordB.Ended()[0].Status().Code)
}

func TestCallsThatAreGivenUp(t *testing.T) {
	a, record := recorded()
	b, _ := recorded()
	caller := a.Caller(overMem(t, b.Handler(says("", nil))))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := caller.Call(ctx, "b", "m", nil)
	require.Equal(t, context.Canceled, err)
	_, err = caller.Call(t.Context(), "nobody", "m", nil)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.Equal(t, "cancelled", attributes(record.Ended()[0])["error.type"])
	require.Equal(t, "unreachable", attributes(record.Ended()[1])["error.type"])
}

// What does not fit together with a context is sent without.
func TestWhatDoesNotFitIsSentWithout(t *testing.T) {
	const limit = 1000
	a, recordA := recorded()
	b, recordB := recorded()
	network := &mem.Network{MaxMessage: limit}
	var seen []string
	network.Node("b", b.Handler(echoes(&seen)))
	caller := a.Caller(network.Node("a", nil))
	name := func(n int) string { return strings.Repeat("m", n) }
	longest := transport.MaxName - len(Prefix)
	for _, c := range []struct {
		method string
		size   int
		traced bool
	}{
		{"m", limit - headerSize, true},
		{"m", limit - headerSize + 1, false},
		{"m", limit, false},
		{name(longest), 0, true},
		{name(longest + 1), 0, false},
		{name(transport.MaxName), 0, false},
		{"", 1, false},
		{"m", 0, true},
	} {
		before := len(recordB.Ended())
		resp, err := caller.Call(t.Context(), "b", c.method, make([]byte, c.size))
		require.NoError(t, err)
		require.Len(t, resp, c.size)
		require.Equal(t, c.traced, len(recordB.Ended()) > before, "%d bytes of %q", c.size, c.method)
		require.Equal(t, c.method, seen[len(seen)-1])
	}
	require.Len(t, recordA.Ended(), 8)

	_, err := caller.Call(t.Context(), "b", "m", make([]byte, limit+1))
	require.Equal(t, &transport.TooLargeError{What: "request", Limit: limit, Size: limit + 1}, err)
	_, err = caller.Call(t.Context(), "b", name(transport.MaxName+1), nil)
	require.Equal(t, &transport.TooLargeError{What: "method", Limit: transport.MaxName, Size: transport.MaxName + 1}, err)
	require.Len(t, seen, 8)
}

// A response that is too large was made by a handler, which is not run again.
func TestLargeResponsesAreNotAskedForTwice(t *testing.T) {
	a, _ := recorded()
	b, _ := recorded()
	network := &mem.Network{MaxMessage: 100}
	ran := 0
	network.Node("b", b.Handler(transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		ran++
		return make([]byte, 101), nil
	})))
	_, err := a.Caller(network.Node("a", nil)).Call(t.Context(), "b", "m", nil)
	require.ErrorIs(t, err, transport.ErrTooLarge)
	require.Equal(t, 1, ran)
}

func TestNamesThatAreNoText(t *testing.T) {
	a, recordA := recorded()
	b, recordB := recorded()
	var network mem.Network
	network.Node("b\xff", b.Handler(says("", nil)))
	_, err := a.Caller(network.Node("a\xfe", nil)).Call(t.Context(), "b\xff", "m\xff", nil)
	require.NoError(t, err)
	require.Equal(t, "m\uFFFD", recordA.Ended()[0].Name())
	require.Equal(t, "b\uFFFD", attributes(recordA.Ended()[0])["server.address"])
	require.Equal(t, "a\uFFFD", attributes(recordB.Ended()[0])["client.address"])
}

// What is malformed is an error, and reaches nobody.
func TestMalformedContextsReachNoHandler(t *testing.T) {
	b, record := recorded()
	var seen []string
	a := overMem(t, b.Handler(echoes(&seen)))
	for _, req := range [][]byte{nil, []byte("x"), make([]byte, 100)} {
		_, err := a.Call(t.Context(), "b", Prefix+"m", req)
		require.EqualError(t, err, "transport: remote traced/m: transportotel: malformed trace context")
	}
	require.Empty(t, seen)
	require.Empty(t, record.Ended())
}

// What is kept of targets is bounded, and what is not kept is the same.
func TestOptionsAreBounded(t *testing.T) {
	var o options
	for i := range 3 * maxTargets {
		require.Len(t, o.of(target{"b", fmt.Sprint(i)}), 2)
	}
	require.Len(t, o.kept, maxTargets)
	a, record := recorded()
	c := a.Caller(overMem(t, says("", nil))).(*caller)
	for range 2 {
		_, err := c.Call(t.Context(), "b", "m", nil)
		require.NoError(t, err)
	}
	require.Len(t, c.spans.kept, 1)
	require.Equal(t, record.Ended()[0].Attributes(), record.Ended()[1].Attributes())
}

func TestCallsAtOnce(t *testing.T) {
	a, recordA := recorded()
	b, recordB := recorded()
	caller := a.Caller(overTCP(t, b.Handler(transport.HandlerFunc(
		func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) { return req, nil }))))
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 50 {
				req := fmt.Sprintf("%d/%d", g, i)
				resp, err := caller.Call(t.Context(), "b", "m", []byte(req))
				assert.NoError(t, err)
				assert.Equal(t, req, string(resp))
			}
		})
	}
	all.Wait()
	parents := make(map[trace.SpanID]bool)
	for _, s := range recordA.Ended() {
		parents[s.SpanContext().SpanID()] = true
	}
	require.Len(t, parents, 400)
	for _, s := range recordB.Ended() {
		require.True(t, parents[s.Parent().SpanID()])
		delete(parents, s.Parent().SpanID())
	}
	require.Empty(t, parents)
}
