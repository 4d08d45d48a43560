package transportotel

import (
	"context"
	"testing"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/eventual-go/eventual/transport"
)

// direct is a Caller that has a handler serve its calls.
type direct struct{ transport.Handler }

func (d direct) Call(ctx context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
	return d.ServeCall(ctx, "a", method, req)
}

func BenchmarkCall(b *testing.B) {
	for _, bench := range []struct {
		name string
		t    *Tracing
	}{
		{"NoProvider", new(Tracing)},
		{"Unsampled", &Tracing{Provider: sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))}},
		{"Sampled", &Tracing{Provider: sdktrace.NewTracerProvider()}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			c := bench.t.Caller(direct{bench.t.Handler(says("", nil))})
			req := make([]byte, 100)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Call(b.Context(), "b", "method", req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
