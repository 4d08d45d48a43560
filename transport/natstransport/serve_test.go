package natstransport_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/natstransport"
)

// The permissions of NATS prove who calls: what m publishes as a does not arrive, and
// it is neither asked in the place of b nor does it hear what others are answered.
func TestPermissionsProveWhoCalls(t *testing.T) {
	s := runServer(t, server.Options{Users: []*server.User{user("a"), user("b"), user("m")}})
	denied := make(chan error, 10)
	node := func(user, self string) *natstransport.Transport {
		conn := connect(t, s, nats.UserInfo(user, "x"), nats.CustomInboxPrefix("_INBOX_"+user),
			nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
		tr := &natstransport.Transport{Conn: conn, Self: transport.NodeID(self), Cluster: "c", KeepAlive: soon}
		t.Cleanup(func() { tr.Close() })
		return tr
	}
	serve(t, node("b", "b"), transport.HandlerFunc(func(_ context.Context, from transport.NodeID, _ string, _ []byte) ([]byte, error) {
		return []byte("hello, " + from), nil
	}))
	for _, honest := range []string{"a", "m"} {
		resp, err := node(honest, honest).Call(t.Context(), "b", "m", nil)
		require.NoError(t, err)
		require.Equal(t, "hello, "+honest, string(resp))
	}
	_, err := node("m", "a").Call(t.Context(), "b", "m", nil)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.ErrorIs(t, <-denied, nats.ErrPermissionViolation)
	m := node("m", "m").Conn
	for _, subject := range []string{"eventual.c.b.*", "eventual.c.*.a", "_INBOX_a.>", ">"} {
		_, err := m.SubscribeSync(subject)
		require.NoError(t, err)
		require.NoError(t, m.Flush())
		require.ErrorIs(t, <-denied, nats.ErrPermissionViolation)
	}
}

// Nodes of different clusters, or with another prefix, do not meet.
func TestClustersDoNotMix(t *testing.T) {
	s := runServer(t, server.Options{})
	serve(t, &natstransport.Transport{Conn: connect(t, s), Self: "b", Cluster: "one"}, transport.HandlerFunc(echo))
	for cluster, prefix := range map[string]string{"two": "", "one": "other", "o.e": "", "*": "", ">": ""} {
		a := &natstransport.Transport{Conn: connect(t, s), Self: "a", Cluster: cluster, Prefix: prefix}
		_, err := a.Call(t.Context(), "b", "m", nil)
		require.ErrorIs(t, err, transport.ErrUnreachable)
		require.NoError(t, a.Close())
	}
	a := &natstransport.Transport{Conn: connect(t, s), Self: "a", Cluster: "one"}
	defer a.Close()
	for _, to := range []transport.NodeID{"*", ">", "b.x", "*.*"} {
		_, err := a.Call(t.Context(), to, "m", nil)
		require.ErrorIs(t, err, transport.ErrUnreachable)
	}
}

// Whatever the name of a node is, it is called by it, and known by it.
func TestNamesOfAnyBytes(t *testing.T) {
	s := runServer(t, server.Options{})
	for _, id := range []transport.NodeID{"a.b", "*", ">", "a b", "é", "\x00\xff", "=", "=2A", "_-", transport.NodeID(strings.Repeat(".", transport.MaxName))} {
		tr := &natstransport.Transport{Conn: connect(t, s), Self: id, Cluster: string(id)}
		serve(t, tr, transport.HandlerFunc(func(_ context.Context, from transport.NodeID, _ string, _ []byte) ([]byte, error) {
			return []byte(from), nil
		}))
		resp, err := tr.Call(t.Context(), id, "m", nil)
		require.NoError(t, err)
		require.Equal(t, string(id), string(resp))
	}
}

// What the NATS server does not take is refused before it is sent, and so is a
// response; the connection stays.
func TestMaxPayloadIsALimit(t *testing.T) {
	s := runServer(t, server.Options{MaxPayload: 4096})
	conn := connect(t, s)
	b := &natstransport.Transport{Conn: conn, Self: "b"}
	serve(t, b, transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
		if method == "grow" {
			return make([]byte, 4096-511), nil
		}
		return req, nil
	}))
	resp, err := b.Call(t.Context(), "b", strings.Repeat("m", 255), make([]byte, 4096-512))
	require.NoError(t, err)
	require.Len(t, resp, 4096-512)
	_, err = b.Call(t.Context(), "b", "m", make([]byte, 4096-511))
	require.Equal(t, &transport.TooLargeError{What: "request", Limit: 4096 - 512, Size: 4096 - 511}, err)
	_, err = b.Call(t.Context(), "b", "grow", nil)
	require.Equal(t, &transport.TooLargeError{What: "response", Limit: 4096 - 512, Size: 4096 - 511}, err)
	require.Zero(t, conn.Stats().Reconnects)
}

