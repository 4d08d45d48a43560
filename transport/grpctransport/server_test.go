package grpctransport_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/grpctransport"
)

func echo(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
	return req, nil
}

// newServer is node b, which echoes.
func newServer() *grpctransport.Server {
	return &grpctransport.Server{Self: "b", Handler: transport.HandlerFunc(echo)}
}

// serve serves s, or nothing, until the test ends, and returns a connection.
func serve(t testing.TB, s *grpctransport.Server, options ...grpc.ServerOption) *grpc.ClientConn {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(options...)
	if s != nil {
		s.Register(server)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln)
	}()
	conn, err := dial(ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		conn.Close()
		server.Stop()
		<-done
	})
	return conn
}

func client(t testing.TB, conn grpc.ClientConnInterface) *grpctransport.Client {
	c := &grpctransport.Client{Self: "a", Conns: map[transport.NodeID]grpc.ClientConnInterface{"b": conn}}
	t.Cleanup(func() { c.Close() })
	return c
}

func codeOf(t *testing.T, err error) codes.Code {
	t.Helper()
	require.ErrorIs(t, err, transport.ErrUnreachable)
	s, ok := status.FromError(err)
	require.True(t, ok)
	return s.Code()
}

func TestRefusals(t *testing.T) {
	conn := serve(t, newServer())
	say := func(change func(md metadata.MD)) codes.Code {
		md := metadata.Pairs("eventual-version", "1", "eventual-cluster", "", "eventual-from", "a", "eventual-to", "b", "eventual-method", "m", "eventual-limit", "10")
		change(md)
		ctx := metadata.NewOutgoingContext(t.Context(), md)
		err := conn.Invoke(ctx, "/eventual.transport.v1.Node/Call", &wrapperspb.BytesValue{Value: []byte("abc")}, new(wrapperspb.BytesValue))
		return status.Code(err)
	}
	for name, c := range map[string]struct {
		change func(md metadata.MD)
		code   codes.Code
	}{
		"nothing":         {func(metadata.MD) {}, codes.OK},
		"no version":      {func(md metadata.MD) { delete(md, "eventual-version") }, codes.InvalidArgument},
		"later version":   {func(md metadata.MD) { md.Set("eventual-version", "2") }, codes.InvalidArgument},
		"another cluster": {func(md metadata.MD) { md.Set("eventual-cluster", "x") }, codes.FailedPrecondition},
		"another node":    {func(md metadata.MD) { md.Set("eventual-to", "c") }, codes.FailedPrecondition},
		"no name":         {func(md metadata.MD) { md.Set("eventual-from", "") }, codes.InvalidArgument},
		"two names":       {func(md metadata.MD) { md.Set("eventual-from", "a,c") }, codes.InvalidArgument},
		"other escape":    {func(md metadata.MD) { md.Set("eventual-from", "%61") }, codes.InvalidArgument},
		"escape":          {func(md metadata.MD) { md.Set("eventual-method", "%zz") }, codes.InvalidArgument},
		"limit":           {func(md metadata.MD) { md.Set("eventual-limit", "4294967296") }, codes.InvalidArgument},
	} {
		require.Equal(t, c.code, say(c.change), name)
	}
	for _, key := range []string{"version", "cluster", "from", "to", "method", "limit"} {
		repeat := func(md metadata.MD) { md.Append("eventual-"+key, md.Get("eventual-" + key)[0]) }
		require.Equal(t, codes.InvalidArgument, say(repeat), "repeated %s", key)
	}
}

// A refusal reaches the caller with its reason, and so does what gRPC itself says: a
// server without the service knows no method of gRPC, which is not one of the node's.
func TestRefusalsAreTold(t *testing.T) {
	s := newServer()
	s.Cluster = "other"
	_, err := client(t, serve(t, s)).Call(t.Context(), "b", "m", nil)
	require.Equal(t, codes.FailedPrecondition, codeOf(t, err))
	require.Contains(t, err.Error(), `cluster "other"`)
	_, err = client(t, serve(t, nil)).Call(t.Context(), "b", "m", nil)
	require.Equal(t, codes.Unimplemented, codeOf(t, err))
	require.NotErrorIs(t, err, transport.ErrUnknownMethod)
}

