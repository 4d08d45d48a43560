package session

import (
	"context"
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
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/vclock"
	"github.com/stretchr/testify/require"
)

// compared says when the replica of a loop was last compared with those of other owners, as a program has it.
func compared(l *antientropy.Loop, others []nodeID, when func(antientropy.PeerStats) time.Time) []time.Time {
	all := make([]time.Time, len(others))
	for _, p := range l.Stats().Peers {
		all[slices.Index(others, p.Peer)] = when(p)
	}
	return all
}

// Reads within a bound, of a node whom writes reach late, contain what was acknowledged before that, where the bound is told of by real loops:
// with deltas or without, over slow links that lose messages. The control: by LastSync they do not.
func TestBoundByCoveredIsKept(t *testing.T) {
	covered := func(p antientropy.PeerStats) time.Time { return p.Covered }
	lastSync := func(p antientropy.PeerStats) time.Time { return p.LastSync }
	for _, deltas := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			late, alone, reads := bounded(t, deltas, covered)
			t.Logf("%d of %d reads asked nobody else", alone, reads)
			require.Zero(t, late)
			require.Greater(t, alone, reads/20)
			require.Less(t, alone, reads, "some have to ask")
		})
	}
	synctest.Test(t, func(t *testing.T) {
		late, _, _ := bounded(t, false, lastSync)
		require.NotZero(t, late, "the control")
	})
}

// bounded returns how many reads lacked something, and how many asked nobody else.
func bounded(t *testing.T, deltas bool, when func(antientropy.PeerStats) time.Time) (late, alone, reads int) {
	const within = 2500 * time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	net := &mem.Network{Seed: 4, Link: mem.Link{Latency: 100 * time.Millisecond, Jitter: 200 * time.Millisecond, Loss: 0.01}}
	ids := quorum.Everywhere{"n0", "n1", "n2"}
	nodes, loops := map[nodeID]*node{}, map[nodeID]*antientropy.Loop{}
	var runs sync.WaitGroup
	for _, id := range ids {
		n := &node{store: store.New(store.Config{Replica: vclock.Named(string(id))})}
		var calls transport.Mux
		caller := net.Node(id, &calls)
		l := &antientropy.Loop{
			Store: n.store, Caller: caller, Seed: 1, Pace: antientropy.Pace{Interval: 2 * time.Second, PushDelay: 500 * time.Millisecond},
			Peers: antientropy.Static(slices.DeleteFunc(slices.Clone(ids), func(o nodeID) bool { return o == id })...),
		}
		if !deltas {
			l.Store = struct{ antientropy.Store }{n.store}
		}
		n.coord = &quorum.Coordinator{Self: id, Local: n.store, Ring: ids, Join: n.store.Join, Caller: deaf{caller, "n0"}}
		calls.Handle("antientropy/", l.Handler())
		calls.Handle("quorum/", n.coord.Handler())
		nodes[id], loops[id] = n, l
		runs.Go(func() { _ = l.Run(ctx) })
	}
	own := nodes["n0"]
	own.coord.Caller = net.Node("n0 as a client", nil)
	b := &Bound{Quorum: own.coord, Self: "n0", Within: within, Age: func(string) (time.Duration, bool) {
		return Age(time.Now(), compared(loops["n0"], ids[1:], when), 2)
	}}
	var acked []written
	random := rand.New(rand.NewPCG(3, 3))
	for i := range 1500 {
		key := fmt.Sprint(random.IntN(500))
		delta, err := crdt.Standard().Append(nil, new(crdt.GSet[string]).Add(fmt.Sprint(i)))
		require.NoError(t, err)
		if _, err := nodes[ids[1+i%2]].coord.Write(t.Context(), key, delta, quorum.WriteOptions{}); err == nil {
			acked = append(acked, written{key, fmt.Sprint(i), time.Now()})
		}
		time.Sleep(time.Duration(random.IntN(50)) * time.Millisecond)
		start := time.Now()
		old := due(acked, start.Add(-within))
		if old < 0 {
			continue
		}
		key = acked[old].key // the first that must be there
		res, err := b.Read(t.Context(), key)
		if err != nil {
			continue
		}
		if reads++; res.Answered == 1 {
			alone++
		}
		if misses(own.elements(t, res.State), acked[:old+1], key) {
			late++
		}
	}
	stop()
	runs.Wait()
	time.Sleep(time.Minute)
	return late, alone, reads
}

