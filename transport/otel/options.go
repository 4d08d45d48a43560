package transportotel

import (
	"slices"
	"sync"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/eventual-go/eventual/transport"
)

// A target is what a call is of.
type target struct {
	node   transport.NodeID
	method string
}

// maxTargets is how many targets have their options kept.
const maxTargets = 1024

// options are how the spans of calls begin. They are made once for each target, since
// most calls are not sampled and should cost little.
type options struct {
	mu   sync.RWMutex
	kept map[target][]trace.SpanStartOption
}

// of returns the options of a target, which the caller may append to.
func (o *options) of(t target) []trace.SpanStartOption {
	o.mu.RLock()
	opts, ok := o.kept[t]
	o.mu.RUnlock()
	if ok {
		return opts
	}
	opts = slices.Clip([]trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.RPCSystemNameKey.String(system), semconv.RPCMethod(text(t.method)), semconv.ServerAddress(text(string(t.node))))})
	o.keep(t, opts)
	return opts
}

func (o *options) keep(t target, opts []trace.SpanStartOption) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.kept == nil {
		o.kept = make(map[target][]trace.SpanStartOption)
	}
	if len(o.kept) < maxTargets && len(t.method) <= transport.MaxName && len(t.node) <= transport.MaxName {
		o.kept[t] = opts
	}
}
