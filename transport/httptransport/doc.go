// Package httptransport carries the calls of package transport over HTTP, for
// services that have a server already: [Handler] is mounted beside what else the
// server does, under its TLS and its middleware, and [Client] calls it. Proxies may
// stand in between. Where there is no HTTP yet, transport/tcp costs a fraction.
//
// # Smallest use
//
//	b := &httptransport.Handler{Self: "b", Cluster: "example", Handler: handler}
//	mux.Handle("/eventual", b)
//
//	a := &httptransport.Client{Self: "a", Cluster: "example", Peers: map[transport.NodeID]string{"b": "https://b.example/eventual"}}
//	resp, err := a.Call(ctx, "b", "greet/hello", []byte("hi"))
//
// # Guarantees
//
// A request is delivered at most once by the Client: it is sent a second time only
// where net/http knows that nothing of it was sent, or that nothing looked at it. A
// proxy that repeats a POST breaks that, and none does unless it is told to.
// Redirects are not followed, and nothing is compressed.
//
// A call that is given up ends its handler's context: over HTTP/1.1 by closing its
// connection, over HTTP/2 by resetting its stream; a proxy that hides the former
// (nginx with proxy_ignore_client_abort) leaves the handler its deadline. The
// deadline travels as the time that was left when the request was sent.
//
// A node that is frozen is not noticed over HTTP/1.1: give calls deadlines. Over HTTP/2
// it is, if the transport sends pings (HTTP2Config.SendPingTimeout).
//
// Over HTTP/1.1 a call has a connection to itself while it is under way, and leaves
// it for the next one. Keep idle ones for a shorter time at the client than at the
// server or the proxy: a call that meets one as it is being closed is not repeated, and
// is transport.ErrUnreachable. Over HTTP/2 calls share one connection. A server of
// net/http speaks HTTP/2 with TLS, and without if its Protocols say so (h2c), as must
// those of the client's transport then.
//
// # Who calls
//
// A request says which node and cluster it is from and for. Another cluster's, and
// another node's, are refused, whatever else is true. That is against mistakes: it
// proves nothing, since anyone who reaches the Handler can say anything. Proof is
// the server's: have [Handler.Peer] return the node whose certificate or token the
// middleware has checked, and [Client.Check] say whether the server is the node that the
// URL is said to lead to.
//
// Package transport/identity does both by certificates that name a node and its cluster,
// as transport/tcp uses them: identity.Server and identity.Client are the configs of TLS,
// which let nobody in but nodes of the cluster, identity.Peer and identity.Check say
// which. The example of Handler has it all. A name of a host in a certificate proves
// neither a node nor its cluster: the same authority may have issued others like it.
//
// A request cannot be made by a page in a browser of another origin, since it needs
// headers that those may not send.
//
// # Bounds
//
// No length is believed: memory is spent on what has arrived, in both directions.
// A Handler has at most MaxBytes of requests in memory and as many of responses, and
// serves MaxCalls at a time; what is beyond any of these is refused at once, with status
// 503, or 507 if it is the response of a call that has run, and is
// transport.ErrUnreachable to the caller. A message of more than MaxBytes is too large, as
// one of more than MaxMessage is: that is told, and no call runs for it again. Of each, a node gets no more than it leaves free
// for others: alone it has half, of two that take all they get each has a third. That is
// by the names of nodes, so where there is no Peer, one who makes up names gets all. Peer
// is asked before anything of the request is read, so strangers take no room.
//
// A request that does not arrive within TransferTimeout is given up, and so is a response
// that is not taken. Until then it has its room, as far as it has arrived; a place among
// MaxCalls it has from when it has arrived whole until its response is taken. How many
// requests are on their way, of which each has a goroutine of the server, how many
// connections there are, and how long they may take to say anything, is the
// server's to bound: set ReadHeaderTimeout and IdleTimeout, and for HTTP/2
// HTTP2Config.MaxConcurrentStreams and WriteByteTimeout (without which a connection of
// which nothing is read at all is never given up). The headers of a call have at most 5
// KiB.
//
// A Client holds a response of at most MaxMessage for each call, and of any other
// answer the first 512 bytes. The headers of an answer are its transport's to bound
// (MaxResponseHeaderBytes).
//
// # Concurrency
//
// Client and Handler are safe for concurrent use. Beside those of net/http, a call
// being served has one goroutine; none is left when it is answered. No lock is held
// while a handler, Peer, Check or Resolve runs.
//
// # Errors
//
// As package transport says. What is answered by something in between, a proxy, a
// middleware, a login page, is a [*StatusError] with the status and the beginning
// of what it said; so is a call that the node refused. It is
// transport.ErrUnreachable; with status 413 it is transport.ErrTooLarge too, so that
// who can send less at a time does.
//
// # Wire compatibility
//
// Version 1. A call is a POST of the request to the URL of the node, with the headers
// Eventual-Version (1), -Cluster, -From, -To, -Method (those escaped as in a path of a
// URL, and no more than must be), -Length (bytes of the request), -Limit (bytes of a
// response that the caller takes), and, with a deadline, -Timeout (µs left). The answer has Eventual-Version, -Length and -Status:
// "ok" with the response, and "failed" with the text of an error and its -Code, both
// with status 200; "response-too-large" with -Limit and -Size, also 200;
// "request-too-large" with -Limit, 413; and "refused" with a text, 400, 403, 405, 408,
// 421, 503 or 507. An answer without Eventual-Status, or with another status of HTTP, is
// not the node's. Other headers are ignored.
//
// # Testing
//
// The package passes transport/transporttest over HTTP/1.1, HTTP/2 with and without
// TLS, and through a reverse proxy. For tests of what is built on it, transport/mem
// is faster and can misbehave.
package httptransport
