// Package grpctransport carries the calls of package transport over gRPC, for
// services that have a server already: [Server] is registered beside what else it
// offers, under its credentials, interceptors and limits, and [Client] calls over
// the connections it is given. Where there is no gRPC yet, transport/tcp costs a
// fraction.
//
// # Smallest use
//
//	b := &grpctransport.Server{Self: "b", Cluster: "example", Handler: handler}
//	b.Register(grpcServer)
//
//	a := &grpctransport.Client{Self: "a", Cluster: "example", Conns: map[transport.NodeID]grpc.ClientConnInterface{"b": conn}}
//	resp, err := a.Call(ctx, "b", "greet/hello", []byte("hi"))
//
// # Guarantees
//
// A request is delivered at most once, unless the connection was given a retry
// policy for the service: then as often as that says. A call that is given up ends
// its handler's context, and the deadline is gRPC's own. A connection that cannot be
// made fails calls at once, unless its calls are to wait for it (WaitForReady).
//
// # Who calls
//
// A request says which node and cluster it is from and for. Another cluster's, and
// another node's, are refused. That is against mistakes and proves nothing: have
// [Server.Peer] return the node that the credentials of the connection, or an
// interceptor, have proved. Who answers is for the credentials of the Client's
// connection to prove.
//
// Package transport/identity does both by certificates that name a node and its cluster,
// as transport/tcp uses them: identity.Server and identity.Client are the configs of TLS
// for credentials.NewTLS, which let nobody in but nodes of the cluster, identity.Peer and
// identity.Check say which. The example of Server has it all. A name of a host in a
// certificate proves neither a node nor its cluster: the same authority may have issued
// others like it.
//
// # Bounds
//
// Messages are bounded by MaxMessage both ways, calls being served by MaxCalls:
// further ones are refused at once with ResourceExhausted, and are
// transport.ErrUnreachable to the caller. A node gets no more places than it leaves
// free for others: alone it has half, of two that take all they get each has a third.
// That is by the names of nodes, so where there is no Peer, one who makes up names gets
// all.
//
// Before that, gRPC has the requests in memory, and after it the responses, for as long
// as the caller does not take them: set grpc.MaxRecvMsgSize, grpc.MaxConcurrentStreams
// (which is not bounded if not set), grpc.MaxHeaderListSize (16 MiB if not set),
// grpc.ConnectionTimeout and grpc.KeepaliveParams (which ends connections of which
// nothing is read), and bound the connections by the listener.
//
// # Concurrency
//
// Client and Server are safe for concurrent use. Beside those of gRPC, a call being
// served has one goroutine; none is left when it is answered. No lock is held while
// a handler, Peer or Resolve runs.
//
// # Errors
//
// As package transport says. What gRPC, an interceptor or the refusing node says
// instead of the handler is transport.ErrUnreachable, with the status inside:
// google.golang.org/grpc/status.FromError finds it. A request over the server's own
// grpc.MaxRecvMsgSize is a [*transport.TooLargeError].
//
// # Wire compatibility
//
// Version 1: the unary method Call of service eventual.transport.v1.Node, from
// google.protobuf.BytesValue to the same, so that no generated code, codec or
// descriptor is registered. Metadata: eventual-version (1), -cluster, -from, -to,
// -method (those escaped as in a path of a URL, and no more than must be) and -limit (bytes of a response that
// the caller takes). The trailer eventual-status says that a status is the node's:
// "failed" with eventual-code, when the handler returned an error, whose text is the
// status' message and whose code UNIMPLEMENTED (unknown method), RESOURCE_EXHAUSTED
// (too large), PERMISSION_DENIED (code 3) or UNKNOWN; "request-too-large" and
// "response-too-large" with eventual-limit and -size; "refused".
//
// # Testing
//
// The package passes transport/transporttest. For tests of what is built on it,
// transport/mem is faster and can misbehave.
package grpctransport
