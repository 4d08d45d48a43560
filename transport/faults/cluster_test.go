package faults_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/faults"
	"github.com/eventual-go/eventual/vclock"
)

// Replicas over TCP, whose links lose, repeat, delay and reorder, and that are cut
// apart and frozen by a random script, agree when it is over, and nothing is lost.
func TestReplicasOverTCPAgreeAfterAll(t *testing.T) {
	ids := []transport.NodeID{"a", "b", "c"}
	trace := new(faults.Trace)
	faulty := &faults.Network{Seed: 1, Trace: trace, Link: faults.Link{
		Latency: time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.05, Duplicate: 0.1, Reorder: 0.1, Bandwidth: 10e6,
	}}
	net := over{newOnTCP(t), faulty}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var stores []*store.Store
	ended := make(chan error, len(ids))
	for _, id := range ids {
		s := store.New(store.Config{Replica: vclock.Named(string(id))})
		loop := &antientropy.Loop{Store: s, Peers: antientropy.Static(others(ids, id)...), Pace: antientropy.Pace{
			Interval: 100 * time.Millisecond, Timeout: 300 * time.Millisecond,
		}}
		var mux transport.Mux
		loop.Caller = net.Start(id, &mux)
		mux.Handle("antientropy/", loop.Handler())
		stores = append(stores, s)
		go func() { ended <- loop.Run(ctx) }()
	}
	script := faults.Random{Nodes: ids, Length: 2 * time.Second, Faults: 8}.Script(7)
	scripted := make(chan error, 1)
	go func() { scripted <- script.Run(ctx, faulty) }()
	writes := 0
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; writes++ {
		for _, s := range stores {
			_, err := store.Update(s, fmt.Sprint("key", writes%20), func(c *crdt.GCounter, by store.Writer) *crdt.GCounter {
				return c.Add(by.Replica, 1)
			})
			require.NoError(t, err)
		}
		select {
		case err := <-scripted:
			require.NoError(t, err)
			running = false
		case <-tick.C:
		}
	}
	require.Eventually(t, func() bool {
		root := stores[0].Index().Root()
		return root == stores[1].Index().Root() && root == stores[2].Index().Root()
	}, 30*time.Second, 10*time.Millisecond)
	for _, s := range stores {
		sum := uint64(0)
		for i := range 20 {
			_, err := store.View(s, fmt.Sprint("key", i), func(c *crdt.GCounter) { sum += c.Value() })
			require.NoError(t, err)
		}
		require.Equal(t, uint64(writes*len(ids)), sum)
	}
	stats := faulty.Stats()
	require.NotZero(t, stats.Lost)
	require.NotZero(t, stats.Duplicated)
	require.NotZero(t, stats.Reordered)
	requireImage(t, faults.Drawing{Trace: trace})
	cancel()
	for range ids {
		require.ErrorIs(t, <-ended, context.Canceled)
	}
}

func others(ids []transport.NodeID, self transport.NodeID) (all []transport.NodeID) {
	for _, id := range ids {
		if id != self {
			all = append(all, id)
		}
	}
	return all
}
