package ring_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/handoff"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/vclock"
)

// A cluster is nodes put together of the parts that users have, on a network in memory. It lives in
// a bubble of testing/synctest.
type cluster struct {
	*testing.T
	net   *mem.Network
	nodes map[transport.NodeID]*node
	ctx   context.Context
	stop  context.CancelFunc
	runs  sync.WaitGroup

	quiet     bool // anti-entropy exchanges only what the ring asks for
	forgetful bool // no hints are kept
	tap       func(n *node, c transport.Caller) transport.Caller
}

// A node is one of them.
type node struct {
	id    transport.NodeID
	store *store.Store
	ring  *ring.Keeper
	loop  *antientropy.Loop
	hints *handoff.Handoff
	coord *quorum.Coordinator
}

// inBubbles runs a test with some seeds, in a bubble each.
func inBubbles(t *testing.T, seeds uint64, link mem.Link, test func(c *cluster, seed uint64)) {
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &cluster{T: t, nodes: map[transport.NodeID]*node{}, net: &mem.Network{Seed: seed + 1, Link: link, Refuse: true}}
				c.ctx, c.stop = context.WithCancel(t.Context())
				defer c.close()
				test(c, seed)
			})
		})
	}
}

// close waits for all that was left behind, too.
func (c *cluster) close() {
	c.stop()
	c.runs.Wait()
	time.Sleep(time.Minute)
}

func members(from, to int) (all []ring.Member) {
	for i := from; i < to; i++ {
		all = append(all, ring.Member{ID: transport.NodeID(fmt.Sprintf("n%d", i))})
	}
	return all
}

// start starts nodes: of a ring, or without one if that is nil.
func (c *cluster) start(r *ring.Ring, all []ring.Member) {
	for _, m := range all {
		n := c.build(m.ID)
		if r != nil {
			require.NoError(c, n.ring.Adopt(r))
		}
		for _, run := range []func(context.Context) error{n.ring.Run, n.hints.Run} {
			c.runs.Go(func() { _ = run(c.ctx) })
		}
	}
	if !c.quiet {
		c.spread(all)
	}
}

// spread has nodes run their anti-entropy.
func (c *cluster) spread(all []ring.Member) {
	for _, m := range all {
		loop := c.nodes[m.ID].loop
		c.runs.Go(func() { _ = loop.Run(c.ctx) })
	}
}

func (c *cluster) build(id transport.NodeID) *node {
	n := &node{id: id, store: store.New(store.Config{Replica: vclock.Named(string(id))})}
	c.nodes[id] = n
	var calls transport.Mux
	caller := c.net.Node(id, &calls)
	n.ring = &ring.Keeper{Self: id, Caller: caller, Hasher: n.store.Index().Hasher(), Store: n.store, Transfer: n.reconcile, HandOver: n.handOver}
	n.loop = &antientropy.Loop{Self: id, Store: n.store, Caller: caller, Peers: n.others, Shared: n.ring.Shared, Seed: 1}
	n.hints = &handoff.Handoff{Self: id, Caller: caller, Join: n.store.Join, Replica: n.store, Holds: n.ring.Holds, Seed: 1}
	n.coord = &quorum.Coordinator{Self: id, Local: n.store, Ring: n.ring, Caller: caller, Join: n.store.Join, Timeout: time.Second}
	if !c.forgetful {
		n.coord.Hints = n.hints
	}
	if c.tap != nil {
		n.coord.Caller = c.tap(n, caller)
	}
	calls.Handle("antientropy/", n.loop.Handler())
	calls.Handle("ring/", n.ring.Handler())
	calls.Handle("handoff/", n.hints.Handler())
	calls.Handle("quorum/", n.coord.Handler())
	return n
}

func (n *node) reconcile(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error {
	_, err := n.loop.ExchangeRanges(ctx, peer, ranges)
	return err
}

func (n *node) handOver(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error {
	_, err := n.loop.HandOver(ctx, peer, ranges)
	return err
}

func (n *node) others() (ids []transport.NodeID) {
	if r := n.ring.Ring(); r != nil {
		for _, m := range r.Members() {
			if m.ID != n.id {
				ids = append(ids, m.ID)
			}
		}
	}
	return ids
}

// eventually waits until something is so, for at most three minutes of the bubble's time.
func (c *cluster) eventually(what string, so func() bool) {
	c.Helper()
	for range 180 {
		if so() {
			return
		}
		time.Sleep(time.Second)
		synctest.Wait()
	}
	require.Fail(c, "never: "+what)
}

// settled reports whether some nodes are through with the ring of an epoch.
func (c *cluster) settled(epoch uint64, some []ring.Member) bool {
	return !slices.ContainsFunc(some, func(m ring.Member) bool {
		s := c.nodes[m.ID].ring.Stats()
		return s.Epoch != epoch || s.Gives > 0
	})
}

// hinted is how many hints are held.
func (c *cluster) hinted() (held int) {
	for _, n := range c.nodes {
		held += n.hints.Stats().Hints
	}
	return held
}

// onlyOwners reports whether each key that anybody has is with all its owners and nobody else.
func (c *cluster) onlyOwners(r *ring.Ring) bool {
	for _, n := range c.nodes {
		for key := range n.store.Keys("") {
			owners := r.Place(n.store.Index().Hasher().Position(key)).Owners
			for _, m := range c.nodes {
				state, err := m.store.Load(c.Context(), key)
				require.NoError(c, err)
				if slices.Contains(owners, m.id) != (len(state) > 0) {
					return false
				}
			}
		}
	}
	return true
}

// A client adds to carts and takes out of them, which it remembers as it has left them.
type client struct {
	name  vclock.ReplicaID
	carts map[string]*crdt.ORSet[string]
}

func newClient(name string) *client {
	return &client{vclock.Named(name), map[string]*crdt.ORSet[string]{}}
}

func (w *client) cart(key string) *crdt.ORSet[string] {
	if w.carts[key] == nil {
		w.carts[key] = new(crdt.ORSet[string])
	}
	return w.carts[key]
}

func (w *client) add(t *cluster, key, element string) []byte {
	return t.encoded(w.cart(key).Add(w.name, element))
}

func (c *cluster) encoded(s *crdt.ORSet[string]) []byte {
	b, err := crdt.Standard().Append(nil, s)
	require.NoError(c, err)
	return b
}

// cart is what is in a state.
func (c *cluster) cart(state []byte) *crdt.ORSet[string] {
	if len(state) == 0 {
		return new(crdt.ORSet[string])
	}
	v, err := store.New(store.Config{}).Decode(state)
	require.NoError(c, err)
	s, _ := crdt.Component[*crdt.ORSet[string]](crdt.Standard(), v)
	return s
}
