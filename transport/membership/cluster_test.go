package membership_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/membership"
	"github.com/eventual-go/eventual/transport/tcp"
	"github.com/eventual-go/eventual/vclock"
)

var (
	secret = []byte("0123456789abcdef")
	pace   = membership.Pace{Probe: 200 * time.Millisecond, ProbeTimeout: 100 * time.Millisecond, Suspicion: 4,
		Gossip: 10 * time.Millisecond, Sync: 200 * time.Millisecond}
	policy = membership.Policy{JoinAfter: 300 * time.Millisecond, LeaveAfter: 100 * time.Millisecond, TakeOverAfter: time.Second}
)

// A node is one of a cluster, put together of what users have, over TCP.
type node struct {
	*testing.T
	id      transport.NodeID
	tcp     *tcp.Transport
	store   *store.Store
	ring    *ring.Keeper
	loop    *antientropy.Loop
	coord   *quorum.Coordinator
	rings   *caspaxos.Registers
	members *membership.Members
	planner *membership.Planner
	gossip  func() // ends it, and waits
	stop    func() // ends the rest, and waits

	mu    sync.Mutex
	plans []membership.Plan
}

func newNode(t *testing.T, id transport.NodeID) *node {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	kinds, err := crdt.Standard().With(caspaxos.Kind)
	require.NoError(t, err)
	n := &node{T: t, id: id, store: store.New(store.Config{Replica: vclock.Named(string(id)), Kinds: kinds})}
	n.members = &membership.Members{Self: id, Cluster: "test", Keys: [][]byte{secret}, Addr: ln.Addr().String(), Listen: "127.0.0.1:0", Pace: pace}
	n.tcp = &tcp.Transport{Self: id, Cluster: "test", Plain: true, Resolve: n.members.Resolve}
	n.ring = &ring.Keeper{
		Self: id, Caller: n.tcp, Hasher: n.store.Index().Hasher(), Store: n.store,
		Transfer: n.reconcile, HandOver: n.handOver, Interval: 50 * time.Millisecond,
	}
	n.loop = &antientropy.Loop{Self: id, Store: n.store, Caller: n.tcp, Peers: n.members.Peers, Shared: n.ring.Shared}
	n.coord = &quorum.Coordinator{Self: id, Local: n.store, Ring: n.ring, Caller: n.tcp, Join: n.store.Join}
	n.rings = &caspaxos.Registers{Self: id, Local: n.store, Kinds: kinds, Ring: n.ring, Caller: n.tcp}
	n.planner = &membership.Planner{
		Self: id, Members: n.members.All, Keeper: n.ring, Policy: policy, Interval: 50 * time.Millisecond,
		Agree: n.agree, OnPlan: n.onPlan,
	}
	n.start(ln)
	return n
}

func (n *node) start(ln net.Listener) {
	var calls transport.Mux
	calls.Handle("antientropy/", n.loop.Handler())
	calls.Handle("ring/", n.ring.Handler())
	calls.Handle("quorum/", n.coord.Handler())
	calls.Handle("caspaxos/", n.rings.Handler())
	n.stop = n.run(n.ring.Run, n.loop.Run, n.planner.Run,
		func(ctx context.Context) error { return n.tcp.Serve(ctx, ln, &calls) })
	n.startGossip()
	n.Cleanup(func() {
		n.gossip()
		n.stop()
		n.tcp.Close()
		n.store.Close()
	})
}

func (n *node) startGossip() {
	n.gossip = n.run(n.members.Run)
	require.NoError(n, n.members.Join(n.Context()))
}

// run runs parts until what it returns is called, once or more.
func (n *node) run(parts ...func(context.Context) error) func() {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for _, part := range parts {
		group.Go(func() { _ = part(ctx) })
	}
	return func() { cancel(); group.Wait() }
}

