package session

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/vclock"
	"github.com/stretchr/testify/require"
)

// A node is put together of the parts that users have. What the ring asks for is all that is exchanged.
type node struct {
	store *store.Store
	ring  *ring.Keeper
	coord *quorum.Coordinator
	loop  *antientropy.Loop
}

// lossy does not reach others now and then, where quorums are concerned.
type lossy struct {
	transport.Caller
	mu  sync.Mutex
	rng *rand.Rand
}

func (f *lossy) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	f.mu.Lock()
	fails := f.rng.IntN(10) == 0
	f.mu.Unlock()
	if fails {
		return nil, transport.ErrUnreachable
	}
	return f.Caller.Call(ctx, to, method, req)
}

func newNode(net *mem.Network, id transport.NodeID, members []ring.Member) *node {
	n := &node{store: store.New(store.Config{Replica: vclock.Named(string(id))})}
	var calls transport.Mux
	caller := net.Node(id, &calls)
	loop := &antientropy.Loop{Self: id, Store: n.store, Caller: caller, Seed: 1, Peers: func() (ids []transport.NodeID) {
		for _, m := range members {
			if m.ID != id {
				ids = append(ids, m.ID)
			}
		}
		return ids
	}}
	n.ring = &ring.Keeper{
		Self: id, Caller: caller, Hasher: n.store.Index().Hasher(), Store: n.store,
		Transfer: func(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error {
			_, err := loop.ExchangeRanges(ctx, peer, ranges)
			return err
		},
		HandOver: func(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error {
			_, err := loop.HandOver(ctx, peer, ranges)
			return err
		},
	}
	loop.Shared, n.loop = n.ring.Shared, loop
	n.coord = &quorum.Coordinator{
		Self: id, Local: n.store, Ring: n.ring, Join: n.store.Join, Timeout: time.Second,
		Caller: &lossy{Caller: caller, rng: rand.New(rand.NewPCG(uint64(id[1]), 1))},
	}
	calls.Handle("antientropy/", loop.Handler())
	calls.Handle("ring/", n.ring.Handler())
	calls.Handle("quorum/", n.coord.Handler())
	return n
}

func members(from, to int) (all []ring.Member) {
	for i := from; i < to; i++ {
		all = append(all, ring.Member{ID: transport.NodeID(fmt.Sprintf("n%d", i))})
	}
	return all
}

// A client adds numbers to sets, and notes what it has added and read, by key.
type client struct {
	session *Session
	seen    map[string]*crdt.GSet[string]
	refused int
	done    int
	gaveUp  int
}

// failed gives up what is held by nobody any more who is an owner.
func (c *client) failed(err error) {
	c.refused++
	e, ok := errors.AsType[*quorum.UnavailableError](err)
	if ok && e.Condition == "owners that have what was seen" && len(e.Failures) == 0 {
		c.session.Forget(e.Key)
		delete(c.seen, e.Key)
		c.gaveUp++
	}
}

func (c *client) call(t *testing.T, by *node, key, element string, level quorum.Level) {
	c.session.Quorum = by.coord
	if c.seen[key] == nil {
		c.seen[key] = new(crdt.GSet[string])
	}
	c.done++
	if element != "" {
		delta := new(crdt.GSet[string]).Add(element)
		b, err := crdt.Standard().Append(nil, delta)
		require.NoError(t, err)
		if _, err = c.session.Write(t.Context(), key, b, quorum.WriteOptions{Level: level}); err == nil {
			c.seen[key] = with(c.seen[key], delta)
		} else {
			c.failed(err)
		}
		return
	}
	res, err := c.session.Read(t.Context(), key, quorum.ReadOptions{Level: quorum.One})
	if err != nil {
		c.failed(err)
		return
	}
	got := by.elements(t, res.State)
	require.True(t, includes(got, c.seen[key]), "read %v after %v", slices.Sorted(got.All()), slices.Sorted(c.seen[key].All()))
	c.seen[key] = with(c.seen[key], got)
}

// with returns what was seen, unless it was given up, and more.
func with(seen, more *crdt.GSet[string]) *crdt.GSet[string] {
	if seen == nil {
		seen = new(crdt.GSet[string])
	}
	seen.Merge(more)
	return seen
}

func includes(s, part *crdt.GSet[string]) bool {
	for e := range part.All() {
		if !s.Has(e) {
			return false
		}
	}
	return true
}

// Sessions go on by real nodes while all owners of some keys are replaced, and come back: nodes that
// leave hand over what they have and drop it. Reads ask one owner, by any coordinator, and contain
// what the client has read and written.
func TestSessionsWhileTheRingChanges(t *testing.T) {
	for seed := range uint64(3) {
		synctest.Test(t, func(t *testing.T) { whileTheRingChanges(t, seed) })
	}
}

func whileTheRingChanges(t *testing.T, seed uint64) {
	ctx, stop := context.WithCancel(t.Context())
	net := &mem.Network{Seed: seed + 1, Refuse: true, Link: mem.Link{Latency: time.Millisecond, Jitter: 3 * time.Millisecond}}
	everybody := members(0, 6)
	r, err := ring.New(ring.Config{Partitions: 16, Members: members(0, 3)})
	require.NoError(t, err)
	var runs sync.WaitGroup
	nodes := make([]*node, len(everybody))
	for i, m := range everybody {
		nodes[i] = newNode(net, m.ID, everybody)
		if i < 3 {
			require.NoError(t, nodes[i].ring.Adopt(r))
		}
		runs.Go(func() { _ = nodes[i].ring.Run(ctx) })
	}
	random := rand.New(rand.NewPCG(seed, 11))
	clients := make([]*client, 3)
	for i := range clients {
		clients[i] = &client{session: &Session{Max: 8}, seen: map[string]*crdt.GSet[string]{}}
	}
	work := func(turns int) {
		for i := range turns {
			c, by := clients[random.IntN(3)], nodes[random.IntN(len(nodes))]
			if by.ring.Ring() == nil {
				continue
			}
			element := ""
			if random.IntN(3) == 0 {
				element = fmt.Sprint(i, random.Uint32())
			}
			c.call(t, by, fmt.Sprint("key ", random.IntN(6)), element, quorum.Majority)
			time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
		}
	}
	work(50)
	for _, to := range [][]ring.Member{members(2, 6), members(0, 4)} {
		at := nodes[2].ring
		next, err := at.Ring().Change(to, 0)
		require.NoError(t, err)
		require.NoError(t, at.Adopt(next))
		work(300)
		for range 100 { // until those who left have dropped what they had
			time.Sleep(time.Second)
		}
		require.Greater(t, at.Stats().Epoch, next.Epoch())
		work(100)
	}
	for _, c := range clients {
		t.Logf("%d of %d calls were refused; %d keys were given up", c.refused, c.done, c.gaveUp)
		require.Less(t, 3*c.refused, c.done)
	}
	stop()
	runs.Wait()
	time.Sleep(time.Minute)
}
