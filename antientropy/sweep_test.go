package antientropy_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/vclock"
)

// A key with a deadline ends everywhere by itself, and loops delete it without a difference in between.
func TestWhatHasEndedIsSwept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		network := &mem.Network{Seed: 1}
		ids := []transport.NodeID{"a", "b"}
		stores := map[transport.NodeID]*store.Store{}
		var all sync.WaitGroup
		defer all.Wait()
		defer cancel()
		for _, id := range ids {
			s := store.New(store.Config{Replica: vclock.Named(string(id)), Grace: 5 * time.Second})
			stores[id] = s
			l := &antientropy.Loop{Store: s, Pace: antientropy.Pace{Interval: time.Second}, Peers: antientropy.Static(slices.DeleteFunc(slices.Clone(ids), func(o transport.NodeID) bool { return o == id })...)}
			l.Caller = network.Node(id, l.Handler())
			all.Go(func() { _ = l.Run(ctx) })
		}
		var session store.Batch
		store.Put(&session, "session", func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] { return s.Add(by.Replica, "x") })
		session.Expire("session", time.Now().Add(time.Minute))
		_, err := stores["a"].Apply(&session)
		require.NoError(t, err)

		time.Sleep(59 * time.Second)
		require.Equal(t, []string{"session"}, slices.Collect(stores["b"].Keys("")))
		before := stores["b"].Index().Root()
		time.Sleep(2 * time.Second)
		for _, s := range stores {
			require.Empty(t, slices.Collect(s.Keys("")))
			require.Equal(t, before, s.Index().Root(), "hidden, and not changed")
		}
		time.Sleep(8 * time.Second)
		require.NotEqual(t, before, stores["a"].Index().Root())
		require.Equal(t, stores["a"].Index().Root(), stores["b"].Index().Root())
		require.Zero(t, stores["b"].Len())
	})
}
