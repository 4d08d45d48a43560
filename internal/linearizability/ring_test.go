package linearizability

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// A placed node holds some of the keys, by a ring that changes.
type placed struct {
	store *store.Store
	keep  *ring.Keeper
	loop  *antientropy.Loop
}

// join adds a node, which runs until ctx ends.
func (c *cluster) join(ctx context.Context, runs *sync.WaitGroup, kinds *crdt.Kinds, id transport.NodeID, ahead bool) *ring.Keeper {
	n := &placed{store: store.New(store.Config{Kinds: kinds})}
	var calls transport.Mux
	caller := c.net.Node(id, &calls)
	n.keep = &ring.Keeper{
		Self: id, Caller: caller, Hasher: n.store.Index().Hasher(), Store: n.store,
		Transfer: func(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error {
			_, err := n.loop.ExchangeRanges(ctx, peer, ranges)
			return err
		},
		HandOver: func(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error {
			_, err := n.loop.HandOver(ctx, peer, ranges)
			return err
		},
	}
	others := func() (ids []transport.NodeID) {
		if r := n.keep.Ring(); r != nil {
			for _, m := range r.Members() {
				if m.ID != id {
					ids = append(ids, m.ID)
				}
			}
		}
		return ids
	}
	n.loop = &antientropy.Loop{Self: id, Store: n.store, Caller: caller, Peers: others, Shared: n.keep.Shared, Seed: 1}
	r := &caspaxos.Registers{Self: id, Local: newSlow(n.store, 1), Kinds: kinds, Ring: n.keep, Caller: caller, Ahead: ahead}
	calls.Handle("antientropy/", n.loop.Handler())
	calls.Handle("ring/", n.keep.Handler())
	calls.Handle("caspaxos/", r.Handler())
	c.nodes = append(c.nodes, r)
	for _, run := range []func(context.Context) error{n.keep.Run, n.loop.Run} {
		runs.Go(func() { _ = run(ctx) })
	}
	return n.keep
}

func members(from, to int) (all []ring.Member) {
	for i := from; i < to; i++ {
		all = append(all, ring.Member{ID: transport.NodeID(fmt.Sprintf("n%d", i))})
	}
	return all
}

// moving returns what clients saw while all their keys moved from some nodes to others.
func moving(t *testing.T, seed uint64, from, to []ring.Member, ahead bool) (past map[string][]porcupine.Operation) {
	synctest.Test(t, func(t *testing.T) {
		table, err := crdt.Standard().With(caspaxos.Kind)
		require.NoError(t, err)
		c := &cluster{
			net:  &mem.Network{Seed: seed, Refuse: true, Link: mem.Link{Latency: time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.01, Duplicate: 0.02, Reorder: 0.1}},
			past: make(map[string][]porcupine.Operation), pause: 500 * time.Millisecond,
		}
		ctx, cancel := context.WithCancel(t.Context())
		var runs, wg sync.WaitGroup
		first, err := ring.New(ring.Config{Members: from, Partitions: 16})
		require.NoError(t, err)
		keepers := make(map[transport.NodeID]*ring.Keeper)
		for _, m := range append(from[:len(from):len(from)], to...) {
			if keepers[m.ID] == nil {
				keepers[m.ID] = c.join(ctx, &runs, table, m.ID, ahead)
			}
		}
		for _, m := range from {
			require.NoError(t, keepers[m.ID].Adopt(first))
		}
		for i := range clients {
			wg.Go(func() { c.client(t.Context(), i, rand.New(rand.NewPCG(seed, uint64(i+2))), false) })
		}
		time.Sleep(time.Second)
		next, err := first.Change(to, 0)
		require.NoError(t, err)
		require.NoError(t, keepers[from[0].ID].Adopt(next))
		wg.Wait()
		for range 120 {
			if s := keepers[to[0].ID].Stats(); s.Epoch == next.Epoch()+1 && s.Gives == 0 {
				break
			}
			time.Sleep(time.Second)
		}
		require.False(t, keepers[to[0].ID].Ring().Changing(), "the change has come to its end")
		for i, key := range keys {
			in := input{kind: reads, key: key}
			called := c.moments.Add(1)
			v, err := c.nodes[i].Read(t.Context(), key)
			for n := 0; err != nil && n < 20; n++ {
				v, err = c.nodes[i].Read(t.Context(), key) // messages are lost still
			}
			require.NoError(t, err)
			c.note(clients, in, output{text: string(v.Data)}, called)
		}
		cancel()
		runs.Wait()
		past = c.past
		time.Sleep(time.Minute)
	})
	return past
}

// Registers stay what they are while the nodes that hold them change.
func TestRegistersMove(t *testing.T) {
	for name, to := range map[string][]ring.Member{"to more nodes": members(0, 5), "to all others": members(3, 6)} {
		for _, ahead := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, ahead %v", name, ahead), func(t *testing.T) {
				var all [3]int
				n := max(1, *seeds/5)
				for seed := range uint64(n) {
					ok, counts := linearizable(moving(t, seed, members(0, 3), to, ahead))
					require.True(t, ok, "seed %d", seed)
					for i, n := range counts {
						all[i] += n
					}
				}
				t.Logf("%d made, %d in conflict, %d unknown", all[0], all[1], all[2])
				require.Greater(t, all[0], 10*n)
			})
		}
	}
}
