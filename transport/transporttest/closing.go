package transporttest

import (
	"context"
	"fmt"
	"io"
	"runtime/pprof"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

func testClose(t *testing.T, n Network) {
	n.Start("b", methods{"echo": echo}.mux())
	a := n.Start("a", methods{"echo": echo}.mux())
	c := n.Start("c", nil)
	closer, ok := a.(io.Closer)
	if !ok {
		t.Skip("the Caller cannot be closed")
	}
	call(t, a, "b", "echo", nil)
	call(t, c, "a", "echo", nil)
	require.NoError(t, closer.Close())
	require.NoError(t, closer.Close())
	require.ErrorIs(t, fails(t, a, "b", "echo", nil), transport.ErrClosed)
	require.ErrorIs(t, fails(t, c, "a", "echo", nil), transport.ErrUnreachable)
	call(t, c, "b", "echo", nil)
}

// When a node is closed, the calls that it has made, and those that it serves, end at
// both sides. What was under way may have run, so it is not what comes of calls made
// later.
func testCloseUnderWay(t *testing.T, n Network) {
	started, ended := make(chan error, 2), make(chan error, 2)
	blocks := methods{"block": block(started, ended)}.mux()
	n.Start("b", blocks)
	a := n.Start("a", blocks)
	c := n.Start("c", nil)
	closer, ok := a.(io.Closer)
	if !ok {
		t.Skip("the Caller cannot be closed")
	}
	made, served, closed := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	ctx := bounded(t)
	go func() {
		_, err := a.Call(ctx, "b", "block", nil)
		made <- err
	}()
	go func() {
		_, err := c.Call(ctx, "a", "block", nil)
		served <- err
	}()
	receive(t, started)
	receive(t, started)
	go func() { closed <- closer.Close() }()
	for _, under := range []<-chan error{made, served} {
		err := receive(t, under)
		require.ErrorIs(t, err, transport.ErrUnreachable)
		require.NotErrorIs(t, err, transport.ErrClosed)
		require.NotErrorIs(t, err, context.Canceled)
		require.Equal(t, context.Canceled, receive(t, ended))
	}
	require.NoError(t, receive(t, closed))
	require.Equal(t, transport.ErrClosed, fails(t, a, "b", "block", nil))
	require.ErrorIs(t, fails(t, c, "a", "block", nil), transport.ErrUnreachable)
}

// When a network has ended, no goroutine of it is left, whatever was under way. Those
// that it starts have its label.
func testNothingIsLeft(t *testing.T, newNetwork func(t *testing.T) Network) {
	const key = "transporttest"
	value := fmt.Sprintf("%s %p", t.Name(), t)
	if !t.Run("Network", func(t *testing.T) {
		pprof.Do(t.Context(), pprof.Labels(key, value), func(context.Context) { leaveUnderWay(t, newNetwork(t)) })
	}) {
		return
	}
	label := fmt.Sprintf("%q:%q", key, value)
	var left []string
	defer func() {
		if t.Failed() {
			t.Log(strings.Join(left, "\n\n"))
		}
	}()
	until(t, func() bool {
		left = goroutines(t, label)
		return len(left) == 0
	})
}

// leaveUnderWay ends nodes with calls of all kinds under way.
func leaveUnderWay(t *testing.T, n Network) {
	const calls = 10 // of which half are given up
	started, ended, returned := make(chan error, calls), make(chan error, calls), make(chan error, calls)
	n.Start("b", methods{"echo": echo, "block": block(started, ended)}.mux())
	a := n.Start("a", methods{"echo": echo}.mux())
	c := n.Start("c", nil)
	call(t, c, "a", "echo", pattern(n.MaxMessage()))
	given, giveUp := context.WithCancel(bounded(t))
	kept, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	for i := range calls {
		callAndGiveUp(given, a, "echo")
		ctx := kept
		if i%2 == 0 {
			ctx = given
		}
		go func() {
			_, err := a.Call(ctx, "b", "block", pattern(1000))
			returned <- err
		}()
	}
	for range calls {
		receive(t, started)
	}
	giveUp()
	for range calls / 2 {
		receive(t, ended)
	}
	n.Stop("a")
	n.Stop("b")
	for i := range calls {
		require.Error(t, receive(t, returned))
		if i%2 == 0 {
			receive(t, ended)
		}
	}
}

// goroutines returns the stacks of those with a label.
func goroutines(t *testing.T, label string) (stacks []string) {
	var all strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&all, 1))
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(stack, label) {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}
