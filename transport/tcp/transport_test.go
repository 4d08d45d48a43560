package tcp_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
)

var echoer = transport.HandlerFunc(echo)

func bounded(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// pair serves h at b, and returns both ends; configure may be nil.
func pair(t *testing.T, h transport.Handler, configure func(a, b *tcp.Transport)) (a, b *tcp.Transport) {
	ln := listen(t, "127.0.0.1:0")
	b = &tcp.Transport{Self: "b", Plain: true}
	a = &tcp.Transport{Self: "a", Plain: true, Peers: map[transport.NodeID]string{"b": ln.Addr().String()}}
	if configure != nil {
		configure(a, b)
	}
	serve(t, b, ln, h)
	t.Cleanup(func() { a.Close() })
	return a, b
}

func TestManyCallsShareOneConnection(t *testing.T) {
	a, b := pair(t, echoer, nil)
	var group sync.WaitGroup
	for range 100 {
		group.Go(func() {
			_, err := a.Call(bounded(t), "b", "m", []byte("x"))
			assert.NoError(t, err)
		})
	}
	group.Wait()
	require.Equal(t, uint64(1), a.Stats().Dialed)
	require.Equal(t, uint64(1), b.Stats().Accepted)
}

func TestHandshakeRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		configure func(a, b *tcp.Transport)
		reason    tcp.Reason
		says      string
	}{
		"cluster": {func(a, b *tcp.Transport) { a.Cluster, b.Cluster = "blue", "green" }, tcp.ReasonCluster, `it is of cluster "green", this node of "blue"`},
		"node":    {func(a, b *tcp.Transport) { b.Self = "x" }, tcp.ReasonNode, `it is node "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t, echoer, c.configure)
			_, err := a.Call(bounded(t), "b", "m", nil)
			require.ErrorIs(t, err, transport.ErrUnreachable)
			refused, ok := errors.AsType[*tcp.HandshakeError](err)
			require.True(t, ok, err)
			require.Equal(t, c.reason, refused.Reason)
			require.ErrorContains(t, refused, c.says)
			require.Equal(t, a.Peers["b"], refused.Addr)
			require.Zero(t, b.Stats().Accepted)
		})
	}
}

func TestSelfMustBeSet(t *testing.T) {
	a := &tcp.Transport{Peers: map[transport.NodeID]string{"b": "127.0.0.1:1"}}
	_, err := a.Call(t.Context(), "b", "m", nil)
	require.ErrorContains(t, err, "Self")
	require.ErrorContains(t, a.Serve(t.Context(), listen(t, "127.0.0.1:0"), echoer), "Self")
	require.NoError(t, a.Close())
}

func TestResolve(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	b := &tcp.Transport{Self: "b", Plain: true}
	serve(t, b, ln, echoer)
	a := &tcp.Transport{Self: "a", Plain: true, Resolve: func(_ context.Context, id transport.NodeID) (string, error) {
		if id != "b" {
			return "", errors.New("never heard of it")
		}
		return ln.Addr().String(), nil
	}}
	defer a.Close()
	_, err := a.Call(bounded(t), "b", "m", nil)
	require.NoError(t, err)
	_, err = a.Call(bounded(t), "c", "m", nil)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.ErrorContains(t, err, "never heard of it")
}

type lookupError struct{ id transport.NodeID }

func (e *lookupError) Error() string { return "cannot look up " + string(e.id) }

// What Resolve said can be told from the error of the call, but is not taken for
// what became of the call itself.
func TestResolveErrorIsKept(t *testing.T) {
	mine := errors.New("mine")
	a := &tcp.Transport{Self: "a", Plain: true, Resolve: func(_ context.Context, id transport.NodeID) (string, error) {
		return "", errors.Join(&lookupError{id}, mine, context.DeadlineExceeded, context.Canceled,
			transport.ErrClosed, transport.ErrUnknownMethod, transport.ErrDenied, &transport.RemoteError{}, &transport.TooLargeError{})
	}}
	defer a.Close()
	for range 3 { // also those that fail fast
		_, err := a.Call(bounded(t), "b", "m", nil)
		require.ErrorIs(t, err, transport.ErrUnreachable)
		require.ErrorIs(t, err, mine)
		lookup, ok := errors.AsType[*lookupError](err)
		require.True(t, ok)
		require.Equal(t, transport.NodeID("b"), lookup.id)
		for _, not := range []error{context.DeadlineExceeded, context.Canceled, transport.ErrClosed, transport.ErrUnknownMethod, transport.ErrTooLarge, transport.ErrDenied} {
			require.NotErrorIs(t, err, not)
		}
		_, ok = errors.AsType[*transport.RemoteError](err)
		require.False(t, ok)
		_, ok = errors.AsType[*transport.TooLargeError](err)
		require.False(t, ok)
	}
}

// A node that cannot be reached is not dialled at every call.
func TestBackoffFailsFast(t *testing.T) {
	var dials atomic.Int32
	a := &tcp.Transport{Self: "a", Plain: true, MaxBackoff: time.Hour, Resolve: func(context.Context, transport.NodeID) (string, error) {
		dials.Add(1)
		return "", errors.New("no address")
	}}
	defer a.Close()
	for range 10_000 {
		_, err := a.Call(t.Context(), "b", "m", nil)
		require.ErrorIs(t, err, transport.ErrUnreachable)
	}
	require.Less(t, dials.Load(), int32(20))
}

// The limit between two nodes is the smaller one, in both directions, and what is
// over it is reported to the caller before anything is sent, never dropped.
func TestTrap28_TooLargeIsReported(t *testing.T) {
	double := transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
		return bytes.Repeat(req, 2), nil
	})
	for name, configure := range map[string]func(a, b *tcp.Transport){
		"caller's limit":  func(a, b *tcp.Transport) { a.MaxFrame = 2000 },
		"handler's limit": func(a, b *tcp.Transport) { b.MaxFrame = 2000 },
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := pair(t, double, configure)
			for size, what := range map[int]string{2001: "request", 1001: "response"} {
				_, err := a.Call(bounded(t), "b", "m", make([]byte, size))
				tooLarge, ok := errors.AsType[*transport.TooLargeError](err)
				require.True(t, ok, err)
				require.Equal(t, what, tooLarge.What)
				require.Equal(t, 2000, tooLarge.Limit)
			}
			resp, err := a.Call(bounded(t), "b", "m", make([]byte, 1000))
			require.NoError(t, err)
			require.Len(t, resp, 2000)
			require.Equal(t, uint64(1), a.Stats().Dialed)
		})
	}
}

// No more calls run at a time than MaxCalls; the others wait for their turn.
func TestMaxCallsWait(t *testing.T) {
	var running, most atomic.Int32
	gate := make(chan struct{}, 100)
	a, _ := pair(t, transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		<-gate
		return nil, nil
	}), func(a, b *tcp.Transport) { b.MaxCalls = 3 })
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			_, err := a.Call(bounded(t), "b", "m", nil)
			assert.NoError(t, err)
		})
	}
	for range 50 {
		gate <- struct{}{}
	}
	group.Wait()
	require.LessOrEqual(t, most.Load(), int32(3))
}

// awaitEnd reads until the other side has closed the connection.
func awaitEnd(t *testing.T, conn net.Conn) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	buf := make([]byte, 4096)
	for {
		if _, err := conn.Read(buf); err != nil {
			var timeout net.Error
			require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "not closed")
			return
		}
	}
}

// Connections that say nothing, or rubbish, are ended within the handshake's time,
// and honest nodes are served meanwhile.
func TestStrangersAreDropped(t *testing.T) {
	a, b := pair(t, echoer, func(a, b *tcp.Transport) { b.HandshakeTimeout = 200 * time.Millisecond })
	var conns []net.Conn
	for _, says := range []string{"", "GET / HTTP/1.1\r\nHost: b\r\n\r\n", "eventual", "eventual\xff\xff", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "eventual\x00\x03\x01\x01\x00"} {
		for range 20 {
			conn, err := net.Dial("tcp", a.Peers["b"])
			require.NoError(t, err)
			defer conn.Close()
			conn.Write([]byte(says))
			conns = append(conns, conn)
		}
	}
	for range 100 {
		_, err := a.Call(bounded(t), "b", "m", []byte("honest"))
		require.NoError(t, err)
	}
	for _, conn := range conns {
		awaitEnd(t, conn)
	}
	require.Equal(t, uint64(len(conns)), b.Stats().Refused)
	require.Equal(t, uint64(1), b.Stats().Accepted)
}

// A node whose kernel takes connections but which does not answer costs a call no
// more than its own deadline, or the handshake's.
func TestSilentNode(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	defer ln.Close()
	a := &tcp.Transport{Self: "a", Plain: true, HandshakeTimeout: 100 * time.Millisecond, Peers: map[transport.NodeID]string{"b": ln.Addr().String()}}
	defer a.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := a.Call(ctx, "b", "m", nil)
	require.Equal(t, context.DeadlineExceeded, err)
	_, err = a.Call(bounded(t), "b", "m", nil)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.NotErrorIs(t, err, context.DeadlineExceeded)
	refused, ok := errors.AsType[*tcp.HandshakeError](err)
	require.True(t, ok, err)
	require.Equal(t, tcp.ReasonTimeout, refused.Reason)
}

// Calls that are running when a node stops get Drain to finish, at both ends.
func TestDrain(t *testing.T) {
	for name, stop := range map[string]func(a, b *tcp.Transport, cancel func()){
		"Serve's context": func(a, b *tcp.Transport, cancel func()) { cancel() },
		"server's Close":  func(a, b *tcp.Transport, cancel func()) { go b.Close() },
		"caller's Close":  func(a, b *tcp.Transport, cancel func()) { go a.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			started, release := make(chan struct{}), make(chan struct{})
			h := transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
				close(started)
				<-release
				return []byte("finished"), ctx.Err()
			})
			ln := listen(t, "127.0.0.1:0")
			a := &tcp.Transport{Self: "a", Plain: true, Drain: time.Minute, Peers: map[transport.NodeID]string{"b": ln.Addr().String()}}
			b := &tcp.Transport{Self: "b", Plain: true, Drain: time.Minute}
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			served, called := make(chan error, 1), make(chan string, 1)
			go func() { served <- b.Serve(ctx, ln, h) }()
			go func() {
				resp, err := a.Call(bounded(t), "b", "m", nil)
				assert.NoError(t, err)
				called <- string(resp)
			}()
			<-started
			stop(a, b, cancel)
			until(t, func() bool { // no new calls
				short, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err := a.Call(short, "b", "m", nil)
				return errors.Is(err, transport.ErrUnreachable) || errors.Is(err, transport.ErrClosed)
			})
			close(release)
			require.Equal(t, "finished", <-called)
			cancel()
			require.NoError(t, a.Close())
			require.NoError(t, b.Close())
			require.NoError(t, <-served)
		})
	}
}

// Handlers that do not finish within Drain see their contexts end.
func TestDrainIsBounded(t *testing.T) {
	started := make(chan struct{})
	a, b := pair(t, transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
		close(started)
		<-ctx.Done()
		return nil, ctx.Err()
	}), func(a, b *tcp.Transport) { b.Drain = time.Millisecond })
	called := make(chan error, 1)
	go func() {
		_, err := a.Call(bounded(t), "b", "m", nil)
		called <- err
	}()
	<-started
	require.NoError(t, b.Close())
	require.ErrorIs(t, <-called, transport.ErrUnreachable)
}

func TestServeAfterClose(t *testing.T) {
	var b tcp.Transport
	b.Self, b.Plain = "b", true
	require.NoError(t, b.Close())
	ln := listen(t, "127.0.0.1:0")
	require.ErrorIs(t, b.Serve(t.Context(), ln, echoer), transport.ErrClosed)
	_, err := ln.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestServeReportsLostListener(t *testing.T) {
	b := &tcp.Transport{Self: "b", Plain: true}
	defer b.Close()
	ln := listen(t, "127.0.0.1:0")
	ln.Close()
	require.ErrorIs(t, b.Serve(t.Context(), ln, echoer), net.ErrClosed)
}

// Nothing runs any more when Close and Serve have returned, whatever happened before.
func TestNoGoroutineIsLeft(t *testing.T) {
	t.Run("work", func(t *testing.T) {
		a, b := pair(t, echoer, func(a, b *tcp.Transport) { a.Drain, b.Drain = time.Millisecond, time.Millisecond })
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			go cancel()
			a.Call(ctx, "b", "m", make([]byte, 1<<20))
		}
		a.Call(bounded(t), "b", "m", nil)
		conn, err := net.Dial("tcp", a.Peers["b"])
		require.NoError(t, err)
		defer conn.Close()
		require.NoError(t, b.Close())
		a.Call(bounded(t), "b", "m", nil)
	})
	until(t, func() bool {
		buf := make([]byte, 1<<20)
		return !bytes.Contains(buf[:runtime.Stack(buf, true)], []byte("tcp.(*"))
	})
}

// until tries again, with pauses, until ok.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(30 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			require.Fail(t, "did not come to pass")
		}
	}
}

// What a call gets when its own side is closed says whether it may have run: one that was
// under way may have, one that waited for a place or came later has not.
func TestCloseUnderWay(t *testing.T) {
	started := make(chan string, 3)
	a, _ := pair(t, transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
		started <- method
		<-ctx.Done()
		return nil, ctx.Err()
	}), func(a, b *tcp.Transport) { a.Drain, a.MaxCalls = time.Millisecond, 1 })
	call := func(method string) <-chan error {
		done := make(chan error, 1)
		go func() {
			_, err := a.Call(bounded(t), "b", method, nil)
			done <- err
		}()
		return done
	}
	running := call("running")
	require.Equal(t, "running", <-started)
	waiting := call("waiting")
	require.Eventually(t, func() bool { return a.Waiting() == 1 }, 30*time.Second, time.Millisecond)
	require.NoError(t, a.Close())
	err := <-running
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.NotErrorIs(t, err, transport.ErrClosed)
	for name, call := range map[string]<-chan error{"waiting": waiting, "later": call("later")} {
		err := <-call
		require.ErrorIs(t, err, transport.ErrClosed, name)
		require.NotErrorIs(t, err, transport.ErrUnreachable, name)
	}
	require.Empty(t, started)
}
