// Package tcp carries the calls of package transport over TCP. Between two nodes
// that call each other there are two connections, one dialled by each side; over a
// connection any number of calls are under way at a time, and the answers come in
// any order.
//
// # Smallest use
//
//	b := &tcp.Transport{Self: "b", Cluster: "example"}
//	go b.Serve(ctx, listener, handler)
//
//	a := &tcp.Transport{Self: "a", Cluster: "example", Peers: map[transport.NodeID]string{"b": "10.0.0.2:7001"}}
//	resp, err := a.Call(ctx, "b", "greet/hello", []byte("hi"))
//
// # Guarantees
//
// A request is delivered at most once: it is never sent a second time. Connections
// are made when a call needs one; calls that need the same one wait for the same
// attempt. After a failure the next attempt waits, a little more each time and at
// most MaxBackoff, and calls fail at once meanwhile. So a node that was started
// again is called again within about MaxBackoff.
//
// A call that is given up is cancelled at the other side, and goes on counting
// against MaxCalls until the other side has answered. A handler's context has the
// caller's deadline, as the time that was left when the request was sent, and ends
// when the connection is lost. A peer that is frozen, reads nothing or trickles a
// byte at a time is given up within three KeepAlive intervals. A message may take
// as long as it needs, either way: each side tells the other that it reads, and
// 4 KiB in three intervals are enough. A connection without a call for IdleTimeout
// is closed by the side that dialled it, and of a node without a connection nothing
// is kept but a recent failure.
//
// What a peer sends is bounded before memory is spent on it: no length is believed,
// buffers grow with what has arrived. A peer may hold at most MaxCalls handlers and
// 4·MaxFrame bytes of requests on each connection; one that takes more has broken
// the protocol and is cut off. Connections are bounded by MaxConns altogether. Not
// bounded by anything but MaxCalls are the bytes of responses that wait for a slow
// reader, for at most three KeepAlive intervals without progress.
//
// There is neither encryption nor proof of identity: a node is who it says it is.
// Use the package on networks that you trust.
//
// # Concurrency
//
// A Transport is safe for concurrent use. It runs two goroutines for each
// connection and one for each call being served; none before Call or Serve is
// called, and none after Close has returned. No lock is held while a handler or
// Resolve runs.
//
// # Errors
//
// As package transport says. A [*HandshakeError] says why two nodes that can
// connect do not talk; it is transport.ErrUnreachable too. So is an error of
// Resolve, which errors.Is and errors.As find within that of the call; contexts'
// errors and those of package transport stay hidden there, being about something
// else than the call. A panic in a handler is caught and fails its call.
//
// # Wire compatibility
//
// Version 1: a hello each way, with the range of versions spoken, the names of the
// cluster and of both nodes, and what each side takes; then frames of 1 byte kind and,
// where they are about a call, its id and mostly a body after its length. The first
// request of a method on a connection names it; later ones have its number, of which
// there are 127. A call with a deadline within four minutes costs 12 bytes of frames,
// and at most 16 while ids and lengths are below 16,384; a probe and its answer are 2
// bytes. The highest version that both speak is used. A later version may append to the
// hello, which is then ignored here.
//
// # Testing
//
// The package passes transport/transporttest. For tests of what is built on it,
// transport/mem is faster and can misbehave.
package tcp
