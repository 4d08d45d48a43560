// Package transportotel has the calls between nodes traced by OpenTelemetry, over any
// transport: a span for the call at the node that makes it, one for its handler at the
// node that serves it, and both in one trace. It is a module of its own, so that who
// does not use OpenTelemetry does not need it.
//
// # Smallest use
//
//	tracing := &transportotel.Tracing{Provider: provider}
//	handler := tracing.Handler(&mux)
//	caller := tracing.Caller(tr)
//
//	ctx, span := tracer.Start(ctx, "checkout")
//	resp, err := caller.Call(ctx, "b", "stock/reserve", req)
//
// # What is traced
//
// A call is a span of the kind client, the child of the span in its context. If there is
// none, it begins a trace, as the provider's sampler decides: so do the calls of an
// antientropy.Loop. Only where that span is sampled does the call carry its context
// (traceparent and tracestate, as W3C Trace Context has them); then its handler has
// a span of the kind server, and whatever it does with its context goes on in the
// trace. A call that is not sampled is passed on as it is, so its handler's own calls
// are decided anew. No baggage is carried, and nothing between what a Caller made by
// this package sends and what its Handler gets: the time on the way is the difference.
//
// A quorum.Coordinator sends what several calls ask of a node in one message, whose
// context is of none of them. Have its Carry be [Carry], and a message is in the trace
// of the first call in it that is sampled, with links to the others: alone, a write
// and all that it asks of others is one trace. What the Coordinator asks of its own node
// is no call, and has no span. All else in this library hands contexts on as they are.
//
// Spans have the name of the method, and as attributes rpc.system.name "eventual",
// rpc.method, rpc.response.status_code (the names of intercept.Result), error.type for what is no
// success, and server.address or client.address: the name of the other node. Names of methods
// are of a bounded number only if the program has it so.
//
// # Nodes without tracing
//
// Before a call carries anything to a node, the node is asked whether it takes that,
// once; if it does not, calls to it are made as without this package, and it is asked
// again after Recheck. So nodes can be given this package one by one, in any order. A
// node that took it and does not any more (it was started again, with an older
// program) refuses the first call that carries something as of an unknown method, or
// as denied. Then it is asked again, and if it takes nothing any more, nothing of the call
// has run, and it is made again plainly. That, and a request that was too large to be
// sent with what it carried, are the only ways in which a call is made twice: one that
// may have run is not. It relies on that node's handlers to refuse methods that they do
// not know.
//
// # Order
//
// Tracing stands next to the transport on both sides, and what looks at methods, such as
// transport/intercept, on the other side of it:
//
//	handler := tracing.Handler(metrics.Handler(access.Handler(&mux)))
//	caller := metrics.Caller(tracing.Caller(tr))
//
// With Access outside of Tracing nobody may call more: it needs its rules to allow a call
// that carries a context by both names, [Prefix] before the method and the method alone,
// and where they do not allow "traced/", calls are made without.
//
// Methods that begin with [Prefix] are this package's: use none.
//
// # Concurrency
//
// Safe for concurrent use. There is no goroutine, and no lock held while a call, a
// handler, or a tracer runs.
//
// # Errors
//
// All errors arrive as without this package. A request that fits the transport's
// limit, but not together with what it would carry, is sent without; where something in
// between has a lower limit of its own, one such call fails, and requests of its size are
// sent without from then on. So is a method
// whose name is too long to have the prefix, and one without a name. Who sends
// something malformed under the prefix gets an error.
//
// # Security
//
// A peer can say of each of its calls that it is sampled. A provider that must not
// believe this has a sampler that decides by itself: see WithRemoteParentSampled of the
// SDK's sdktrace.ParentBased.
//
// # Wire compatibility
//
// Version 1. Asked by the method "traced/" with no request, a node that takes contexts
// answers "traced 1". A call that carries one has the method "traced/" and its own,
// and before its request 1 byte version (1), 16 bytes trace id, 8 bytes span id, 1 byte
// flags, 2 bytes length, big-endian, of the tracestate, and that, at most 512 bytes: 28
// bytes mostly. Where its handler says that it does not know the method, or that the call
// is denied, the error has the code of any failure, and the text "traced/error ", its own
// code as a digit, ": ", and its own text; so has one with "traced/error " in its text. The
// caller puts it back.
//
// # Testing
//
// The package passes transport/transporttest over transport/mem, with the other nodes
// traced, and without. In tests use the SDK's tracetest.
package transportotel
