package transporttest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// A method is bytes: none of them means anything to the transport.
func testMethodsOfAnyBytes(t *testing.T, n Network) {
	n.Start("b", transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
		return []byte(method), nil
	}))
	a := n.Start("a", nil)
	all := make([]byte, 255)
	for i := range all {
		all[i] = byte(i + 1)
	}
	for _, method := range []string{"", "/", "..", "a//../b", "a b", " ", "a%2Fb", "%", "?x=1#y", "a\x00b", "a\r\nb", "*.>", "=2E", "é", "\xff", string(all)} {
		require.Equal(t, method, string(call(t, a, "b", method, nil)))
	}
}

// A handler may call other nodes, also the one that called it, as deep as it likes.
func testCallsWithinCalls(t *testing.T, n Network) {
	nodes := make(map[transport.NodeID]transport.Caller)
	others := map[transport.NodeID]transport.NodeID{"a": "b", "b": "c", "c": "a"}
	for self, next := range others {
		nodes[self] = n.Start(self, transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
			if len(req) == 0 {
				return []byte(self), nil
			}
			resp, err := nodes[next].Call(ctx, next, "around", req[1:])
			return append(resp, self...), err
		}))
	}
	require.Equal(t, "bacbacb", string(call(t, nodes["a"], "b", "around", make([]byte, 6))))
}

// Three nodes call each other at once, with the largest messages beside small ones:
// all arrive, whoever waits for whom.
func testAllSizesBothWays(t *testing.T, n Network) {
	ids := []transport.NodeID{"a", "b", "c"}
	nodes := make(map[transport.NodeID]transport.Caller)
	for _, id := range ids {
		nodes[id] = n.Start(id, methods{"echo": echo}.mux())
	}
	ctx := bounded(t)
	var group sync.WaitGroup
	for i, from := range ids {
		for j, to := range ids {
			if i == j {
				continue
			}
			for _, size := range []int{n.MaxMessage(), 1, 100, 70_000} {
				group.Go(func() { echoes(ctx, t, nodes[from], to, size) })
			}
		}
	}
	group.Wait()
}

// echoes sends so many bytes several times.
func echoes(ctx context.Context, t *testing.T, from transport.Caller, to transport.NodeID, size int) {
	req := pattern(size)
	for range 5 {
		resp, err := from.Call(ctx, to, "echo", req)
		if !assert.NoError(t, err) || !assert.True(t, bytes.Equal(req, resp)) {
			return
		}
	}
}

// Many callers give up together: each handler's context ends, and calls that are
// not given up are answered.
func testCancelManyAtOnce(t *testing.T, n Network) {
	const calls = 50
	started, ended, returned := make(chan error, calls), make(chan error, calls), make(chan error, calls)
	n.Start("b", methods{"block": block(started, ended), "echo": echo}.mux())
	a := n.Start("a", nil)
	ctx, cancel := context.WithCancel(bounded(t))
	for range calls {
		go func() {
			_, err := a.Call(ctx, "b", "block", nil)
			returned <- err
		}()
	}
	for range calls {
		receive(t, started)
	}
	cancel()
	for i := range calls {
		require.Equal(t, fmt.Append(nil, i), call(t, a, "b", "echo", fmt.Append(nil, i)))
		require.Equal(t, context.Canceled, receive(t, returned))
		require.Equal(t, context.Canceled, receive(t, ended))
	}
}

// Calls are given up at any moment of sending and answering large messages, and
// others that are under way are not mixed up with what is left of them.
func testCancelWhileSending(t *testing.T, n Network) {
	n.Start("b", methods{"echo": echo}.mux())
	a := n.Start("a", nil)
	ctx := bounded(t)
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() { echoes(ctx, t, a, "b", 1000*(i+1)) })
	}
	req := pattern(n.MaxMessage())
	for i := range 20 {
		given, cancel := context.WithTimeout(ctx, time.Duration(i)*200*time.Microsecond)
		resp, err := a.Call(given, "b", "echo", req)
		if err == nil {
			require.True(t, bytes.Equal(req, resp))
		} else {
			require.Equal(t, context.DeadlineExceeded, err)
		}
		cancel()
	}
	group.Wait()
	require.True(t, bytes.Equal(req, call(t, a, "b", "echo", req)))
}
