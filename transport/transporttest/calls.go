package transporttest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

func testEcho(t *testing.T, n Network) {
	n.Start("b", methods{"echo": echo}.mux())
	a := n.Start("a", nil)
	for i := range 20 {
		req := fmt.Appendf(nil, "message %d", i)
		require.Equal(t, req, call(t, a, "b", "echo", req))
	}
}

func testEmptyMessages(t *testing.T, n Network) {
	got := make(chan int, 2)
	n.Start("b", transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
		got <- len(req)
		return nil, nil
	}))
	a := n.Start("a", nil)
	require.Empty(t, call(t, a, "b", "", nil))
	require.Empty(t, call(t, a, "b", "", []byte{}))
	require.Zero(t, <-got+<-got)
}

// Every node calls every other, and each is told who called and what.
func testEveryNodeCalls(t *testing.T, n Network) {
	ids := []transport.NodeID{"a", "b", "c"}
	nodes := make(map[transport.NodeID]transport.Caller)
	for _, id := range ids {
		nodes[id] = n.Start(id, transport.HandlerFunc(func(_ context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
			return fmt.Appendf(nil, "%s>%s %s %s", from, id, method, req), nil
		}))
	}
	var group sync.WaitGroup
	for _, from := range ids {
		for _, to := range ids {
			group.Go(func() {
				resp, err := nodes[from].Call(bounded(t), to, "any/method", []byte("x"))
				assert.NoError(t, err)
				assert.Equal(t, fmt.Sprintf("%s>%s any/method x", from, to), string(resp))
			})
		}
	}
	group.Wait()
}

func testSlowCallBlocksNoOther(t *testing.T, n Network) {
	release, done := make(chan struct{}), make(chan error, 1)
	started := make(chan struct{})
	n.Start("b", methods{"echo": echo, "slow": func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
		close(started)
		select {
		case <-release:
		case <-ctx.Done():
		}
		return nil, ctx.Err()
	}}.mux())
	a := n.Start("a", nil)
	go func() {
		_, err := a.Call(bounded(t), "b", "slow", nil)
		done <- err
	}()
	receive(t, started)
	for range 10 {
		require.Equal(t, "fast", string(call(t, a, "b", "echo", []byte("fast"))))
	}
	close(release)
	require.NoError(t, receive(t, done))
}

// Calls of many goroutines, of all sizes, all get their own answers.
func testManyCallsAtOnce(t *testing.T, n Network) {
	n.Start("b", methods{"echo": echo}.mux())
	a := n.Start("a", nil)
	ctx := bounded(t)
	var group sync.WaitGroup
	for g := range 64 {
		group.Go(func() {
			for i := range 20 {
				req := bytes.Repeat(fmt.Appendf(nil, "%d/%d ", g, i), 1+i*i)
				resp, err := a.Call(ctx, "b", "echo", req)
				if !assert.NoError(t, err) || !assert.True(t, bytes.Equal(req, resp)) {
					return
				}
			}
		})
	}
	group.Wait()
}

// Calls reach the method they name, however many methods there are, and also when
// some are given up or the node was started again.
func testManyMethods(t *testing.T, n Network) {
	name := transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
		return []byte(method), nil
	})
	n.Start("b", name)
	a := n.Start("a", nil)
	ctx := bounded(t)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 300 {
				method := fmt.Sprint("method/", (i+g*37)%300)
				if i%5 == 0 {
					callAndGiveUp(ctx, a, method)
				}
				resp, err := a.Call(ctx, "b", method, nil)
				if !assert.NoError(t, err) || !assert.Equal(t, method, string(resp)) {
					return
				}
			}
		})
	}
	group.Wait()
	n.Stop("b")
	n.Start("b", name)
	until(t, func() bool {
		resp, err := a.Call(ctx, "b", "method/7", nil)
		return err == nil && assert.Equal(t, "method/7", string(resp))
	})
	require.Equal(t, "method/3", string(call(t, a, "b", "method/3", nil)))
}

// callAndGiveUp makes a call whose context ends at some moment of it, or before.
func callAndGiveUp(ctx context.Context, from transport.Caller, method string) {
	ctx, cancel := context.WithCancel(ctx)
	go cancel()
	from.Call(ctx, "b", method, nil)
}

func testLargeMessages(t *testing.T, n Network) {
	n.Start("b", methods{"echo": echo}.mux())
	a := n.Start("a", nil)
	for size := 1 << 10; size < n.MaxMessage(); size *= 8 {
		req := pattern(size)
		require.True(t, bytes.Equal(req, call(t, a, "b", "echo", req)))
	}
	req := pattern(n.MaxMessage())
	require.True(t, bytes.Equal(req, call(t, a, "b", "echo", req)))
}

func pattern(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func testRequestTooLarge(t *testing.T, n Network) {
	n.Start("b", methods{"echo": echo}.mux())
	a := n.Start("a", nil)
	requireTooLarge(t, n, fails(t, a, "b", "echo", make([]byte, n.MaxMessage()+1)), "request")
	require.Equal(t, "still here", string(call(t, a, "b", "echo", []byte("still here"))))
}

func testResponseTooLarge(t *testing.T, n Network) {
	n.Start("b", methods{"echo": echo, "grow": func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		return make([]byte, n.MaxMessage()+1), nil
	}}.mux())
	a := n.Start("a", nil)
	requireTooLarge(t, n, fails(t, a, "b", "grow", nil), "response")
	require.Equal(t, "still here", string(call(t, a, "b", "echo", []byte("still here"))))
}

func requireTooLarge(t *testing.T, n Network, err error, what string) {
	t.Helper()
	require.ErrorIs(t, err, transport.ErrTooLarge)
	var tooLarge *transport.TooLargeError
	require.ErrorAs(t, err, &tooLarge)
	require.Equal(t, transport.TooLargeError{What: what, Limit: n.MaxMessage(), Size: n.MaxMessage() + 1}, *tooLarge)
}

func testNamesTooLong(t *testing.T, n Network) {
	n.Start("b", methods{"": echo}.mux())
	a := n.Start("a", nil)
	long := string(bytes.Repeat([]byte("x"), transport.MaxName))
	call(t, a, "b", long, nil)
	require.ErrorIs(t, fails(t, a, "b", long+"x", nil), transport.ErrTooLarge)
	require.ErrorIs(t, fails(t, a, transport.NodeID(long+"x"), "m", nil), transport.ErrTooLarge)
}
