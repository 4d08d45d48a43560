package transporttest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

func testCancel(t *testing.T, n Network) {
	started, ended, returned := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	n.Start("b", methods{"block": block(started, ended), "echo": echo}.mux())
	a := n.Start("a", nil)
	ctx, cancel := context.WithCancel(bounded(t))
	go func() {
		_, err := a.Call(ctx, "b", "block", nil)
		returned <- err
	}()
	receive(t, started)
	cancel()
	require.Equal(t, context.Canceled, receive(t, returned))
	require.Equal(t, context.Canceled, receive(t, ended))
	call(t, a, "b", "echo", nil)
}

func testCancelBeforeCall(t *testing.T, n Network) {
	ran := make(chan struct{}, 1)
	n.Start("b", transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		ran <- struct{}{}
		return nil, nil
	}))
	a := n.Start("a", nil)
	call(t, a, "b", "m", nil)
	<-ran
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := a.Call(ctx, "b", "m", nil)
	require.Equal(t, context.Canceled, err)
	require.Empty(t, ran)
}

// The handler sees the caller's deadline, both see it pass, and the caller is told
// of its own deadline and not of the handler's.
func testDeadline(t *testing.T, n Network) {
	deadlines := make(chan bool, 1)
	started, ended := make(chan error, 1), make(chan error, 1)
	wait := block(started, ended)
	n.Start("b", methods{"echo": echo, "block": func(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
		_, ok := ctx.Deadline()
		deadlines <- ok
		derived, cancel := context.WithTimeout(ctx, time.Hour)
		defer cancel()
		return wait(derived, from, method, req)
	}}.mux())
	a := n.Start("a", nil)
	call(t, a, "b", "echo", nil)
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		_, err := a.Call(ctx, "b", "block", nil)
		require.Equal(t, context.DeadlineExceeded, err)
		require.True(t, receive(t, deadlines))
		receive(t, started)
		require.Error(t, receive(t, ended))
		cancel()
	}
}

// The handler's deadline is the caller's, but for the time of the way and what
// clocks differ.
func testDeadlineIsTheCallers(t *testing.T, n Network) {
	left := make(chan time.Duration, 1)
	n.Start("b", transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
		d, _ := ctx.Deadline()
		left <- time.Until(d)
		return nil, nil
	}))
	a := n.Start("a", nil)
	for _, timeout := range []time.Duration{time.Hour, 1000 * time.Hour} {
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		_, err := a.Call(ctx, "b", "m", nil)
		require.NoError(t, err)
		require.InDelta(t, timeout, receive(t, left), float64(2*patience))
	}
}

// A call whose deadline has passed is not made.
func testDeadlineBeforeCall(t *testing.T, n Network) {
	ran := make(chan struct{}, 1)
	n.Start("b", transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		ran <- struct{}{}
		return nil, nil
	}))
	a := n.Start("a", nil)
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	_, err := a.Call(ctx, "b", "m", nil)
	require.Equal(t, context.DeadlineExceeded, err)
	call(t, a, "b", "m", nil)
	<-ran
	require.Empty(t, ran)
}

func testNoDeadline(t *testing.T, n Network) {
	deadlines := make(chan bool, 1)
	n.Start("b", transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
		_, ok := ctx.Deadline()
		deadlines <- ok
		return nil, ctx.Err()
	}))
	a := n.Start("a", nil)
	_, err := a.Call(context.WithoutCancel(t.Context()), "b", "m", nil)
	require.NoError(t, err)
	require.False(t, receive(t, deadlines))
}

func testValuesStay(t *testing.T, n Network) {
	type key struct{}
	values := make(chan any, 1)
	n.Start("b", transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
		values <- ctx.Value(key{})
		return nil, nil
	}))
	a := n.Start("a", nil)
	_, err := a.Call(context.WithValue(bounded(t), key{}, "secret"), "b", "m", nil)
	require.NoError(t, err)
	require.Nil(t, receive(t, values))
}

// When the node that called is gone, the handler's context ends.
func testCallerGone(t *testing.T, n Network) {
	started, ended, returned := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	n.Start("b", methods{"block": block(started, ended)}.mux())
	a := n.Start("a", nil)
	go func() {
		_, err := a.Call(bounded(t), "b", "block", nil)
		returned <- err
	}()
	receive(t, started)
	n.Stop("a")
	require.Equal(t, context.Canceled, receive(t, ended))
	require.Error(t, receive(t, returned))
}

func testUnknownNode(t *testing.T, n Network) {
	a := n.Start("a", nil)
	require.ErrorIs(t, fails(t, a, "nobody", "m", nil), transport.ErrUnreachable)
	require.ErrorIs(t, fails(t, a, "", "m", nil), transport.ErrUnreachable)
}

// A call that is running when the other node goes fails, and so do later calls.
func testNodeGone(t *testing.T, n Network) {
	started, ended, returned := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	n.Start("b", methods{"block": block(started, ended)}.mux())
	a := n.Start("a", nil)
	go func() {
		_, err := a.Call(bounded(t), "b", "block", nil)
		returned <- err
	}()
	receive(t, started)
	n.Stop("b")
	require.ErrorIs(t, receive(t, returned), transport.ErrUnreachable)
	require.Equal(t, context.Canceled, receive(t, ended))
	for range 5 {
		require.ErrorIs(t, fails(t, a, "b", "block", nil), transport.ErrUnreachable)
	}
}

// A node that returns is reached again, by nodes that saw it go and by itself.
func testNodeReturns(t *testing.T, n Network) {
	mux := methods{"echo": echo}.mux()
	n.Start("b", mux)
	a := n.Start("a", mux)
	for range 3 {
		call(t, a, "b", "echo", nil)
		n.Stop("b")
		require.Error(t, fails(t, a, "b", "echo", nil))
		b := n.Start("b", mux)
		until(t, func() bool {
			_, err := a.Call(bounded(t), "b", "echo", []byte("back"))
			return err == nil
		})
		call(t, b, "a", "echo", nil)
	}
}

// A node that leaves finishes what it serves, and the caller gets it.
func testNodeLeaves(t *testing.T, n Network) {
	leaver, ok := n.(Leaver)
	if !ok {
		t.Skip("nodes of the Network cannot leave")
	}
	started, release, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	n.Start("b", methods{"finish": func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
		close(started)
		<-release
		return []byte("finished"), ctx.Err()
	}}.mux())
	a := n.Start("a", nil)
	answer := make(chan string, 1)
	go func() {
		resp, err := a.Call(bounded(t), "b", "finish", nil)
		answer <- fmt.Sprint(string(resp), err)
	}()
	receive(t, started)
	go func() {
		defer close(left)
		leaver.Leave("b")
	}()
	close(release)
	require.Equal(t, "finished<nil>", receive(t, answer))
	receive(t, left)
	require.ErrorIs(t, fails(t, a, "b", "finish", nil), transport.ErrUnreachable)
}
