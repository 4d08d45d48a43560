package antientropy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/stretchr/testify/require"
)

func TestNeed(t *testing.T) {
	for _, c := range []struct {
		need                Need
		verified, down, all int
		met                 bool
	}{
		{Need{}, 0, 0, 0, true},
		{Need{}, 2, 0, 3, false},
		{Need{}, 2, 1, 3, false},
		{Need{}, 3, 0, 3, true},
		{Need{WithoutDown: true}, 2, 1, 3, true},
		{Need{WithoutDown: true}, 1, 1, 3, false},
		{Need{WithoutDown: true}, 0, 3, 3, true},
		{Need{Peers: 2}, 1, 2, 3, false},
		{Need{Peers: 2}, 2, 0, 3, true},
		{Need{Peers: 2}, 1, 0, 1, false},
		{Need{Peers: 2, WithoutDown: true}, 1, 2, 3, true},
		{Need{Peers: 2, WithoutDown: true}, 1, 0, 3, false},
	} {
		require.Equal(t, c.met, c.need.met(c.verified, c.down, c.all), "%+v", c)
	}
}

func TestReadyWaitsForAllThatPeersHad(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.MaxMessage = small }, "b", "c")
		for i := range 200 {
			r.peer("b").add(fmt.Sprint("b", i), 1)
			r.peer("c").add(fmt.Sprint("c", i), 1)
		}
		r.set(func() {
			r.fault = func(_ context.Context, _ transport.NodeID, _ string, serve func() ([]byte, error)) ([]byte, error) {
				time.Sleep(150 * time.Millisecond)
				return serve()
			}
		})
		soon, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, r.loop.Ready(soon, Need{}), context.DeadlineExceeded, "Run is not running")
		r.run()
		time.Sleep(time.Second)
		p := append(r.loop.Stats().Peers, PeerStats{})
		require.True(t, slices.ContainsFunc(p, func(p PeerStats) bool { return p.Missing > 10 && p.Expected > 0 }), "%+v", p)
		require.NoError(t, r.loop.Ready(t.Context(), Need{}))
		require.Len(t, r.store.content(), 400)
		require.True(t, r.stats("b").CaughtUp && r.stats("c").CaughtUp)
		require.Zero(t, r.stats("b").Missing)
		r.stop()
		r.run()
		require.False(t, r.stats("b").CaughtUp, "since Run began")
		require.NoError(t, r.loop.Ready(t.Context(), Need{}))
	})
}

func TestReadyWithoutThoseWhoAreDown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, everySecond, "b", "c")
		r.set(func() { delete(r.there, "c") })
		r.peer("b").add("x", 1)
		r.run()
		require.NoError(t, r.loop.Ready(t.Context(), Need{WithoutDown: true}))
		require.NoError(t, r.loop.Ready(t.Context(), Need{Peers: 1}))
		soon, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.ErrorIs(t, r.loop.Ready(soon, Need{}), context.DeadlineExceeded)
		r.add("c")
		require.NoError(t, r.loop.Ready(t.Context(), Need{}))
		r.set(func() { r.peers = append(r.peers, "d") })
		r.add("d")
		time.Sleep(3 * time.Second)
		require.True(t, r.stats("d").CaughtUp, "who joins counts too")
	})
}

// What a peer leaves to its deltas has not arrived.
func TestReadyWaitsForWhatWasDeferred(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, everySecond, "b")
		r.there["b"].InFlight = func(transport.NodeID, string) bool { return true } // and they never come
		for i := range 10 {
			r.peer("b").add(fmt.Sprint(i), 1)
		}
		share(r.store, r.peer("b"))
		r.run()
		require.NoError(t, r.loop.Ready(t.Context(), Need{}))
		require.Len(t, r.store.content(), 11)
	})
}

func TestDelaysAreWithinAFifth(t *testing.T) {
	var d Delays
	require.Zero(t, d.Quantile(0.5))
	random := rand.New(rand.NewPCG(1, 1))
	var all []time.Duration
	for range 10_000 {
		age := time.Duration(random.ExpFloat64() * float64(time.Second))
		all = append(all, age)
		d.add(age)
	}
	d.add(time.Duration(1<<63 - 1))
	slices.Sort(all)
	require.Equal(t, uint64(10_001), d.Count())
	for _, q := range []float64{0.01, 0.1, 0.5, 0.9, 0.99} {
		exact := all[int(q*10_000)]
		require.GreaterOrEqual(t, d.Quantile(q), exact-exact/50)
		require.LessOrEqual(t, d.Quantile(q), exact+exact/5)
	}
	require.Equal(t, time.Millisecond, d.Quantile(0))
}

// Over a chain of nodes delays are those of all hops, though no two clocks are
// compared.
func TestDelaysAddUpOverHops(t *testing.T) {
	kinds(t, func(t *testing.T, kind Propagation) {
		bubble(t, func(t *testing.T) {
			next := map[int]func() []transport.NodeID{0: Static("b"), 1: Static("a", "c"), 2: Static("b", "d"), 3: Static("c")}
			i := 0
			c := startCluster(t, &mem.Network{Link: mem.Link{Latency: 20 * time.Millisecond}}, func(l *Loop) {
				l.Peers, l.Interval, l.PushDelay, l.Propagation = next[i], time.Hour, 10*time.Millisecond, kind
				i++
			}, "a", "b", "c", "d")
			time.Sleep(time.Second)
			for i := range 50 {
				c.store["a"].add(fmt.Sprint(i), 1)
				time.Sleep(200 * time.Millisecond)
			}
			time.Sleep(time.Second)
			for hops, id := range []transport.NodeID{"b", "c", "d"} {
				d := c.loops[id].Stats().Delays
				require.Equal(t, uint64(50), d.Count())
				want := time.Duration(hops+1) * 30 * time.Millisecond
				require.GreaterOrEqual(t, d.Quantile(0.5), want)
				require.LessOrEqual(t, d.Quantile(0.5), want*6/5)
			}
			require.Zero(t, c.loops["a"].Stats().Delays.Count())
		})
	})
}
