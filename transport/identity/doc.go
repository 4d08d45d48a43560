// Package identity says which node of which cluster a certificate is of, and keeps the
// credentials that nodes show one another. Package transport/tcp asks it, and whoever
// carries calls over a server that exists already, by HTTP or gRPC, has it asked there.
//
// # Smallest use
//
//	files := &identity.Files{Cert: "b.crt", Key: "b.key", CA: "cluster.crt"}
//	server := &http.Server{TLSConfig: identity.Server("example", files.Credentials)}
//	go server.ListenAndServeTLS("", "")
//
// A handler of it then has identity.Peer(r.TLS, "example") say which node it is that
// calls. A client of it:
//
//	client := &http.Client{Transport: &http.Transport{
//		TLSClientConfig: identity.Client("example", files.Credentials), ForceAttemptHTTP2: true}}
//
// # Guarantees
//
// A certificate is of a node if one of the cluster's authorities issued it, if it is
// valid now and for the side that shows it, and if it has the URI name
// eventual://cluster/node, as [NodeURI] writes it (in the words of openssl:
// subjectAltName=URI:eventual://example/b). So clusters may have one authority, and
// their nodes are still told apart. Names of hosts are neither asked nor believed.
//
// [Server] and [Client] speak TLS 1.3 without resumption, so each handshake proves all
// there is to prove, by the credentials of that moment: they may change while a program
// runs. Connections that there are already stay. What a peer may be asked to wait for, and
// how long, and how many connections there may be, is up to the server they are used in.
//
// # Concurrency
//
// All of it may be used by many goroutines at once.
//
// # Errors
//
// [*NameError] says that a certificate is not of the node that was asked for;
// [ErrUnverified] that nothing is proved at all.
package identity
