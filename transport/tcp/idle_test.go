package tcp

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// node serves h as "b" until the test ends, and returns a caller "a" of it.
func node(t *testing.T, a, b *Transport, h transport.Handler) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	a.Self, b.Self = "a", "b"
	a.Peers = map[transport.NodeID]string{"b": ln.Addr().String()}
	done := make(chan error, 1)
	go func() { done <- b.Serve(context.Background(), ln, h) }()
	t.Cleanup(func() {
		assert.NoError(t, a.Close())
		assert.NoError(t, b.Close())
		if err := <-done; err != nil {
			assert.ErrorIs(t, err, transport.ErrClosed)
		}
	})
}

// open counts the connections that a transport dialled, and the nodes it remembers.
func (t *Transport) open() (clients, peers int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.clients), len(t.peers)
}

// Waiting counts the calls that wait for a place on a connection.
func (t *Transport) Waiting() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.clients {
		c.mu.Lock()
		n += len(c.gate.waiting)
		c.mu.Unlock()
	}
	return n
}

// beat has every connection do what it does each KeepAlive.
func (t *Transport) beat() {
	t.mu.Lock()
	clients := slices.Collect(maps.Keys(t.clients))
	t.mu.Unlock()
	for _, c := range clients {
		c.beat()
	}
}

