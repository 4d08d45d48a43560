package grpctransport

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// A Client is a [transport.Caller] over gRPC. Its fields must not be changed after
// the first use, and it must not be copied. It is safe for concurrent use.
type Client struct {
	// Self is the name of this node. It must be set.
	Self transport.NodeID

	// Cluster is the name of the cluster, as nodes of another one are refused. The
	// empty name is a name like any other.
	Cluster string

	// Conns holds the connections to nodes. They are the caller's: with its
	// credentials and interceptors, and to be closed by it. For when a node is tried
	// again after it could not be reached see grpc.WithConnectParams: it is up to two
	// minutes if not said otherwise.
	Conns map[transport.NodeID]grpc.ClientConnInterface

	// Resolve returns the connection to a node, for each call. If nil, Conns is used;
	// otherwise Conns is not. Its error is kept within that of the call, which is
	// transport.ErrUnreachable too.
	Resolve func(ctx context.Context, id transport.NodeID) (grpc.ClientConnInterface, error)

	// MaxMessage is the most bytes that a request or a response may have, at most 1
	// GiB. If zero, 4 MiB less 16 bytes, which is what a gRPC server takes that was not
	// told otherwise. Between Client and Server the smaller limit holds.
	MaxMessage int

	calls carry.Calls
}

var errSelf = errors.New("grpctransport: Self must have 1 to 255 bytes, and Cluster no more")

// Call calls method of another node, or of this one. What metadata the context has
// for outgoing calls goes along, for interceptors. See [transport.Caller].
func (c *Client) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	return c.calls.Do(ctx, func(ctx context.Context) ([]byte, error) {
		if c.Self == "" || len(c.Self) > transport.MaxName || len(c.Cluster) > transport.MaxName {
			return nil, errSelf
		}
		limit := maxMessageOf(c.MaxMessage)
		if err := transport.CheckCall(to, method, req, limit); err != nil {
			return nil, err
		}
		conn, err := c.conn(ctx, to)
		if err != nil {
			return nil, err
		}
		return call(ctx, conn, &head{c.Cluster, c.Self, to, method, limit}, req)
	})
}

// Close ends the calls under way, which may have run, with transport.ErrUnreachable,
// has all later ones fail with transport.ErrClosed, and returns when the last has
// returned. The connections stay. It returns nil, also when called again.
func (c *Client) Close() error {
	c.calls.Close()
	return nil
}

func (c *Client) conn(ctx context.Context, to transport.NodeID) (grpc.ClientConnInterface, error) {
	conn := c.Conns[to]
	if c.Resolve != nil {
		var err error
		if conn, err = c.Resolve(ctx, to); err != nil {
			return nil, carry.Unreachable(to, err)
		}
	}
	if conn == nil {
		return nil, fmt.Errorf("%w: no connection to %q", transport.ErrUnreachable, to)
	}
	return conn, nil
}

// call makes one call. gRPC has encoded the request when Invoke returns, and does
// not look at it again.
func call(ctx context.Context, conn grpc.ClientConnInterface, q *head, req []byte) ([]byte, error) {
	var trailer metadata.MD
	var out wrapperspb.BytesValue
	err := conn.Invoke(metadata.AppendToOutgoingContext(ctx, q.pairs()...), fullMethod,
		&wrapperspb.BytesValue{Value: req}, &out, grpc.Trailer(&trailer),
		grpc.MaxCallSendMsgSize(len(req)+envelope), grpc.MaxCallRecvMsgSize(q.accepts+envelope))
	switch {
	case err != nil:
		return nil, outcome(err, trailer, q, len(req))
	case len(out.Value) > q.accepts:
		return nil, &transport.TooLargeError{What: "response", Limit: q.accepts, Size: len(out.Value)}
	}
	return out.Value, nil
}
