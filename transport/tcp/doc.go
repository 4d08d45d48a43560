// Package tcp carries the calls of package transport over TCP. Between two nodes
// that call each other there are two connections, one dialled by each side; over a
// connection any number of calls are under way at a time, and the answers come in
// any order.
//
// # Smallest use
//
//	files := &identity.Files{Cert: "b.crt", Key: "b.key", CA: "cluster.crt"}
//	b := &tcp.Transport{Self: "b", Cluster: "example", TLS: &tcp.TLS{Credentials: files.Credentials}}
//	go b.Serve(ctx, listener, handler)
//
// And at another node, with files of its own:
//
//	a := &tcp.Transport{Self: "a", Cluster: "example", TLS: &tcp.TLS{Credentials: files.Credentials},
//		Peers: map[transport.NodeID]string{"b": "10.0.0.2:7001"}}
//	resp, err := a.Call(ctx, "b", "greet/hello", []byte("hi"))
//
// Without certificates, on networks that are trusted, Plain takes the place of TLS.
//
// # Who is who
//
// With [TLS] a node is who its certificate says: it must come from one of the cluster's
// authorities, be valid at the time, and have the URI name eventual://cluster/node, as
// package transport/identity has it, unless TLS.Allow has another rule. Both sides check this, and what a node says in its hello must agree with
// it. So another cluster's node is refused also if both clusters have one authority.
// TLS is 1.3, without resumption, so nothing of one connection is of use for another.
//
// Certificates and authorities may change while nodes run. A node that gets another
// certificate has its connections made again, without a call noticing. A connection
// ends, with the calls that are under way, when the other side's certificate expires,
// and within Recheck of the moment at which its authority is believed, or it is allowed, no more. There
// are no lists of revoked certificates: let them be short-lived.
//
// With Plain there is neither encryption nor proof: a node is who it says it is. That is
// for networks in which everybody is trusted.
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
// byte at a time is given up within three KeepAlive intervals; one that says that it
// reads, and takes nothing of what waits for it, within sixty. A message may take
// as long as it needs, either way: each side tells the other that it reads, and
// 4 KiB in three intervals are enough, or with TLS its unit, 16 KiB. A connection
// without a call for IdleTimeout is closed by the side that dialled it, and of a node
// without a connection nothing is kept but a recent failure.
//
// What a peer sends is bounded before memory is spent on it: no length is believed,
// buffers grow with what has arrived. A peer may have at most MaxCalls calls under way,
// with 4·MaxFrame bytes of requests, on each connection, from when a request arrives
// until its answer is on its way; one that sends more has broken the protocol and is cut
// off, when one request more has been read. What holds them may cost twice that, and
// 4 KiB for each. Of a peer that reads more slowly than it
// calls, the responses that wait have at most 16·MaxFrame bytes, and 8 KiB for each of
// MaxCalls; from a quarter of that on its calls are held, and what is more than all of it
// fails its call. Connections are bounded by MaxConns, and a node may have eight of them:
// so it can have this one hold eight times as much, and no more. Handshakes are as many,
// besides. Places are shared among the nodes, and handshakes among the addresses, that
// want them. So a handshake that is not gone on with harms whoever began it. It may bring
// 64 KiB, and costs twice that at most, for HandshakeTimeout at most. A node that begins
// handshakes without end keeps nobody from being served, but it does cost this one the
// arithmetic of each, some tenths of a millisecond: a firewall's affair.
//
// # Concurrency
//
// A Transport is safe for concurrent use. It runs two goroutines for each
// connection, with TLS three, and at most one for each call being served, of which up to
// 32 wait for the next call; none before Call or Serve is called, and none after Close has
// returned. No call waits behind a handler that does. No lock is held while a handler,
// Resolve, Events, or a function of TLS runs.
//
// # Errors
//
// As package transport says. [ErrMode] is returned by a transport that is neither told
// to use TLS nor to be plain. A [*HandshakeError] says why two nodes that can connect do
// not talk, by a [Reason] and in words. It does so at both sides: the one that refuses
// says why to the other, but a caller that does not believe a server's certificate says
// no more than that. It is transport.ErrUnreachable too, and [Events] tell of it.
//
// An error of Resolve is transport.ErrUnreachable as well, and errors.Is and errors.As
// find it within that of the call; contexts' errors and those of package transport stay
// hidden there, being about something else than the call. A panic in a handler is
// caught and fails its call.
//
// # Wire compatibility
//
// With TLS, its protocol (ALPN) is "eventual/1", which stays when versions come; all
// that follows is inside it.
//
// Version 1: a hello each way, with the range of versions spoken, the names of the
// cluster and of both nodes, and what each side takes; then frames of 1 byte kind and,
// where they are about a call, its id and mostly a body after its length. The first
// request of a method on a connection names it; later ones have its number, of which
// there are 127. A call with a deadline within four minutes costs 12 bytes of frames,
// and at most 16 while ids and lengths are below 16,384; a probe and its answer are 2
// bytes. The highest version that both speak is used; where there is none, both sides
// say which the other speaks. A later version may append to the hello, which is then
// ignored here, and refuse for more reasons.
//
// # Testing
//
// The package passes transport/transporttest. For tests of what is built on it,
// transport/mem is faster and can misbehave.
package tcp
