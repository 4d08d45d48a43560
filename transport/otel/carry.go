package transportotel

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/trace"
)

// maxLinks is how many links a span has at most, as the SDK's own limit has it.
const maxLinks = 128

type linksKey struct{}

// Carry returns ctx, the context of a message, with what is to be traced of the calls
// that have something in it: the message is in the trace of the first that is sampled,
// or else of the first that is traced, and has links to all others that are sampled, up to 128. It is made
// to be the Carry of a quorum.Coordinator.
func Carry(ctx context.Context, calls []context.Context) context.Context {
	var parent trace.SpanContext
	var links []trace.Link
	for _, call := range calls {
		of := trace.SpanContextFromContext(call)
		switch {
		case of.IsValid() && (!parent.IsValid() || of.IsSampled() && !parent.IsSampled()):
			parent = of
		case of.IsSampled() && of.IsValid() && !of.Equal(parent) && len(links) < maxLinks && !has(links, of):
			links = append(links, trace.Link{SpanContext: of})
		}
	}
	if parent.IsValid() {
		ctx = trace.ContextWithSpanContext(ctx, parent)
	}
	if links != nil {
		ctx = context.WithValue(ctx, linksKey{}, links)
	}
	return ctx
}

func has(links []trace.Link, of trace.SpanContext) bool {
	return slices.ContainsFunc(links, func(l trace.Link) bool { return l.SpanContext.Equal(of) })
}

// linked are the links of the message that ctx is of.
func linked(ctx context.Context) []trace.Link {
	links, _ := ctx.Value(linksKey{}).([]trace.Link)
	return links
}