// A node with a smaller limit says so.
func TestSmallerLimitHolds(t *testing.T) {
	s := runServer(t, server.Options{})
	serve(t, &natstransport.Transport{Conn: connect(t, s), Self: "b", MaxMessage: 100}, transport.HandlerFunc(echo))
	a := newCaller(t, s)
	_, err := a.Call(t.Context(), "b", "m", make([]byte, 101))
	require.Equal(t, &transport.TooLargeError{What: "request", Limit: 100, Size: 101}, err)
}

func TestRoomIsBounded(t *testing.T) {
	s := runServer(t, server.Options{})
	b := &natstransport.Transport{Conn: connect(t, s), Self: "b", MaxCalls: 2, MaxMessage: 1000, MaxBytes: 1}
	started, ended := make(chan struct{}), make(chan error, 2)
	held := block(started, ended)
	serve(t, b, transport.HandlerFunc(func(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
		if method == "hold" {
			return held(ctx, from, method, req)
		}
		return req, nil
	}))
	a := newCaller(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	c := &natstransport.Transport{Conn: a.Conn, Self: "c"}
	defer c.Close()
	for _, from := range []*natstransport.Transport{a, c} {
		go from.Call(ctx, "b", "hold", nil)
		<-started
	}
	_, err := a.Call(t.Context(), "b", "m", nil)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.Contains(t, err.Error(), "too many calls")
	cancel()
	<-ended
	<-ended
	require.Eventually(t, func() bool {
		_, err := a.Call(t.Context(), "b", "m", nil)
		return err == nil
	}, time.Minute, time.Millisecond)
	ctx, cancel = context.WithCancel(t.Context())
	go a.Call(ctx, "b", "hold", make([]byte, 1000)) // one always has room
	<-started
	for range 3 {
		_, err = c.Call(t.Context(), "b", "m", make([]byte, 1000))
		require.ErrorContains(t, err, "too many bytes")
	}
	cancel()
	<-ended
	require.Eventually(t, func() bool {
		_, err := c.Call(t.Context(), "b", "m", make([]byte, 1000))
		return err == nil
	}, time.Minute, time.Millisecond)
}

func TestServeOnce(t *testing.T) {
	s := runServer(t, server.Options{})
	b := &natstransport.Transport{Conn: connect(t, s), Self: "b"}
	serve(t, b, nil)
	require.Error(t, b.Serve(t.Context(), nil))
	require.NoError(t, b.Close())
	require.Equal(t, transport.ErrClosed, b.Serve(t.Context(), nil))
	require.Error(t, new(natstransport.Transport).Serve(t.Context(), nil))
	_, err := new(natstransport.Transport).Call(t.Context(), "b", "m", nil)
	require.Error(t, err)
	require.NoError(t, new(natstransport.Transport).Close())
	again := &natstransport.Transport{Conn: b.Conn, Self: "b"}
	for range 3 { // one after the other is fine
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- again.Serve(ctx, nil) }()
		cancel()
		require.NoError(t, <-done)
	}
}

// What is no call is answered or dropped, and does no harm.
func TestStrangersMessages(t *testing.T) {
	s := runServer(t, server.Options{})
	serve(t, &natstransport.Transport{Conn: connect(t, s), Self: "b"}, transport.HandlerFunc(echo))
	conn := connect(t, s)
	for _, subject := range []string{"eventual.=.b.a", "eventual.=.b.=", "eventual.=.b.=2", "eventual.=.b.=61", "eventual.=.b." + strings.Repeat("x", 256)} {
		for _, data := range []string{"", "\x01", "\x01\x01", "\x02\x01\x00", "\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x01\x02", "\x01\x03"} {
			require.NoError(t, conn.PublishRequest(subject, "nobody.listens", []byte(data)))
			require.NoError(t, conn.Publish(subject, []byte(data)))
		}
	}
	require.NoError(t, conn.Flush())
	resp, err := newCaller(t, s).Call(t.Context(), "b", "m", []byte("still here"))
	require.NoError(t, err)
	require.Equal(t, "still here", string(resp))
}
