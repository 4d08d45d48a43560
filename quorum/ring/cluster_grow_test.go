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

// A journal is what was acknowledged, by key.
type journal struct {
	mu       sync.Mutex
	acked    map[string][]string // by majorities
	one      map[string][]string // by one owner
	changing int                 // writes of majorities while the ring changed
	reads    int                 // that were answered meanwhile
}

func (j *journal) wrote(level quorum.Level, key, element string, changing bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if level == quorum.One {
		j.one[key] = append(j.one[key], element)
		return
	}
	j.acked[key] = append(j.acked[key], element)
	if changing {
		j.changing++
	}
}

func (j *journal) read(changing bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if changing {
		j.reads++
	}
}

func (j *journal) of(key string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.acked[key])
}

// A flaky caller does not reach others now and then: so what is written is with hardly more owners than
// its level asks for.
type flaky struct {
	transport.Caller
	mu  sync.Mutex
	rng *rand.Rand
}

func (f *flaky) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	f.mu.Lock()
	fails := f.rng.IntN(10) < 3
	f.mu.Unlock()
	if fails {
		return nil, transport.ErrUnreachable
	}
	return f.Caller.Call(ctx, to, method, req)
}

// Writes are acknowledged by majorities, by way of all nodes, while the owners of each key become
// seven where they were five, some members join, and an owner is away for a while. Nothing
// else carries writes, neither hints nor anti-entropy. Each read sees what was acknowledged before it began, or is
// refused. What one owner alone has acknowledged is not lost either.
func TestTrap19_GrowFrom5To7(t *testing.T) {
	link := mem.Link{Latency: 2 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.01}
	inBubbles(t, 2, link, func(c *cluster, seed uint64) {
		c.quiet, c.forgetful = true, true
		c.tap = func(n *node, to transport.Caller) transport.Caller {
			return &flaky{Caller: to, rng: rand.New(rand.NewPCG(seed, uint64(n.id[1])))}
		}
		first, err := ring.New(ring.Config{Partitions: 16, Replicas: 5, Members: members(0, 6)})
		require.NoError(c, err)
		c.start(first, members(0, 6))
		c.start(nil, members(6, 9))

		j := &journal{acked: map[string][]string{}, one: map[string][]string{}}
		ctx, done := context.WithCancel(c.ctx)
		var writers sync.WaitGroup
		for i, m := range members(0, 9) {
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			writers.Go(func() { c.growing(ctx, c.nodes[m.ID], rng, j) })
		}
		time.Sleep(time.Second)
		next, err := first.Change(members(0, 9), 7)
		require.NoError(c, err)
		c.net.Down("n1") // which is needed, as it will be an owner of something
		require.NoError(c, c.nodes["n2"].ring.Adopt(next))
		c.eventually("it waits for n1 alone", func() bool {
			s := c.nodes["n2"].ring.Stats()
			return s.Changing && slices.Equal(s.Waits, []transport.NodeID{"n1"})
		})
		c.net.Up("n1")
		c.eventually("the change is over", func() bool { return c.settled(3, members(0, 9)) })
		done()
		writers.Wait()
		for i := range 40 {
			for _, n := range c.nodes {
				c.sees(n, fmt.Sprint("cart", i), j, quorum.ReadOptions{Repair: quorum.RepairOff})
			}
		}
		c.Logf("%d writes and %d reads while the ring changed", j.changing, j.reads)
		require.Greater(c, j.changing, 10) // how many depends on how goroutines run
		require.Positive(c, j.reads)

		c.spread(members(0, 9))
		last := c.nodes["n0"].ring.Ring()
		c.eventually("all have what they own, and nothing else", func() bool {
			return c.onlyOwners(last) && c.owned(last, j)
		})
	})
}

// growing writes, and reads by way of the same node, until ctx ends.
func (c *cluster) growing(ctx context.Context, n *node, rng *rand.Rand, j *journal) {
	w := newClient("client-" + string(n.id))
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(rng.IntN(100)) * time.Millisecond):
		}
		key, element := fmt.Sprint("cart", rng.IntN(40)), fmt.Sprint(n.id, "-", i)
		level := []quorum.Level{quorum.Majority, quorum.Majority, quorum.Majority, quorum.One}[i%4]
		if _, err := n.coord.Write(c.ctx, key, w.add(c, key, element), quorum.WriteOptions{Level: level}); err == nil {
			j.wrote(level, key, element, n.ring.Stats().Changing)
		}
		if i%4 == 0 && c.sees(n, fmt.Sprint("cart", rng.IntN(40)), j, quorum.ReadOptions{}) {
			j.read(n.ring.Stats().Changing)
		}
	}
}

// sees reports whether a read is answered. If it is, it has all that was acknowledged before.
func (c *cluster) sees(n *node, key string, j *journal, opts quorum.ReadOptions) bool {
	want := j.of(key)
	res, err := n.coord.Read(c.ctx, key, opts)
	if err != nil {
		return false
	}
	if got := c.cart(res.State); slices.ContainsFunc(want, func(e string) bool { return !got.Has(e) }) {
		c.Errorf("%s reads %d of %s from %d of %d owners, and %v were acknowledged", n.id, got.Len(), key, res.Answered, res.Owners, want)
	}
	return true
}

// owned reports whether all owners have all that was acknowledged.
func (c *cluster) owned(r *ring.Ring, j *journal) bool {
	for key := range j.acked {
		want := slices.Concat(j.acked[key], j.one[key])
		for _, id := range r.Place(c.nodes["n0"].store.Index().Hasher().Position(key)).Owners {
			state, err := c.nodes[id].store.Load(c.Context(), key)
			require.NoError(c, err)
			if got := c.cart(state); slices.ContainsFunc(want, func(e string) bool { return !got.Has(e) }) {
				return false
			}
		}
	}
	return true
}
