package session

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/stretchr/testify/require"
)

// placed are nodes of which any that has a ring coordinates.
type placed struct {
	nodes  []*node
	random *rand.Rand
}

func (p *placed) Read(ctx context.Context, key string, o quorum.ReadOptions) (quorum.ReadResult, error) {
	return p.any().Read(ctx, key, o)
}

func (p *placed) Write(ctx context.Context, key string, delta []byte, o quorum.WriteOptions) (quorum.WriteResult, error) {
	return p.any().Write(ctx, key, delta, o)
}

func (p *placed) any() *quorum.Coordinator {
	for {
		if n := p.nodes[p.random.IntN(len(p.nodes))]; n.ring.Ring() != nil {
			return n.coord
		}
	}
}

// newest returns the node that knows of the latest ring.
func (p *placed) newest() (last *node) {
	for _, n := range p.nodes {
		if n.ring.Ring() != nil && (last == nil || n.ring.Ring().Epoch() > last.ring.Ring().Epoch()) {
			last = n
		}
	}
	return last
}

// placedOn starts six nodes, of which three hold all keys. With an interval, they are reconciled so often.
func placedOn(ctx context.Context, t *testing.T, net *mem.Network, interval time.Duration) (*placed, *sync.WaitGroup) {
	everybody := members(0, 6)
	r, err := ring.New(ring.Config{Partitions: 16, Members: members(0, 3)})
	require.NoError(t, err)
	all, runs := &placed{random: rand.New(rand.NewPCG(2, 12))}, new(sync.WaitGroup)
	for i, m := range everybody {
		n := newNode(net, m.ID, everybody)
		all.nodes = append(all.nodes, n)
		if i < 3 {
			require.NoError(t, n.ring.Adopt(r))
		}
		if interval > 0 {
			n.loop.Interval, n.loop.Store = interval, struct{ antientropy.Store }{n.store} // without deltas
			runs.Go(func() { _ = n.loop.Run(ctx) })
		}
		runs.Go(func() { _ = n.ring.Run(ctx) })
	}
	return all, runs
}

// change replaces all owners of some keys, and has them come back. Each time it has something done, and says what the epoch
// is while the ring changes.
func (p *placed) change(t *testing.T, then func(joint uint64)) {
	for _, to := range [][]ring.Member{members(2, 6), members(0, 4)} {
		at := p.nodes[2].ring
		next, err := at.Ring().Change(to, 0)
		require.NoError(t, err)
		require.NoError(t, at.Adopt(next))
		then(next.Epoch())
	}
}

// setOf is a state of one element.
func setOf(t *testing.T, element string) []byte {
	b, err := crdt.Standard().Append(nil, new(crdt.GSet[string]).Add(element))
	require.NoError(t, err)
	return b
}

// elements are those of a state.
func (n *node) elements(t *testing.T, state []byte) *crdt.GSet[string] {
	got := new(crdt.GSet[string])
	if len(state) > 0 {
		v, err := n.store.Decode(state)
		require.NoError(t, err)
		got, _ = crdt.Component[*crdt.GSet[string]](crdt.Standard(), v)
	}
	return got
}

// lacking returns how many of some elements the owners of a key lack, the one that lacks most.
func (p *placed) lacking(t *testing.T, key string, elements []string) (most int) {
	for _, id := range p.newest().ring.Place(key).Owners {
		n := p.nodes[id[1]-'0']
		state, err := n.store.Load(t.Context(), key)
		require.NoError(t, err)
		got := n.elements(t, state)
		lacks := 0
		for _, e := range elements {
			if !got.Has(e) {
				lacks++
			}
		}
		most = max(most, lacks)
	}
	return most
}

// On real nodes, while all owners of some keys are replaced, and come back: whoever is an owner lacks no more than it
// may. There is no anti-entropy but what rings ask for. The control: without the type owners lack more.
func TestVersionsBehindWhileTheRingChanges(t *testing.T) {
	for _, bounded := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) { versionsWhileTheRingChanges(t, bounded) })
	}
}

