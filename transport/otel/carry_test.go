package transportotel

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/vclock"
)

func spanOf(trace1, span byte, flags trace.TraceFlags) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{trace1}, SpanID: trace.SpanID{span}, TraceFlags: flags})
}

func TestCarry(t *testing.T) {
	none := t.Context()
	in := func(sc trace.SpanContext) context.Context { return trace.ContextWithSpanContext(none, sc) }
	dark, one, two := spanOf(1, 1, 0), spanOf(2, 2, trace.FlagsSampled), spanOf(3, 3, trace.FlagsSampled)
	for name, c := range map[string]struct {
		calls  []context.Context
		parent trace.SpanContext
		links  []trace.SpanContext
	}{
		"nobody":             {nil, trace.SpanContext{}, nil},
		"untraced":           {[]context.Context{none, none}, trace.SpanContext{}, nil},
		"alone":              {[]context.Context{in(one)}, one, nil},
		"alone, several":     {[]context.Context{in(one), in(one)}, one, nil},
		"unsampled alone":    {[]context.Context{in(dark)}, dark, nil},
		"the first sampled":  {[]context.Context{none, in(dark), in(one)}, one, nil},
		"others are linked":  {[]context.Context{in(one), in(two), in(one), in(two)}, one, []trace.SpanContext{two}},
		"in order of coming": {[]context.Context{in(two), in(dark), in(one)}, two, []trace.SpanContext{one}},
	} {
		ctx := Carry(none, c.calls)
		require.True(t, c.parent.Equal(trace.SpanContextFromContext(ctx)), name)
		var links []trace.SpanContext
		for _, l := range linked(ctx) {
			links = append(links, l.SpanContext)
		}
		require.Equal(t, c.links, links, name)
	}
	var many []context.Context
	for i := range 512 {
		sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1, byte(i >> 8), byte(i)}, TraceFlags: 1})
		many = append(many, in(sc))
	}
	require.Len(t, linked(Carry(none, many)), maxLinks)
}

// A cluster of three nodes on one key's worth of stores, traced by one recorder.
func cluster(t *testing.T) (*quorum.Coordinator, *tracetest.SpanRecorder, *Tracing) {
	tracing, record := recorded()
	nodes := quorum.Everywhere{"a", "b", "c"}
	var network mem.Network
	var first *quorum.Coordinator
	for _, id := range nodes {
		s := store.New(store.Config{Replica: vclock.Named(string(id))})
		t.Cleanup(func() { s.Close() })
		var mux transport.Mux
		c := &quorum.Coordinator{
			Self: id, Local: s, Ring: nodes, Join: s.Join, Carry: Carry,
			Caller: tracing.Caller(network.Node(id, tracing.Handler(&mux))),
		}
		mux.Handle("quorum/", c.Handler())
		if first == nil {
			first = c
		}
	}
	return first, record, tracing
}

func delta(t *testing.T) []byte {
	s := store.New(store.Config{Replica: vclock.Named("client")})
	defer s.Close()
	d, err := store.Update(s, "likes", func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter { return c.Add(by.Replica, 1) })
	require.NoError(t, err)
	b, err := d.Bytes()
	require.NoError(t, err)
	return b
}

// A write, and all that it asks of the other nodes, is one trace.
func TestOneTraceAcrossAQuorumWrite(t *testing.T) {
	c, record, tracing := cluster(t)
	ctx, span := tracing.Provider.Tracer("program").Start(t.Context(), "like")
	_, err := c.Write(ctx, "likes", delta(t), quorum.WriteOptions{Level: quorum.All})
	require.NoError(t, err)
	span.End()

	spans := record.Ended()
	clients, servers := kinds(spans, trace.SpanKindClient), kinds(spans, trace.SpanKindServer)
	require.Len(t, clients, 2)
	require.Len(t, servers, 2)
	require.Len(t, spans, 5)
	to := make(map[string]trace.SpanID)
	for _, s := range clients {
		require.Equal(t, span.SpanContext().SpanID(), s.Parent().SpanID())
		to[attributes(s)["server.address"]] = s.SpanContext().SpanID()
	}
	require.Len(t, to, 2)
	for _, s := range servers {
		require.Equal(t, "a", attributes(s)["client.address"])
		require.Contains(t, []trace.SpanID{to["b"], to["c"]}, s.Parent().SpanID())
	}
	for _, s := range spans {
		require.Equal(t, span.SpanContext().TraceID(), s.SpanContext().TraceID())
	}
}

// Of writes that share messages, each is found from the messages that it was in.
func TestSharedMessagesAreLinked(t *testing.T) {
	c, record, tracing := cluster(t)
	d := delta(t)
	var all sync.WaitGroup
	var mu sync.Mutex
	writes := make(map[trace.SpanID]int)
	for range 50 {
		all.Go(func() {
			ctx, span := tracing.Provider.Tracer("program").Start(t.Context(), "like")
			defer span.End()
			_, err := c.Write(ctx, "likes", d, quorum.WriteOptions{Level: quorum.All})
			assert.NoError(t, err)
			mu.Lock()
			defer mu.Unlock()
			writes[span.SpanContext().SpanID()] = 0
		})
	}
	all.Wait()
	for _, s := range kinds(record.Ended(), trace.SpanKindClient) {
		writes[s.Parent().SpanID()]++
		for _, l := range s.Links() {
			writes[l.SpanContext.SpanID()]++
		}
	}
	require.Len(t, writes, 50)
	for _, messages := range writes {
		require.Equal(t, 2, messages, "one to each of the others")
	}
}
