package grpctransport_test

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// When all is closed, nothing of the package runs any more, whatever was under way.
func TestNothingIsLeft(t *testing.T) {
	started := make(chan struct{}, 10)
	c := newCluster(t)
	c.Start("b", transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
		started <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	a := c.Start("a", nil)
	returned := make(chan error, 10)
	for range 10 {
		go func() {
			_, err := a.Call(context.Background(), "b", "m", make([]byte, 1<<20))
			returned <- err
		}()
	}
	for range 10 {
		<-started
	}
	c.Stop("a")
	c.Stop("b")
	for range 10 {
		require.Equal(t, transport.ErrClosed, <-returned)
	}
	require.Eventually(t, func() bool {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		for stack := range strings.SplitSeq(string(stacks), "\n\n") {
			if strings.Contains(stack, "grpctransport.") || strings.Contains(stack, "carry.") {
				return false
			}
		}
		return true
	}, time.Minute, 10*time.Millisecond)
}
