package tcp

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// A node that takes connections and drops them at once is not dialled at every call.
func TestFlappingNodeIsBackedOff(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	b := &Transport{Self: "b", Plain: true}
	var taken atomic.Int32
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			taken.Add(1)
			b.welcome(conn, func(transport.NodeID) bool { return true })
			conn.Close()
		}
	})
	defer group.Wait()
	defer ln.Close()
	a := &Transport{Self: "a", Plain: true, MaxBackoff: time.Hour, Peers: map[transport.NodeID]string{"b": ln.Addr().String()}}
	defer a.Close()
	for range 5_000 {
		_, err := a.Call(t.Context(), "b", "m", nil)
		require.ErrorIs(t, err, transport.ErrUnreachable)
	}
	require.Less(t, taken.Load(), int32(20))
}

// A connection that was lost after it had lasted is made again at once.
func TestLossAfterLongIsNoFailure(t *testing.T) {
	now := time.Now()
	p := &peer{t: new(Transport), backoff: backoff{failures: 9}}
	p.client = &client{failed: true, err: transport.ErrUnreachable, since: now.Add(-time.Minute)}
	p.noteLoss(now)
	require.Zero(t, p.backoff.wait(now))
	p.client = &client{failed: true, err: transport.ErrUnreachable, since: now}
	p.noteLoss(now)
	require.Positive(t, p.backoff.wait(now))
}

// A call whose context ends before its request could be sent leaves no trace; one
// whose connection is lost then may be made over another.
func TestClientTakesBackUnsentCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		large := limits{message: 1 << 20, calls: 8, window: 8 << 20, ping: time.Minute}
		c := newClient(near, large, large, new(counters))
		var group sync.WaitGroup
		group.Go(c.run)
		defer group.Wait()
		big := make([]byte, queueSize)
		call := func(ctx context.Context) <-chan error {
			done := make(chan error, 1)
			group.Go(func() {
				_, err := c.call(ctx, "m", big)
				done <- err
			})
			synctest.Wait()
			return done
		}
		writing, queued := call(t.Context()), call(t.Context())
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.Equal(t, context.DeadlineExceeded, <-call(ctx))
		require.Equal(t, large.calls-2, c.gate.calls)
		stale := call(t.Context())
		far.Close()
		require.Equal(t, errStale, <-stale)
		require.ErrorIs(t, <-writing, transport.ErrUnreachable)
		require.ErrorIs(t, <-queued, transport.ErrUnreachable)
	})
}

func TestHandshakeErrorIsUnreachable(t *testing.T) {
	err := &HandshakeError{Addr: "10.0.0.1:1", Node: "b", Reason: ReasonBusy}
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.EqualError(t, err, `tcp: handshake with 10.0.0.1:1 ("b"): too many connections`)
	err = &HandshakeError{Addr: "10.0.0.1:1", Reason: ReasonVersion, Remote: true, Err: errHello}
	require.EqualError(t, err, "tcp: handshake with 10.0.0.1:1: refused by it: no common version: malformed hello")
	require.ErrorIs(t, err, errHello)
	for r := range allReasons {
		require.NotEmpty(t, r.String())
	}
	require.Equal(t, "Reason(200)", Reason(200).String())
}
