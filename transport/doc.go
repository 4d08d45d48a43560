// Package transport moves bytes between nodes: a node calls a method of another
// node with a request, and gets a response or an error.
//
// The package holds the two interfaces that everything above it is written
// against, [Caller] and [Handler], the [Mux] that lets several protocols share
// one node, and the errors that every transport reports alike. Package
// transport/transporttest is the conformance suite that all transports pass, and that
// one of your own should pass too.
//
// # Which package
//
// Transports, of which a program takes one:
//
//	transport/tcp            nodes of one service that reach one another: the fastest, with mutual TLS
//	transport/httptransport  there is an HTTP server, a proxy, or middleware that is to see each call
//	transport/grpctransport  there is a gRPC server; a module of its own
//	transport/natstransport  nodes reach a NATS, and not one another; a module of its own
//	transport/mem            tests, and several nodes in one process
//
// What goes with any of them:
//
//	transport/identity       which node a certificate is of, for tcp, HTTP and gRPC
//	transport/membership     who is there and at which address, by gossip (SWIM); a module of its own
//	transport/intercept      metrics, access by method and node, a log of failed calls
//	transport/otel           traces of calls; a module of its own
//	transport/prometheus     metrics for Prometheus; a module of its own
//	transport/faults         loss, delay, partitions: in tests and on purpose
//
// # Smallest use
//
//	var mux transport.Mux
//	mux.Handle("greet/", transport.HandlerFunc(greet))
//	node := network.Node("a", &mux)                       // a transport/mem network
//	resp, err := node.Call(ctx, "b", "greet/hello", []byte("hi"))
//
// # Guarantees
//
// A call is delivered at most once, unless something was told to repeat it: package
// transport/faults, a proxy, a retry policy of gRPC. A call that failed with anything
// but a [*RemoteError], [ErrTooLarge] or [ErrClosed] may or may not have run at the
// other side: the protocols of this library send only what may be repeated without
// harm. Calls are not ordered: two calls made one after the other, without waiting
// for the answer of the first, may run in either order.
//
// # Ownership of bytes
//
// A request belongs to the one who calls: a transport neither changes it nor looks
// at it after Call has returned, so it may be used again at once. The request that
// a handler is given is the handler's until ServeCall returns, and not a moment
// longer: the transport will overwrite it. The response that a handler returns is
// only read, and until it has been sent must not be changed by anyone; it may be a
// part of the request, and may be shared by many calls. The response that Call
// returns belongs to the one who called, for ever.
//
// # Concurrency
//
// Callers, handlers and the Mux are used by many goroutines at once. Handlers run
// concurrently, also those of calls from one peer.
//
// # Who calls
//
// The [NodeID] that a handler is given is as good as the transport's word for it. It is
// proved with transport/tcp over TLS; with HTTP and gRPC where their Peer says what
// a certificate or token proves; with NATS by its permissions. It is a mere claim
// everywhere else, and with a tcp that is Plain: then access by node stops nobody.
//
// # Errors
//
// The caller's own context errors pass untouched. What the remote handler returned
// as an error arrives as a [*RemoteError], which still answers [errors.Is] for
// [ErrUnknownMethod], [ErrTooLarge] and [ErrDenied], and for nothing else: a
// handler's "not reachable" or "deadline exceeded" speaks of its own calls, not of
// this one. A handler that panics fails its own call, with a RemoteError, and nothing
// else.
//
// # Interceptors
//
// What is to happen at every call is put around a Caller or a Handler: whatever has a
// method Caller(next Caller) Caller and Handler(next Handler) Handler is used alike,
// and several are nested. Package transport/intercept has metrics, access by method
// and node, and a log; transport/faults has faults, transport/otel traces.
//
// # Wire compatibility
//
// Each transport documents its own wire form. The numbers of [Code] are part of
// them all and do not change. A node that does not know a number takes the error for
// one of the handler's own.
//
// # Testing
//
// Use a transport/mem network; it runs inside testing/synctest bubbles. To test a
// transport, use transport/transporttest.
package transport
