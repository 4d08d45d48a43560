// Package transport moves bytes between nodes: a node calls a method of another
// node with a request, and gets a response or an error.
//
// The package holds the two interfaces that everything above it is written
// against, [Caller] and [Handler], the [Mux] that lets several protocols share
// one node, and the errors that every transport reports alike. The transports
// themselves are in sub-packages: transport/tcp for real networks and
// transport/mem for tests. Package transport/transporttest is the conformance
// suite that all of them pass, and that a transport of your own should pass too.
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
// A call is delivered at most once by transport/tcp, and possibly several times
// by a transport/mem network that was asked to duplicate. A call that failed with
// anything but a [*RemoteError], [ErrTooLarge] or [ErrClosed] may or may not have
// run at the other side: the protocols of this library send only what may be
// repeated without harm. Calls are not ordered: two calls made one after the
// other, without waiting for the answer of the first, may run in either order.
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
