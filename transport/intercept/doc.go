// Package intercept has what is put around the calls of a node, over any transport:
// [Metrics] counts them, [Access] says who may call what, [Log] writes down those that
// fail.
//
// # Smallest use
//
//	access := &intercept.Access{Rules: map[string]intercept.Rule{
//		"":       intercept.Nodes("a", "b", "c"),
//		"admin/": intercept.Nodes("a"),
//	}}
//	var metrics intercept.Metrics
//	var log intercept.Log
//
//	handler := log.Handler(metrics.Handler(access.Handler(&mux)))
//	caller := log.Caller(metrics.Caller(tr))
//
// # Order
//
// What stands outside sees what stands inside, and not the other way round. So Access
// stands next to the handler, for Metrics and Log to see what it refuses. What puts
// something on calls and takes it off again, as package transport/otel does, stands
// next to the transport on both sides, outermost around a handler and innermost
// around a transport: then these see the method that is meant.
//
//	handler := tracing.Handler(log.Handler(metrics.Handler(access.Handler(&mux))))
//	caller := log.Caller(metrics.Caller(tracing.Caller(tr)))
//
// In another order nobody may call more. Access outside of tracing asks its rules by both
// names of a call that carries a trace, see [TracedPrefix]; where they do not allow the
// one that it has, nodes are called without traces. Metrics and Log outside of tracing
// count and write that name. What gives calls other names, of one's own, must stand
// outside of Access: it sees no more than the name that it is given.
//
// # Guarantees
//
// Messages and errors pass unchanged. What is kept is bounded, whatever peers send:
// Metrics has a row for each method that is named to it, and for others that this node
// serves or calls, up to a number, and none for names that a peer made up; Access keeps
// a count; Log has a fixed number of lines in a second, each of which holds the error's
// text, and the names of node and method.
//
// # Cost
//
// A call that succeeds costs no memory: with Log a reading of the clock, with Metrics two
// and some additions, a quarter of a microsecond, and with Access a comparison of the
// method with each rule's prefix, at most.
//
// # Concurrency
//
// All are safe for concurrent use. They start no goroutine, and hold no lock while a
// handler, a transport, a Rule, a callback or a Logger runs.
//
// # Errors
//
// Access refuses with an error that is transport.ErrDenied, also to the caller at the
// other side. A node of a version that does not know that error takes it for another
// one of the handler's. The others add no errors.
//
// # Wire compatibility
//
// Nothing is added to messages. The names of results, see [Result], stay.
//
// # Testing
//
// The package passes transport/transporttest, over transport/mem. In a testing/synctest
// bubble all goes by the bubble's clock.
package intercept
