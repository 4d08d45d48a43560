package transportotel_test

import (
	"context"
	"fmt"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	transportotel "github.com/eventual-go/eventual/transport/otel"
)

func reserve(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
	return []byte("reserved"), nil
}

func Example() {
	record := tracetest.NewSpanRecorder() // in a program, an exporter
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(record))
	tracing := &transportotel.Tracing{Provider: provider}

	var mux transport.Mux
	mux.Handle("stock/", transport.HandlerFunc(reserve))
	var network mem.Network
	network.Node("b", tracing.Handler(&mux))
	caller := tracing.Caller(network.Node("a", nil))

	ctx, span := provider.Tracer("shop").Start(context.Background(), "checkout")
	resp, err := caller.Call(ctx, "b", "stock/reserve", nil)
	span.End()
	fmt.Println(string(resp), err)

	trace := span.SpanContext().TraceID()
	for _, s := range record.Ended() {
		fmt.Println(s.SpanKind(), s.Name(), s.SpanContext().TraceID() == trace)
	}
	// Output:
	// reserved <nil>
	// server stock/reserve true
	// client stock/reserve true
	// internal checkout true
}

func ExampleCarry() {
	var node transport.Caller // of any transport
	var tracing transportotel.Tracing
	_ = &quorum.Coordinator{
		Self:   "a",
		Caller: tracing.Caller(node),
		Carry:  transportotel.Carry,
		// Local, Ring and Join
	}
}