// A deaf node is not reached by writes.
type deaf struct {
	transport.Caller
	node nodeID
}

func (d deaf) Call(ctx context.Context, to nodeID, method string, req []byte) ([]byte, error) {
	if to == d.node {
		return nil, transport.ErrUnreachable
	}
	return d.Caller.Call(ctx, to, method, req)
}

// written are what was acknowledged, in this order.
type written struct {
	key, element string
	acked        time.Time
}

// due returns the last write that had been acknowledged before some time, -1 if none had.
func due(all []written, before time.Time) int {
	n, _ := slices.BinarySearchFunc(all, before, func(w written, at time.Time) int { return w.acked.Compare(at) })
	return n - 1
}

// misses reports whether a read lacks one of some writes.
func misses(got *crdt.GSet[string], all []written, key string) bool {
	return slices.ContainsFunc(all, func(w written) bool { return w.key == key && !got.Has(w.element) })
}

// A Bound at each of several nodes is kept while all owners of some keys are replaced, and come back: of writes at majorities.
func TestBoundWhileTheRingChanges(t *testing.T) {
	synctest.Test(t, boundsWhileTheRingChanges)
}

func boundsWhileTheRingChanges(t *testing.T) {
	const within = 3 * time.Second
	ctx, stop := context.WithCancel(t.Context())
	net := &mem.Network{Seed: 3, Refuse: true, Link: mem.Link{Latency: 20 * time.Millisecond, Jitter: 50 * time.Millisecond}}
	all, runs := placedOn(ctx, t, net, 5*time.Second)
	var acked []written
	alone, reads := 0, 0
	work := func(turns int) {
		for i := range turns {
			key, element := fmt.Sprint("key ", all.random.IntN(300)), fmt.Sprint(i, all.random.Uint32())
			if _, err := all.Write(t.Context(), key, setOf(t, element), quorum.WriteOptions{}); err == nil {
				acked = append(acked, written{key, element, time.Now()})
			}
			time.Sleep(time.Duration(all.random.IntN(50)) * time.Millisecond)
			n, start := all.nodes[all.random.IntN(len(all.nodes))], time.Now()
			old := due(acked, start.Add(-within))
			if n.ring.Ring() == nil || old < 0 {
				continue
			}
			key = acked[old].key // the first that must be there
			res, err := n.bound(within).Read(t.Context(), key)
			if err != nil {
				continue
			}
			if reads++; res.Answered == 1 {
				alone++
			}
			require.False(t, misses(n.elements(t, res.State), acked[:old+1], key), "%s at %s", key, n.ring.Self)
		}
	}
	work(200)
	all.change(t, func(joint uint64) {
		work(1000)
		require.Greater(t, all.nodes[2].ring.Stats().Epoch, joint)
	})
	t.Logf("%d of %d reads asked nobody else", alone, reads)
	require.Greater(t, alone, reads/10)
	require.Less(t, alone, reads)
	stop()
	runs.Wait()
	time.Sleep(time.Minute)
}

// bound is a Bound at a node, by what its loop says of the other owners.
func (n *node) bound(within time.Duration) *Bound {
	return &Bound{Quorum: n.coord, Self: n.ring.Self, Within: within, Age: func(key string) (time.Duration, bool) {
		covered := map[nodeID]time.Time{}
		for _, p := range n.loop.Stats().Peers {
			covered[p.Peer] = p.Covered
		}
		var others []time.Time
		for _, id := range n.ring.Place(key).Owners {
			if id != n.ring.Self {
				others = append(others, covered[id])
			}
		}
		return Age(time.Now(), others, 2)
	}}
}