// eventually tries again, with pauses, until ok.
func eventually(t *testing.T, ok func() bool) {
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

// A connection is closed when there was no call for long, counted from the end of
// the last one.
func TestIdleConnectionIsClosed(t *testing.T) {
	const idle = 10 * time.Second
	withClientOf(t, testLimits, idle, func(t *testing.T, c *client, peer *script) {
		begin := time.Now()
		long := start(t.Context(), c)
		h, _ := peer.expect(kindRequest)
		for time.Since(begin) < 3*idle {
			peer.expect(kindPing)
			peer.send(frame{kind: kindPong})
		}
		peer.send(frame{kind: kindResponse, id: h.id, payload: []byte("at last")})
		require.Equal(t, "at last", string((<-long).resp))
		for range 5 { // a call now and then keeps it open
			for range 8 {
				peer.expect(kindPing)
				peer.send(frame{kind: kindPong})
			}
			short := start(t.Context(), c)
			h, _ := peer.expect(kindRequest)
			peer.send(frame{kind: kindResponse, id: h.id})
			require.NoError(t, (<-short).err)
		}
		begin = time.Now()
		for {
			h, err := peer.r.next()
			if err != nil {
				break
			}
			require.Contains(t, []kind{kindPing, kindPong}, h.kind)
			if h.kind == kindPing {
				peer.send(frame{kind: kindPong})
			}
		}
		require.GreaterOrEqual(t, time.Since(begin), idle)
		require.LessOrEqual(t, time.Since(begin), idle+2*testLimits.ping)
		<-c.dead
		require.NoError(t, c.failure(), "left in peace")
		require.Equal(t, errStale, (<-start(t.Context(), c)).err)
	})
}

// Nothing is kept of a node that is called no more, at either side; it can be called
// again at any time.
func TestIdleNodeIsForgotten(t *testing.T) {
	a, b := &Transport{Plain: true, IdleTimeout: 1}, &Transport{Plain: true}
	node(t, a, b, transport.HandlerFunc(echo))
	for i := range 3 {
		_, err := a.Call(t.Context(), "b", "m", nil)
		require.NoError(t, err)
		eventually(t, func() bool {
			a.beat()
			clients, peers := a.open()
			return clients == 0 && peers == 0
		})
		require.Nil(t, a.connected("b"))
		require.Equal(t, uint64(i+1), a.Stats().Dialed)
	}
	require.Zero(t, b.Stats().Violations)
}

// Calls and the closing of an idle connection may cross; no call is lost to that.
func TestIdleClosingLosesNoCall(t *testing.T) {
	a, b := &Transport{Plain: true, IdleTimeout: 1}, &Transport{Plain: true}
	node(t, a, b, transport.HandlerFunc(echo))
	var group sync.WaitGroup
	for round := 0; a.Stats().Dialed < 20; round++ {
		a.beat()
		group.Go(a.beat)
		if round%4 == 0 {
			runtime.Gosched() // on one processor, else, the call would come first every time
		}
		_, err := a.Call(t.Context(), "b", "m", nil)
		require.NoError(t, err)
		group.Wait()
	}
}

// Of nodes that could not be reached and are asked for no more, few are remembered.
func TestUnreachableNodesAreForgotten(t *testing.T) {
	lost := errors.New("no such node")
	a := &Transport{Self: "a", Plain: true, MaxBackoff: 1, Resolve: func(context.Context, transport.NodeID) (string, error) { return "", lost }}
	defer a.Close()
	for i := range 2_000 {
		_, err := a.Call(t.Context(), transport.NodeID(fmt.Sprint(i)), "m", nil)
		require.ErrorIs(t, err, lost)
		_, peers := a.open()
		require.LessOrEqual(t, peers, 2*leastCrowd)
	}
}

// An entry that is forgotten while a call has it in hand is not used.
func TestForgottenEntryIsNotUsed(t *testing.T) {
	a := &Transport{Self: "a", Plain: true, Peers: map[transport.NodeID]string{"b": ""}}
	defer a.Close()
	p, err := a.peer("b")
	require.NoError(t, err)
	p.retire(time.Now())
	_, err = p.get(t.Context())
	require.Equal(t, errForgotten, err)
	other, err := a.peer("b")
	require.NoError(t, err)
	require.NotSame(t, p, other)
}

// A failure is remembered for as long as it delays the next attempt, and a while.
func TestRecentFailureIsNotForgotten(t *testing.T) {
	a := &Transport{Self: "a", Plain: true, Peers: map[transport.NodeID]string{"b": ""}}
	defer a.Close()
	now := time.Now()
	p, err := a.peer("b")
	require.NoError(t, err)
	p.backoff.failed(now, a.maxBackoff())
	p.retire(p.backoff.until.Add(a.maxBackoff()))
	require.False(t, p.gone)
	p.retire(p.backoff.until.Add(a.maxBackoff() + 1))
	require.True(t, p.gone)
}

// Close knows of a connection before a call can be made over it.
func TestCloseKnowsNewConnections(t *testing.T) {
	a, b := &Transport{Plain: true, Drain: time.Millisecond}, &Transport{Plain: true}
	node(t, a, b, transport.HandlerFunc(untilDone))
	p, err := a.peer("b")
	require.NoError(t, err)
	c, err := p.connect(t.Context())
	require.NoError(t, err)
	require.Contains(t, a.shut(), c)
	_, err = p.connect(t.Context())
	require.Equal(t, transport.ErrClosed, err)
	c.fail(errDone)
}

// A call that waits for a connection when the transport is closed is told so.
func TestCloseEndsDialling(t *testing.T) {
	dialling := make(chan struct{})
	a := &Transport{Self: "a", Plain: true, Resolve: func(ctx context.Context, _ transport.NodeID) (string, error) {
		close(dialling)
		<-ctx.Done()
		return "", ctx.Err()
	}}
	done := make(chan error, 1)
	go func() {
		_, err := a.Call(context.Background(), "b", "m", nil)
		done <- err
	}()
	<-dialling
	require.NoError(t, a.Close())
	require.Equal(t, transport.ErrClosed, <-done)
}

// Close ends within Drain whatever is being dialled meanwhile.
func TestCloseWhileDialling(t *testing.T) {
	for range 100 {
		a, b := &Transport{Plain: true, Drain: time.Millisecond}, &Transport{Plain: true, Drain: time.Millisecond}
		node(t, a, b, transport.HandlerFunc(untilDone))
		done := make(chan error, 1)
		go func() {
			_, err := a.Call(context.Background(), "b", "m", nil)
			done <- err
		}()
		for a.Stats().Dialed == 0 {
		}
		require.NoError(t, a.Close())
		err := <-done
		require.True(t, errors.Is(err, transport.ErrClosed) || errors.Is(err, transport.ErrUnreachable), err)
	}
}

// Connections over the bound are refused; the end of one makes room for another.
func TestMaxConns(t *testing.T) {
	a, b := &Transport{Plain: true}, &Transport{Plain: true, MaxConns: 1, HandshakeTimeout: time.Hour}
	node(t, a, b, transport.HandlerFunc(echo))
	_, err := a.Call(t.Context(), "b", "m", nil)
	require.NoError(t, err)
	stranger := func() error {
		conn, err := net.Dial("tcp", a.Peers["b"])
		require.NoError(t, err)
		defer conn.Close()
		_, err = (&Transport{Self: "c", Plain: true}).reach(conn, "b")
		return err
	}
	refused, ok := errors.AsType[*HandshakeError](stranger())
	require.True(t, ok)
	require.Equal(t, ReasonBusy, refused.Reason)
	require.True(t, refused.Remote)
	eventually(t, func() bool { return b.Stats().Refused == 1 })
	_, err = a.Call(t.Context(), "b", "m", nil)
	require.NoError(t, err)
	require.NoError(t, a.Close())
	eventually(t, func() bool { return stranger() == nil })
}
