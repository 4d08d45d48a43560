package handoff

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// Several holders keep for several targets, from many goroutines, over a network that
// loses, repeats and reorders, with targets that come and go and holders that are started
// again. In the end each target has all that was acknowledged, and nothing is left.
func TestBadWeather(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { weather(t, seed) })
		})
	}
}

func weather(t *testing.T, seed uint64) {
	bad := mem.Link{Latency: 5 * time.Millisecond, Jitter: 50 * time.Millisecond, Loss: 0.1, Duplicate: 0.1, Reorder: 0.1}
	net := &mem.Network{Seed: seed, Refuse: seed%2 == 0, Link: bad}
	rng := rand.New(rand.NewPCG(seed, 0))
	targets, logs := map[transport.NodeID]*node{}, []*rows{new(rows), new(rows)}
	for _, id := range []transport.NodeID{"x", "y", "z"} {
		targets[id] = join(net, id, func(h *Handoff) { h.Rate = 64 << 10 })
	}
	var mu sync.Mutex
	owed := map[place]string{}
	for life := range 4 {
		var stops []func()
		var wg sync.WaitGroup
		for i, log := range logs {
			holder := join(net, transport.NodeID(fmt.Sprint("holder", i)), func(h *Handoff) { h.Log, h.Seed = log, seed+uint64(life+1) })
			stops = append(stops, holder.run(t))
			for g := range 5 {
				rng := rand.New(rand.NewPCG(seed, uint64(life*100+i*10+g)))
				wg.Go(func() {
					for range 40 {
						p := place{transport.NodeID("xyz"[rng.IntN(3):][:1]), fmt.Sprint(rng.IntN(20))}
						delta := []byte{byte('a' + rng.IntN(26))}
						if err := holder.Keep(t.Context(), p.to, p.key, delta); err != nil {
							t.Error(err)
						}
						mu.Lock()
						owed[p] += string(delta)
						mu.Unlock()
						time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
					}
				})
			}
		}
		for _, id := range []transport.NodeID{"x", "y", "z"} {
			net.Down(id)
			time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
			net.Up(id)
		}
		wg.Wait()
		if life == 3 {
			time.Sleep(5 * time.Minute)
		}
		for _, stop := range stops {
			stop()
		}
	}
	for p, deltas := range owed {
		for _, d := range deltas {
			require.Contains(t, targets[p.to].replica.content()[p.key], string(d), "%v", p)
		}
	}
	for _, log := range logs {
		require.Empty(t, log.rows)
	}
}

// Who is called and panics takes nobody with him but those of the same turn.
func TestAPanicIsForWhoCalled(t *testing.T) {
	h := &Handoff{Join: func(a, b []byte) ([]byte, error) {
		if string(b) == "panic" {
			panic("here")
		}
		return union(a, b)
	}}
	require.Panics(t, func() { _ = h.Keep(context.Background(), "b", "k", []byte("panic")) })
	require.NoError(t, h.Keep(t.Context(), "b", "k", []byte("x")))
	require.Equal(t, 1, h.Stats().Hints)
}