func versionsWhileTheRingChanges(t *testing.T, bounded bool) {
	const most = 3
	ctx, stop := context.WithCancel(t.Context())
	net := &mem.Network{Seed: 1, Refuse: true, Link: mem.Link{Latency: time.Millisecond, Jitter: 3 * time.Millisecond}}
	all, runs := placedOn(ctx, t, net, 0)
	var q Quorum = all
	if bounded {
		q = &VersionBound{Quorum: all, Most: most}
	}
	acked, refused, worst := map[string][]string{}, 0, 0
	work := func(turns int) {
		for i := range turns {
			key, element := fmt.Sprint("key ", all.random.IntN(6)), fmt.Sprint(i, all.random.Uint32())
			if _, err := q.Write(t.Context(), key, setOf(t, element), quorum.WriteOptions{}); err == nil {
				acked[key] = append(acked[key], element)
			} else {
				refused++
			}
			for key, elements := range acked {
				worst = max(worst, all.lacking(t, key, elements))
			}
			time.Sleep(time.Duration(all.random.IntN(20)) * time.Millisecond)
		}
	}
	work(60)
	all.change(t, func(joint uint64) {
		work(200)
		time.Sleep(100 * time.Second) // until those who left have dropped what they had
		require.Greater(t, all.nodes[2].ring.Stats().Epoch, joint)
		work(60)
	})
	t.Logf("bounded %v: %d of %d writes were refused; owners lacked %d at most", bounded, refused, 580, worst)
	if bounded {
		require.LessOrEqual(t, worst, most)
		require.Less(t, refused, 290)
	} else {
		require.Greater(t, worst, most, "the control")
	}
	stop()
	runs.Wait()
	time.Sleep(time.Minute)
}

// shifting is a ring that is changed by hand.
type shifting struct {
	mu sync.Mutex
	quorum.Placement
}

func (r *shifting) Place(string) quorum.Placement {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Placement
}

func (r *shifting) move(owners ...nodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Placement = quorum.Placement{Owners: owners, Version: r.Version + 1}
}

// A liar is a Quorum that says of what one owner has acknowledged that a majority has.
type liar struct{ Quorum }

func (l liar) Write(ctx context.Context, key string, delta []byte, o quorum.WriteOptions) (quorum.WriteResult, error) {
	o.Primary = 0
	res, err := l.Quorum.Write(ctx, key, delta, o)
	if err == nil {
		res.Holders.Majority = true
	}
	return res, err
}

// A full replica takes nothing more.
type full struct {
	*sets
	is atomic.Bool
}

func (f *full) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	if f.is.Load() {
		return nil, errDown
	}
	return f.sets.Merge(ctx, key, state)
}

// Why a majority acknowledges: what one owner alone has, which owns the key no more and has not handed it over yet, those who
// came have not got, and no read at All finds it. So it would be lacked, and not counted.
func TestVersionBoundIsOfWhatMajoritiesHold(t *testing.T) {
	for _, lies := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			net, all, at := group()
			ring, e := new(shifting), &full{sets: at["e"]}
			ring.move("a", "b", "c")
			for _, c := range all {
				c.Ring = ring
			}
			all["e"].Local = e
			b, acked := &VersionBound{Most: 2}, []byte(nil)
			add := func(by nodeID, element byte) {
				if b.Quorum = all[by]; lies {
					b.Quorum = liar{b.Quorum}
				}
				if _, err := b.Write(t.Context(), "k", []byte{element}, quorum.WriteOptions{Level: quorum.One}); err == nil {
					acked = append(acked, element)
				}
				time.Sleep(time.Minute)
			}
			add("a", 1)
			net.set(net.gone, true, "b", "c")
			add("a", 2)
			net.set(net.gone, false, "b", "c")
			for _, to := range []nodeID{"d", "e"} { // they get what a majority has
				_, _ = at[to].Merge(t.Context(), "k", []byte{1})
			}
			ring.move("c", "d", "e")
			e.is.Store(true)
			for element := range byte(3) {
				add("c", 3+element)
			}
			have, err := e.Load(t.Context(), "k")
			require.NoError(t, err)
			both, _ := union(have, acked)
			require.Equal(t, lies, len(both)-len(have) > b.Most, "%v of %v", have, acked)
			require.Equal(t, lies, slices.Contains(acked, 2))
			require.NotContains(t, acked, byte(5), "two are lacked by then")
		})
	}
}
