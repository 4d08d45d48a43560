package ring_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport/mem"
)

// A change of the ring ends also while one key is written to all the time, over links that are slower than that: nobody
// waits for a moment at which it is equal everywhere.
func TestAChangeEndsWhileAKeyIsWrittenTo(t *testing.T) {
	inBubbles(t, 1, mem.Link{Latency: 40 * time.Millisecond, Jitter: 20 * time.Millisecond}, func(c *cluster, seed uint64) {
		all := members(0, 4)
		r, err := ring.New(ring.Config{Members: all[:3], Replicas: 3, Partitions: 1})
		require.NoError(c, err)
		c.start(r, all[:3])
		c.start(nil, all[3:])
		first := newClient("first")
		_, err = c.nodes["n0"].coord.Write(c.ctx, "k", first.add(c, "k", "x"), quorum.WriteOptions{Level: quorum.All})
		require.NoError(c, err)
		var over atomic.Bool
		for k := range 12 {
			c.runs.Go(func() {
				w := newClient(fmt.Sprint("hot", k))
				for i := 0; !over.Load() && c.ctx.Err() == nil; i++ {
					_, _ = c.nodes["n0"].coord.Write(c.ctx, "k", w.add(c, "k", fmt.Sprint(k, "hot", i)), quorum.WriteOptions{})
					time.Sleep(time.Duration(1+k) * time.Millisecond)
				}
			})
		}
		time.Sleep(time.Second)
		next, err := c.nodes["n1"].ring.Ring().Change(all[1:], 0)
		require.NoError(c, err)
		require.NoError(c, c.nodes["n1"].ring.Adopt(next))
		start := time.Now()
		for time.Since(start) < 60*time.Second && !c.settled(3, all[1:]) {
			time.Sleep(time.Second)
		}
		over.Store(true)
		require.True(c, c.settled(3, all[1:]), "after a minute")
	})
}