// Who calls is who Peer says, and nobody else.
func TestPeerDecides(t *testing.T) {
	s := newServer()
	s.Peer = func(ctx context.Context) (transport.NodeID, error) {
		if token := metadata.ValueFromIncomingContext(ctx, "token"); len(token) == 1 {
			return transport.NodeID(token[0]), nil
		}
		return "a", errors.New("secret reasons")
	}
	c := client(t, serve(t, s))
	_, err := c.Call(metadata.AppendToOutgoingContext(t.Context(), "token", "a"), "b", "m", nil)
	require.NoError(t, err)
	for _, token := range []string{"c", ""} {
		_, err = c.Call(metadata.AppendToOutgoingContext(t.Context(), "token", token), "b", "m", nil)
		require.Equal(t, codes.PermissionDenied, codeOf(t, err))
	}
	_, err = c.Call(t.Context(), "b", "m", nil)
	require.Equal(t, codes.PermissionDenied, codeOf(t, err))
	require.NotContains(t, err.Error(), "secret")
}

// Interceptors see calls, by name, and the codes of what came of them; they may
// refuse a call, and what they put into its context the handler finds.
func TestInterceptors(t *testing.T) {
	type key struct{}
	var seen []codes.Code
	s := newServer()
	s.Handler = transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
		return []byte(ctx.Value(key{}).(string)), map[string]error{"unknown": transport.ErrUnknownMethod, "fails": errors.New("no")}[method]
	})
	c := client(t, serve(t, s, grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
		require.Equal(t, "/eventual.transport.v1.Node/Call", info.FullMethod)
		if metadata.ValueFromIncomingContext(ctx, "eventual-method")[0] == "forbidden" {
			return nil, status.Error(codes.Unauthenticated, "who are you?")
		}
		resp, err := next(context.WithValue(ctx, key{}, "traced"), req)
		seen = append(seen, status.Code(err))
		return resp, err
	})))
	resp, err := c.Call(t.Context(), "b", "m", nil)
	require.NoError(t, err)
	require.Equal(t, "traced", string(resp))
	_, err = c.Call(t.Context(), "b", "unknown", nil)
	require.ErrorIs(t, err, transport.ErrUnknownMethod)
	_, err = c.Call(t.Context(), "b", "fails", nil)
	require.Error(t, err)
	_, err = c.Call(t.Context(), "b", "forbidden", nil)
	require.Equal(t, codes.Unauthenticated, codeOf(t, err))
	require.Equal(t, []codes.Code{codes.OK, codes.Unimplemented, codes.Unknown}, seen)
}

// A gRPC server with a limit of its own says so by text alone; who calls learns that
// it was the size, and what would have fitted.
func TestOwnLimitOfTheServer(t *testing.T) {
	c := client(t, serve(t, newServer(), grpc.MaxRecvMsgSize(1000)))
	_, err := c.Call(t.Context(), "b", "m", make([]byte, 1000))
	e, ok := errors.AsType[*transport.TooLargeError](err)
	require.True(t, ok, err)
	require.Equal(t, "request", e.What)
	require.Equal(t, 1000, e.Size)
	_, err = c.Call(t.Context(), "b", "m", make([]byte, e.Limit))
	require.NoError(t, err)
}

// What a Client sends if not told otherwise, a server takes that was not told
// otherwise.
func TestDefaultLimitsFit(t *testing.T) {
	c := client(t, serve(t, newServer()))
	req := make([]byte, 4<<20-16)
	resp, err := c.Call(t.Context(), "b", "m", req)
	require.NoError(t, err)
	require.Len(t, resp, len(req))
	_, err = c.Call(t.Context(), "b", "m", append(req, 0))
	require.ErrorIs(t, err, transport.ErrTooLarge)
}

func TestCallsAreBounded(t *testing.T) {
	started, release := make(chan struct{}), make(chan struct{})
	s := &grpctransport.Server{Self: "b", MaxCalls: 1, Handler: transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		started <- struct{}{}
		<-release
		return nil, nil
	})}
	c := client(t, serve(t, s))
	done := make(chan error, 1)
	go func() {
		_, err := c.Call(t.Context(), "b", "m", nil)
		done <- err
	}()
	<-started
	_, err := c.Call(t.Context(), "b", "m", nil)
	require.Equal(t, codes.ResourceExhausted, codeOf(t, err))
	require.NotErrorIs(t, err, transport.ErrTooLarge)
	close(release)
	require.NoError(t, <-done)
}

func TestConnsMustBeKnown(t *testing.T) {
	c := &grpctransport.Client{Self: "a"}
	_, err := c.Call(t.Context(), "b", "m", nil)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	c = &grpctransport.Client{}
	_, err = c.Call(t.Context(), "b", "m", nil)
	require.Error(t, err)
	conn := serve(t, newServer())
	conn.Close()
	_, err = client(t, conn).Call(t.Context(), "b", "m", nil)
	require.ErrorIs(t, err, transport.ErrUnreachable)
}
