package ring_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

var quick = mem.Link{Latency: time.Millisecond, Jitter: 5 * time.Millisecond}

// settle starts so many nodes of a ring with so many replicas.
func (c *cluster) settle(nodes, replicas int) *ring.Ring {
	r, err := ring.New(ring.Config{Partitions: 8, Replicas: replicas, Members: members(0, nodes)})
	require.NoError(c, err)
	c.start(r, members(0, nodes))
	return r
}

// has reports whether a node holds something of a key, itself or for others.
func (c *cluster) has(n *node, key string) bool {
	state, err := n.store.Load(c.Context(), key)
	require.NoError(c, err)
	held, err := n.hints.Held(c.Context(), key)
	require.NoError(c, err)
	return len(state)+len(held) > 0
}

// A witness notes when a node answered that had something of a key.
type witness struct {
	transport.Caller
	c   *cluster
	key string

	mu   sync.Mutex
	last time.Time
}

func (w *witness) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	had := w.c.has(w.c.nodes[to], w.key)
	resp, err := w.Caller.Call(ctx, to, method, req)
	if err == nil && had && w.c.has(w.c.nodes[to], w.key) { // hints go, when they are delivered
		w.mu.Lock()
		w.last = time.Now()
		w.mu.Unlock()
	}
	return resp, err
}

// knew reports whether one such had answered before now, and since then.
func (w *witness) knew(since time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.last.After(since) && w.last.Before(time.Now())
}

// All owners are away, others stand in for them, and the owners return. Until they have what was kept
// for them, a read says that owners have not confirmed it, or that owners have nothing, which it does only
// if nobody who had answered has something.
func TestTrap18_WrittenToFallbacksOwnersReturn(t *testing.T) {
	all := map[string]int{} // answers of reads, while owners return
	inBubbles(t, 20, quick, func(c *cluster, seed uint64) {
		const key = "cart"
		witnesses := map[transport.NodeID]*witness{}
		c.quiet = true
		c.tap = func(n *node, to transport.Caller) transport.Caller {
			witnesses[n.id] = &witness{Caller: to, c: c, key: key}
			return witnesses[n.id]
		}
		c.settle(7, 3)
		p := c.nodes["n0"].ring.Place(key)
		for _, id := range p.Owners {
			c.net.Down(id)
		}
		by := c.nodes[p.Fallbacks[2]]
		sloppy := quorum.ReadOptions{Level: quorum.Two, Fallbacks: quorum.FallbacksCount}
		w, err := by.coord.Write(c.ctx, key, newClient("client").add(c, key, "milk"), quorum.WriteOptions{Level: quorum.Two, Fallbacks: quorum.FallbacksCount})
		require.NoError(c, err)
		require.Zero(c, w.Answered)
		require.GreaterOrEqual(c, w.StoodIn, 2)
		res, err := by.coord.Read(c.ctx, key, sloppy)
		require.NoError(c, err)
		require.True(c, res.Found)
		require.Equal(c, []int{0, 2}, []int{res.Answered, res.StoodIn}, "by no owner")
		_, err = by.coord.Read(c.ctx, key, quorum.ReadOptions{Level: quorum.Two, Fallbacks: quorum.FallbacksCount, Primary: quorum.One})
		require.Error(c, err)
		_, err = by.coord.Read(c.ctx, key, quorum.ReadOptions{Level: quorum.Two})
		require.Error(c, err, "errors are no answers")

		time.Sleep(20 * time.Second) // until it is tried seldom whether they are back
		rng := rand.New(rand.NewPCG(seed, 0))
		away := slices.Clone(p.Owners)
		for i := 0; c.hinted() > 0; i++ {
			require.Less(c, i, 1000, "hints are delivered")
			if len(away) > 0 && rng.IntN(4) == 0 {
				c.net.Up(away[0])
				away = away[1:]
			}
			n := c.nodes[transport.NodeID(fmt.Sprint("n", rng.IntN(7)))]
			all[c.returning(n, witnesses[n.id], []quorum.ReadOptions{{Level: quorum.Two}, sloppy}[i%2])]++
			time.Sleep(50 * time.Millisecond) // what the last one left behind has ended
		}
		for _, n := range c.nodes {
			res, err := n.coord.Read(c.ctx, key, quorum.ReadOptions{Level: quorum.Two})
			require.NoError(c, err)
			require.True(c, res.Found && res.StoodIn == 0 && c.cart(res.State).Has("milk"))
		}
		require.True(c, c.onlyOwners(c.nodes["n0"].ring.Ring()))
	})
	t.Log(all)
	for _, told := range []string{refused, found, foundByOthers, notFound} {
		require.Positive(t, all[told], told)
	}
}

