// Package natstransport carries the calls of package transport over NATS, as requests
// and replies, for services that are connected to one already: nodes need to reach
// the NATS servers and not each other. Where they do reach each other, transport/tcp
// costs a fraction.
//
// # Smallest use
//
//	b := &natstransport.Transport{Conn: connOfB, Self: "b", Cluster: "example"}
//	go b.Serve(ctx, handler)
//
//	a := &natstransport.Transport{Conn: connOfA, Self: "a", Cluster: "example"}
//	resp, err := a.Call(ctx, "b", "greet/hello", []byte("hi"))
//
// # Guarantees
//
// A request is delivered at most once, as long as one process alone serves a name: two
// that do, both run it. A call to a node that nobody serves fails at once, by what
// NATS calls no responders. A call that is given up is cancelled at the other side. A
// handler's context has the caller's deadline, as the time that was left when the
// request was sent.
//
// NATS tells nobody who is gone, and what is under way when a connection to it is
// lost does not arrive. So a call that waits longer than KeepAlive asks whether it is
// still being served, and asks again at each KeepAlive. It fails with
// transport.ErrUnreachable if there is no such call any more, if nobody serves the
// node, or if there was no answer for three KeepAlives; a handler whose caller has not
// asked for as long sees its context end.
//
// # Who calls
//
// The subject of a request is PREFIX.CLUSTER.TO.FROM, so the permissions of NATS can
// prove who calls. Where user a may publish to
//
//	eventual.CLUSTER.*.a
//
// of those subjects and to nothing else under eventual, nobody but a is taken for a.
// Where it may subscribe to
//
//	eventual.CLUSTER.a.*
//
// alone there, nobody else gets what is sent to a. With allow_responses (a
// max of 4 or more, since a reply and signs of life go to the same inbox) instead of
// the right to publish to inboxes, nobody can answer who was not asked; and each
// needs an inbox prefix of its own (nats.CustomInboxPrefix) to which it alone may subscribe,
// so that no one else reads the replies. Without permissions a node is who it says it
// is.
//
// A node answers to whatever inbox it is given, as all do who serve requests on NATS.
//
// Names are written into subjects with what is no letter, digit, _ or - as = and two
// hexadecimal digits, and an empty one as =: "b.1" is b=2E1.
//
// # Bounds
//
// A message has at most MaxMessage bytes, and at most what the NATS server takes
// (max_payload, 1 MiB if not set otherwise) less 512: it is not sent in pieces, so that what it
// costs is known. At most MaxCalls are served at a time, with MaxBytes of requests; what
// is beyond either is refused at once, and is transport.ErrUnreachable to the caller. Of
// both, a node gets no more than it leaves free for others: alone it has half, of two that
// take all they get each has a third. A caller keeps a handler for three minutes at most
// without asking for it, whatever its KeepAlive.
//
// Requests and replies that have arrived and not been looked at are bounded by nats.go
// (64 MiB for each subscription); what is beyond is lost, and who waits for it learns that by asking.
// nats.go also holds what is sent while the connection to NATS is down; calls are not
// made then.
//
// # Concurrency
//
// A Transport is safe for concurrent use. Beside those of nats.go it runs two goroutines
// for each call being served, one of which is the handler's; none before Call or Serve is
// called, and none after Close has returned. No lock is held while a handler runs.
//
// # Errors
//
// As package transport says. Errors of nats.go are transport.ErrUnreachable too, and
// errors.Is finds them within. The option NoEcho of a connection keeps a node from calling
// itself.
//
// # Wire compatibility
//
// Version 1. The first byte of a message is the version, the second its kind. To a
// node: 1 request, then in uvarints the µs left (0: no deadline), the µs of KeepAlive
// and the bytes of a response that the caller takes, one byte length of the method and
// the method, and the request; 2 cancel; 3 are you serving this? To the inbox of a
// call: 16 and the response; 17, one byte code and the text of an error; 18 and 19, the
// limit and the size, uvarints, of a response and a request that is too large; 20 not
// served, or no longer; 21 and the text of a refusal; 22 still serving; 23 no such
// call. A call is named by its inbox and the node that makes it.
//
// # Testing
//
// The package passes transport/transporttest on an embedded server. For tests of what
// is built on it, transport/mem is faster and can misbehave.
package natstransport