func (n *node) reconcile(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error {
	_, err := n.loop.ExchangeRanges(ctx, peer, ranges)
	return err
}

func (n *node) handOver(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error {
	_, err := n.loop.HandOver(ctx, peer, ranges)
	return err
}

// agree is what is proposed first for an epoch.
func (n *node) agree(ctx context.Context, epoch uint64, proposal []byte) ([]byte, error) {
	_, err := n.rings.Create(ctx, fmt.Sprintf("ring/%d", epoch), proposal)
	if taken, ok := errors.AsType[*caspaxos.ConflictError](err); ok {
		return taken.Current.Data, nil
	}
	return proposal, err
}

func (n *node) onPlan(p membership.Plan, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err == nil {
		n.plans = append(n.plans, p)
	}
}

func (n *node) at() string {
	for _, m := range n.members.All() {
		if m.ID == n.id {
			return m.Gossip
		}
	}
	return ""
}

func (n *node) status(id transport.NodeID) membership.Status {
	for _, m := range n.members.All() {
		if m.ID == id {
			return m.Status
		}
	}
	return 0
}

// through reports whether a node has a settled ring of these members, and has nothing left to do for it.
func (n *node) through(members ...transport.NodeID) bool {
	r, s := n.ring.Ring(), n.ring.Stats()
	if r == nil || s.Changing || s.Gives > 0 {
		return false
	}
	return slices.EqualFunc(r.Members(), members, func(m ring.Member, id transport.NodeID) bool { return m.ID == id })
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	require.Eventually(t, so, 30*time.Second, 10*time.Millisecond, what)
}

const keys = 60

// write has a key's value be an element, at a majority.
func (n *node) write(key, element string) {
	delta, err := store.Update(n.store, key, func(s *crdt.GSet[string], _ store.Writer) *crdt.GSet[string] { return s.Add(element) })
	require.NoError(n, err)
	b, err := delta.Bytes()
	require.NoError(n, err)
	_, err = n.coord.Write(n.Context(), key, b, quorum.WriteOptions{})
	require.NoError(n, err)
}

// readAll checks that all keys are there, by a majority.
func (n *node) readAll() {
	for i := range keys {
		got, err := n.coord.Read(n.Context(), fmt.Sprint("key", i), quorum.ReadOptions{})
		require.NoError(n, err)
		require.NotEmpty(n, got.State)
	}
}

// Four nodes; a fifth joins by a seed, and the ring follows; it leaves, and the ring follows; one of the others flaps,
// and nothing changes.
func TestARingFollowsItsMembers(t *testing.T) {
	t.Parallel()
	ids := []transport.NodeID{"n1", "n2", "n3", "n4"}
	var config ring.Config
	for _, id := range ids {
		config.Members = append(config.Members, ring.Member{ID: id})
	}
	first, err := ring.New(config)
	require.NoError(t, err)
	var all []*node
	for _, id := range ids {
		n := newNode(t, id)
		all = append(all, n)
		require.NoError(t, n.ring.Adopt(first))
		require.NoError(t, n.members.Join(t.Context(), all[0].at()))
	}
	eventually(t, "all know all", func() bool {
		return !slices.ContainsFunc(all, func(n *node) bool { return len(n.members.Peers()) != 3 })
	})
	for i := range keys {
		all[i%4].write(fmt.Sprint("key", i), "element")
	}

	n5 := newNode(t, "n5")
	require.NoError(t, n5.members.Join(t.Context(), all[2].at()))
	five := append(slices.Clone(ids), "n5")
	eventually(t, "n5 is in the ring", func() bool {
		return !slices.ContainsFunc(append(all, n5), func(n *node) bool { return !n.through(five...) })
	})
	require.EqualValues(t, 3, n5.ring.Ring().Epoch(), "by one change")
	require.Positive(t, n5.held(), "it has keys")
	n5.readAll()

	require.NoError(t, n5.members.Leave(t.Context()))
	eventually(t, "n5 is out of the ring, and has handed over", func() bool {
		return !slices.ContainsFunc(append(all, n5), func(n *node) bool { return !n.through(ids...) })
	})
	eventually(t, "it holds nothing", func() bool { return n5.held() == 0 })
	n5.gossip()
	n5.stop()
	eventually(t, "it has left", func() bool { return all[0].status("n5") == membership.Left })
	all[1].readAll()

	for range 2 {
		all[3].gossip()
		eventually(t, "n4 is dead", func() bool { return all[0].status("n4") == membership.Dead })
		all[3].startGossip()
		require.NoError(t, all[3].members.Join(t.Context(), all[0].at()))
		eventually(t, "n4 is back", func() bool { return all[0].status("n4") == membership.Alive })
	}
	for i, n := range all {
		require.True(t, n.through(ids...))
		require.EqualValues(t, 5, n.ring.Ring().Epoch())
		n.mu.Lock()
		require.Len(t, n.plans, []int{2, 0, 0, 0}[i], "the first one has decided")
		n.mu.Unlock()
	}
	all[0].readAll()
}

// held is how many of the keys a node has.
func (n *node) held() (held int) {
	for range n.store.Keys("key") {
		held++
	}
	return held
}