// What a read says, while owners return.
const (
	refused       = "refused"
	found         = "found"
	foundByOthers = "found, and not confirmed by two owners"
	notFound      = "not found, by two owners"
	notConfirmed  = "not found, and not confirmed by two owners"
)

// returning reads while owners return, and says what the answer was.
func (c *cluster) returning(n *node, w *witness, opts quorum.ReadOptions) string {
	began, had := time.Now(), false
	if slices.Contains(n.ring.Place(w.key).Owners, n.id) {
		had = c.has(n, w.key)
	}
	res, err := n.coord.Read(c.ctx, w.key, opts)
	switch {
	case err != nil:
		return refused
	case res.Found:
		require.True(c, c.cart(res.State).Has("milk"))
		if res.Answered < 2 {
			require.Positive(c, res.StoodIn)
			return foundByOthers
		}
		return found
	}
	require.False(c, had || w.knew(began), "%s says not found, and knows better", n.id)
	if res.Answered < 2 {
		require.Positive(c, res.StoodIn)
		return notConfirmed
	}
	return notFound
}

// Level any: owners have nothing of a write, and all of them leave the ring for good before whoever keeps it
// reaches anybody. The owners that follow have it in the end.
func TestTrap27_HintsOfADepartedOwnerReachTheNewOnes(t *testing.T) {
	inBubbles(t, 4, quick, func(c *cluster, _ uint64) {
		const key = "cart"
		first, err := ring.New(ring.Config{Partitions: 8, Replicas: 3, Members: members(0, 3)})
		require.NoError(c, err)
		c.start(first, members(0, 3))
		c.start(first, members(9, 10)) // n9 is no member, and serves clients
		c.start(nil, members(3, 6))
		keeper := c.nodes["n9"]
		c.net.Partition([]transport.NodeID{"n9"})
		w, err := keeper.coord.Write(c.ctx, key, newClient("client").add(c, key, "milk"), quorum.WriteOptions{Level: quorum.Any})
		require.NoError(c, err)
		require.Zero(c, w.Answered)

		next, err := first.Change(members(3, 6), 3)
		require.NoError(c, err)
		require.NoError(c, c.nodes["n0"].ring.Adopt(next))
		c.eventually("the others are owners", func() bool { return c.settled(3, members(0, 6)) })
		require.Equal(c, 3, c.hinted())
		for _, m := range members(0, 3) {
			c.net.Down(m.ID)
		}
		c.net.Heal()
		require.NoError(c, keeper.ring.Refresh(c.ctx, "n3")) // all whom it knows are gone
		last := keeper.ring.Ring()
		c.eventually("the owners have it, and nobody else", func() bool {
			return c.hinted() == 0 && c.has(c.nodes["n3"], key) && c.onlyOwners(last)
		})
		require.EqualValues(c, 3, keeper.hints.Stats().Reclaimed)
		for _, m := range members(3, 6) {
			res, err := c.nodes[m.ID].coord.Read(c.ctx, key, quorum.ReadOptions{Level: quorum.All})
			require.NoError(c, err)
			require.True(c, c.cart(res.State).Has("milk"))
		}
	})
}
