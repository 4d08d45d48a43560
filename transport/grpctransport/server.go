package grpctransport

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/internal/carry"
)

// A Server answers the calls of a [Client] at a gRPC server. Its fields must not be
// changed after Register, and it must not be copied. It is safe for concurrent use.
//
// It stops with the gRPC server: GracefulStop lets running calls finish, and Stop
// ends their contexts.
type Server struct {
	// Self is the name of this node, and Cluster that of the cluster. Calls for
	// another node, and from another cluster, are refused. Self must be set; without it
	// all calls are.
	Self    transport.NodeID
	Cluster string

	// Handler answers the calls. Its contexts are those of gRPC, with what
	// interceptors have put there, and the caller's deadline. If nil, it knows no
	// method.
	Handler transport.Handler

	// Peer returns who calls, by what gRPC (google.golang.org/grpc/peer) or an
	// interceptor has proved. Its error refuses the call, and is not told; a node that
	// says in its metadata that it is another one is refused too. If nil, a node is who
	// it says it is: then only let in whom you trust.
	Peer func(ctx context.Context) (transport.NodeID, error)

	// MaxMessage is the most bytes that a request or a response may have, at most 1
	// GiB. If zero, 4 MiB less 16 bytes, which is what a gRPC server takes that was not
	// told otherwise. Between Client and Server the smaller limit holds.
	MaxMessage int

	// MaxCalls is how many calls may be running at a time, of all nodes together.
	// Further ones are refused, and so are those of a node that has as many as are left
	// for others: alone, one gets half. If zero, 1024.
	MaxCalls int

	calls carry.Room
}

// Register offers the service eventual.transport.v1.Node, once for each gRPC server
// and before it serves.
func (s *Server) Register(r grpc.ServiceRegistrar) { r.RegisterService(&description, s) }

type serviceServer interface {
	call(ctx context.Context, req *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error)
}

var description = grpc.ServiceDesc{
	ServiceName: service,
	HandlerType: (*serviceServer)(nil),
	Methods:     []grpc.MethodDesc{{MethodName: callMethod, Handler: serve}},
	Metadata:    service,
}

// serve is how gRPC calls a method: it decodes, and has interceptors go first.
func serve(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	in := new(wrapperspb.BytesValue)
	if err := decode(in); err != nil {
		return nil, err
	}
	call := func(ctx context.Context, req any) (any, error) {
		in, ok := req.(*wrapperspb.BytesValue)
		if !ok {
			return nil, status.Errorf(codes.Internal, "an interceptor made the request a %T", req)
		}
		return srv.(serviceServer).call(ctx, in)
	}
	if interceptor == nil {
		return call(ctx, in)
	}
	return interceptor(ctx, in, &grpc.UnaryServerInfo{Server: srv, FullMethod: fullMethod}, call)
}

func (s *Server) call(ctx context.Context, in *wrapperspb.BytesValue) (*wrapperspb.BytesValue, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	q, err := readHead(md)
	if err != nil {
		return nil, refuse(ctx, codes.InvalidArgument, err.Error())
	}
	if err := s.admit(ctx, &q); err != nil {
		return nil, err
	}
	if limit := s.maxMessage(); len(in.Value) > limit {
		return nil, tooLarge(ctx, statusRequestTooLarge, limit, len(in.Value))
	}
	if !s.calls.Take(q.from, 1, 1, cmp.Or(max(s.MaxCalls, 0), 1024)) {
		return nil, refuse(ctx, codes.ResourceExhausted, "too many calls at a time")
	}
	defer s.calls.Give(q.from, 1)
	resp, err := carry.Serve(ctx, s.Handler, q.from, q.method, in.Value)
	if err != nil {
		return nil, failed(ctx, transport.NewRemoteError(q.method, err))
	}
	if limit := min(s.maxMessage(), q.accepts); len(resp) > limit {
		return nil, tooLarge(ctx, statusResponseTooLarge, limit, len(resp))
	}
	return &wrapperspb.BytesValue{Value: resp}, nil
}

// admit returns why a call is refused, if it is.
func (s *Server) admit(ctx context.Context, q *head) error {
	switch {
	case q.from == "":
		return refuse(ctx, codes.InvalidArgument, "the node that calls has no name")
	case s.Self == "" || q.to != s.Self || q.cluster != s.Cluster:
		text := fmt.Sprintf("this is node %q of cluster %q, not %q of %q", s.Self, s.Cluster, q.to, q.cluster)
		return refuse(ctx, codes.FailedPrecondition, text)
	case !s.proved(ctx, q.from):
		return refuse(ctx, codes.PermissionDenied, "the node that calls is not who it says")
	}
	return nil
}

func (s *Server) proved(ctx context.Context, from transport.NodeID) bool {
	if s.Peer == nil {
		return true
	}
	peer, err := s.Peer(ctx)
	return err == nil && peer == from
}

func (s *Server) maxMessage() int { return maxMessageOf(s.MaxMessage) }

func maxMessageOf(n int) int { return min(cmp.Or(max(n, 0), 4<<20-envelope), carry.MaxNumber) }

// failed returns what a handler's error is on the wire.
func failed(ctx context.Context, e *transport.RemoteError) error {
	return say(ctx, codeOf(e.Code), e.Message, keyStatus, statusFailed, keyCode, strconv.Itoa(int(e.Code)))
}

func refuse(ctx context.Context, code codes.Code, text string) error {
	return say(ctx, code, text, keyStatus, statusRefused)
}

func tooLarge(ctx context.Context, what string, limit, size int) error {
	text := fmt.Sprintf("%d bytes are over the limit of %d", size, limit)
	return say(ctx, codes.ResourceExhausted, text, keyStatus, what, keyLimit, strconv.Itoa(limit), keySize, strconv.Itoa(size))
}

// say returns a status, and has the trailer say that it is the node's.
func say(ctx context.Context, code codes.Code, text string, trailer ...string) error {
	if err := grpc.SetTrailer(ctx, metadata.Pairs(trailer...)); err != nil {
		return status.Errorf(codes.Internal, "%v: %s", err, text)
	}
	return status.Error(code, text)
}
