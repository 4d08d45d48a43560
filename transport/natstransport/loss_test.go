package natstransport_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/natstransport"
)

const soon = 20 * time.Millisecond // a KeepAlive for tests

func echo(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
	return req, nil
}

// block says that it has begun, and how its context has ended.
func block(started chan<- struct{}, ended chan<- error) transport.HandlerFunc {
	return func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
		started <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}
}

func newCaller(t *testing.T, s *server.Server) *natstransport.Transport {
	a := &natstransport.Transport{Conn: connect(t, s), Self: "a", KeepAlive: soon}
	t.Cleanup(func() { a.Close() })
	return a
}

// A node that is gone without a word is noticed by asking: NATS says that nobody
// serves it.
func TestNodeIsGoneWithoutAWord(t *testing.T) {
	s := runServer(t, server.Options{})
	a := newCaller(t, s)
	b := &natstransport.Transport{Conn: connect(t, s), Self: "b", Drain: time.Millisecond}
	started, ended, served := make(chan struct{}), make(chan error, 1), make(chan error, 1)
	begin(t, b, block(started, ended), served)
	called := make(chan error, 1)
	go func() {
		_, err := a.Call(t.Context(), "b", "m", nil)
		called <- err
	}()
	<-started
	b.Conn.Close()
	require.EqualError(t, <-called, `transport: unreachable: "b": nobody serves the node`)
	require.Equal(t, context.Canceled, <-ended)
	require.ErrorIs(t, <-served, nats.ErrConnectionClosed)
}

// A caller that is gone without a word does not ask: the handler's context ends.
func TestCallerIsGoneWithoutAWord(t *testing.T) {
	s := runServer(t, server.Options{})
	b := &natstransport.Transport{Conn: connect(t, s), Self: "b"}
	started, ended := make(chan struct{}), make(chan error, 1)
	serve(t, b, block(started, ended))
	a := newCaller(t, s)
	called := make(chan error, 1)
	go func() {
		_, err := a.Call(t.Context(), "b", "m", nil)
		called <- err
	}()
	<-started
	a.Conn.Close()
	require.Equal(t, context.Canceled, <-ended)
	require.ErrorIs(t, <-called, transport.ErrUnreachable)
}

// A call goes on for as long as both sides ask and answer.
func TestLongCallsAreKept(t *testing.T) {
	s := runServer(t, server.Options{})
	serve(t, &natstransport.Transport{Conn: connect(t, s), Self: "b"}, transport.HandlerFunc(
		func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
			select {
			case <-time.After(15 * soon):
			case <-ctx.Done():
			}
			return []byte("done"), ctx.Err()
		}))
	resp, err := newCaller(t, s).Call(t.Context(), "b", "m", nil)
	require.NoError(t, err)
	require.Equal(t, "done", string(resp))
}

// A node that is frozen, one that was started again, and one that speaks nonsense:
// calls end without a deadline.
func TestCallsEndWithoutDeadline(t *testing.T) {
	s := runServer(t, server.Options{})
	conn := connect(t, s)
	for node, say := range map[string][]byte{"frozen": nil, "again": {1, 23}, "nonsense": {1, 99}, "later": {2, 16}, "short": {1}, "refuses": {1, 21, 'n', 'o'}, "stops": {1, 20}} {
		_, err := conn.Subscribe("eventual.=."+node+".*", func(m *nats.Msg) {
			if say != nil && (node != "again" || m.Data[1] == 3) {
				_ = m.Respond(say)
			}
		})
		require.NoError(t, err)
	}
	require.NoError(t, conn.Flush())
	a := newCaller(t, s)
	for node, text := range map[transport.NodeID]string{"frozen": "no sign of life", "again": "serves no such call", "nonsense": "malformed",
		"later": "malformed", "short": "malformed", "refuses": `refused by the node: "no"`, "stops": "node is stopping"} {
		_, err := a.Call(context.Background(), node, "m", nil)
		require.ErrorIs(t, err, transport.ErrUnreachable)
		require.Contains(t, err.Error(), text)
	}
}

// Without NATS there are no calls, and with it again there are.
func TestConnectionIsLost(t *testing.T) {
	s := runServer(t, server.Options{})
	reconnected := make(chan struct{}, 1)
	lost := make(chan struct{}, 1)
	conn := connect(t, s, nats.ReconnectWait(time.Millisecond), nats.MaxReconnects(-1),
		nats.DisconnectErrHandler(func(*nats.Conn, error) { lost <- struct{}{} }),
		nats.ReconnectHandler(func(*nats.Conn) { reconnected <- struct{}{} }))
	a := &natstransport.Transport{Conn: conn, Self: "a"}
	serve(t, a, transport.HandlerFunc(echo))
	_, err := a.Call(t.Context(), "a", "m", nil)
	require.NoError(t, err)
	port := s.Addr().(*net.TCPAddr).Port
	s.Shutdown()
	s.WaitForShutdown()
	<-lost
	_, err = a.Call(t.Context(), "a", "m", nil)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	again, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true})
	require.NoError(t, err)
	again.Start()
	defer again.Shutdown()
	<-reconnected
	require.NoError(t, conn.Flush())
	_, err = a.Call(t.Context(), "a", "m", nil)
	require.NoError(t, err)
}
