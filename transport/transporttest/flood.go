package transporttest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// A Limiter is a Network whose nodes serve no more calls at a time than they are told,
// of which no node gets all; then that is tested too.
type Limiter interface {
	// Limit has nodes that are started from now on serve so many calls at a time.
	Limit(calls int)
}

// A node that makes as many calls as it can leaves room for those of another.
func testFloodStarvesNobody(t *testing.T, n Network) {
	limiter, ok := n.(Limiter)
	if !ok {
		t.Skip("nodes of the Network serve any number of calls")
	}
	const limit = 16
	limiter.Limit(limit)
	var running, refused atomic.Int32
	n.Start("b", methods{"echo": echo, "hold": func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
		running.Add(1)
		<-ctx.Done()
		return nil, ctx.Err()
	}}.mux())
	a, c := n.Start("a", nil), n.Start("c", nil)
	ctx, cancel := context.WithCancel(bounded(t))
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	for range 2 * limit {
		group.Go(func() {
			if _, err := a.Call(ctx, "b", "hold", nil); ctx.Err() == nil && err != nil {
				refused.Add(1)
			}
		})
	}
	until(t, func() bool { return running.Load()+refused.Load() >= limit })
	for range 10 {
		require.Equal(t, "served", string(call(t, c, "b", "echo", []byte("served"))))
	}
	require.Positive(t, running.Load())
	require.LessOrEqual(t, running.Load(), int32(limit))
}
