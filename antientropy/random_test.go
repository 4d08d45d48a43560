package antientropy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/stretchr/testify/require"
)

// A trial is a few loops with everything going wrong that can: calls that are
// refused, lost, slow or answered with rubbish, nodes that are away, peers that
// leave and come back under the same name, exchanges by hand that are given up.
// Some nodes only answer.
type trial struct {
	t     *testing.T
	ids   []transport.NodeID
	net   *mem.Network
	nodes map[transport.NodeID]*trialNode
	limit int

	mu   sync.Mutex
	rand *rand.Rand
	calm bool
}

type trialNode struct {
	loop  *Loop
	store *sets
	peers []transport.NodeID
}

func newTrial(t *testing.T, seed uint64) *trial {
	tr := &trial{
		t:     t,
		ids:   []transport.NodeID{"a", "b", "c", "d"},
		net:   &mem.Network{Seed: seed, Refuse: seed%2 == 0, Link: mem.Link{Latency: time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.02}},
		nodes: map[transport.NodeID]*trialNode{},
		rand:  rand.New(rand.NewPCG(seed, 0)),
	}
	tr.limit = []int{small, 3000, 1 << 20}[tr.n(3)]
	buffer := []int{0, 2000, 20_000}[tr.n(3)]
	for i, id := range tr.ids {
		n := &trialNode{store: newFed(), peers: tr.others(id)}
		n.loop = &Loop{
			Store: n.store, Pace: Pace{Interval: 300 * time.Millisecond, Timeout: time.Second, Fanout: 1 + tr.n(2), Concurrent: tr.n(3)}, Seed: seed + uint64(i) + 1,
			MaxMessage: tr.limit, BufferBytes: buffer,
			Propagation: Propagation(tr.n(2)),
			Peers: func() (ids []transport.NodeID) {
				tr.locked(func() { ids = slices.Clone(n.peers) })
				return ids
			},
		}
		if (seed+uint64(i))%2 == 1 {
			n.loop.Store = &disk{sets: n.store}
		}
		n.loop.Events.OnExchange = func(x Exchange) { n.loop.Stats() }
		node := tr.net.Node(id, n.loop.Handler())
		n.loop.Caller = callerFunc(func(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
			return tr.call(ctx, node, to, method, req)
		})
		tr.nodes[id] = n
	}
	return tr
}

func (tr *trial) locked(f func()) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	f()
}

func (tr *trial) n(n int) (x int) {
	tr.locked(func() { x = tr.rand.IntN(n) })
	return x
}

func (tr *trial) others(id transport.NodeID) []transport.NodeID {
	return slices.DeleteFunc(slices.Clone(tr.ids), func(o transport.NodeID) bool { return o == id })
}

// call is one call by node, with one of the faults or none. No message may be over
// the limit, whatever happens.
func (tr *trial) call(ctx context.Context, node *mem.Node, to transport.NodeID, method string, req []byte) ([]byte, error) {
	if len(req) > tr.limit {
		tr.t.Errorf("%s of %d bytes", method, len(req))
	}
	what := tr.n(40)
	tr.locked(func() {
		if tr.calm {
			what = -1
		}
	})
	switch what {
	case 0:
		return nil, transport.NewRemoteError(method, errors.New("busy"))
	case 1:
		return nil, transport.ErrUnreachable
	case 2:
		return nil, transport.ErrTooLarge
	case 3:
		if !sleep(ctx, 1500*time.Millisecond) {
			return nil, ctx.Err()
		}
	}
	resp, err := node.Call(ctx, to, method, req)
	if len(resp) > tr.limit {
		tr.t.Errorf("answer to %s of %d bytes", method, len(resp))
	}
	switch what {
	case 4:
		return resp[:len(resp)/2], err
	case 5:
		return nil, transport.ErrUnreachable // served, but nobody knows
	}
	return resp, err
}

// disturb does one thing.
func (tr *trial) disturb(ctx context.Context, by *sync.WaitGroup) {
	id := tr.ids[tr.n(len(tr.ids))]
	n, other := tr.nodes[id], tr.others(id)[tr.n(3)]
	switch tr.n(24) {
	case 0:
		tr.net.Down(id)
	case 1, 2:
		tr.net.Up(id)
	case 3:
		tr.locked(func() {
			n.peers = slices.DeleteFunc(n.peers, func(o transport.NodeID) bool { return o == other })
		})
	case 4, 5:
		tr.locked(func() {
			if !slices.Contains(n.peers, other) {
				n.peers = append(n.peers, other)
			}
		})
	case 6:
		n.loop.Kick(other)
	case 7, 8:
		patience := time.Duration(1+tr.n(500)) * time.Millisecond
		by.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			_, _ = n.loop.Exchange(ctx, other)
		})
	default:
		n.store.add(fmt.Sprint("k", tr.n(60)), uint64(tr.n(1<<20)))
	}
}

func (tr *trial) heal() {
	for _, id := range tr.ids {
		tr.net.Up(id)
		for _, other := range tr.others(id) {
			tr.net.SetLink(id, other, mem.Link{Latency: time.Millisecond})
		}
		tr.locked(func() { tr.nodes[id].peers = tr.others(id) })
	}
	tr.locked(func() { tr.calm = true })
}

func (tr *trial) agreed() bool {
	root := tr.nodes["a"].store.root()
	return !slices.ContainsFunc(tr.ids, func(id transport.NodeID) bool { return tr.nodes[id].store.root() != root })
}

func (tr *trial) agree(seed uint64, within time.Duration) {
	tr.t.Helper()
	for start := time.Now(); !tr.agreed(); time.Sleep(time.Millisecond) {
		require.Less(tr.t, time.Since(start), within, "seed %d: no agreement", seed)
	}
}

func TestWhateverGoesWrongAllAgreeAfterwards(t *testing.T) {
	seeds := uint64(30)
	if testing.Short() {
		seeds = 10
	}
	for seed := range seeds {
		bubble(t, func(t *testing.T) { trySeed(t, seed+seedOfTest) })
		if t.Failed() {
			return
		}
	}
}

func trySeed(t *testing.T, seed uint64) {
	tr := newTrial(t, seed)
	running := tr.ids[:1+tr.n(4)] // the rest only answers
	ctx, cancel := context.WithCancel(t.Context())
	var loops, hands sync.WaitGroup
	defer loops.Wait()
	defer cancel()
	for _, id := range running {
		loops.Go(func() { _ = tr.nodes[id].loop.Run(ctx) })
	}
	for range 1000 {
		tr.disturb(ctx, &hands)
		time.Sleep(time.Duration(tr.n(30)) * time.Millisecond)
	}
	hands.Wait()
	tr.heal()
	// One call of the whole Timeout may be under way to each, then every peer has
	// its turn a few times over.
	tr.agree(seed, 10*time.Second)
	time.Sleep(5 * time.Second)
	for _, id := range running {
		l := tr.nodes[id].loop
		require.Len(t, l.Stats().Peers, 3, "seed %d", seed)
		for _, p := range l.Stats().Peers {
			require.True(t, p.Reachable && !p.Closed && p.Pending == 0 && time.Since(p.LastSync) < 5*time.Second, "seed %d: %s of %+v", seed, id, p)
		}
		require.Equal(t, 3, queuesOf(l), "seed %d", seed)
	}
	for i := range 10 { // and deltas flow
		tr.nodes["a"].store.add(fmt.Sprint("after ", i), 1)
		time.Sleep(50 * time.Millisecond)
	}
	tr.agree(seed, 2*time.Second)
}
