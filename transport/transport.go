package transport

import (
	"context"
)

// NodeID names one node of a cluster. It is opaque to this package: any string
// that is not empty and has at most [MaxName] bytes will do, as long as all nodes
// of the cluster mean the same node by it.
type NodeID string

// MaxName is the most bytes that a NodeID, a method or the name of a cluster may
// have.
const MaxName = 255

// A Caller calls methods of other nodes. Implementations are safe for concurrent
// use.
type Caller interface {
	// Call has the node to run method with req, and returns its response.
	//
	// It returns the error of ctx, untouched, as soon as ctx is over; the handler at
	// the other side then sees its own context end. Without a deadline a call to a
	// node that stopped answering waits until the transport notices, if it ever does.
	//
	// Call neither changes req nor keeps it after it has returned. The response
	// belongs to the one who called. A response of no bytes is nil or empty: the two
	// are not told apart.
	Call(ctx context.Context, to NodeID, method string, req []byte) (resp []byte, err error)
}

// A Handler answers calls from other nodes. Implementations are safe for
// concurrent use.
type Handler interface {
	// ServeCall answers one call of method by the node from.
	//
	// Its ctx ends when the caller's does, when the connection to the caller is lost,
	// or when this node is stopped; it carries the caller's deadline, and none of the
	// caller's values.
	//
	// req is valid until ServeCall returns, and is overwritten afterwards: what is to
	// be kept of it must be copied. The response may be a part of req. After ServeCall
	// has returned it is only read, and must not be changed by anyone.
	//
	// An error reaches the caller as a *RemoteError with the error's text, cut to
	// MaxErrorText bytes. A panic reaches it as a RemoteError too.
	ServeCall(ctx context.Context, from NodeID, method string, req []byte) (resp []byte, err error)
}

// A HandlerFunc is a function used as a [Handler].
type HandlerFunc func(ctx context.Context, from NodeID, method string, req []byte) (resp []byte, err error)

// ServeCall calls f.
func (f HandlerFunc) ServeCall(ctx context.Context, from NodeID, method string, req []byte) ([]byte, error) {
	return f(ctx, from, method, req)
}
