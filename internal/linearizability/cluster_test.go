package linearizability

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

const (
	clients = 6
	calls   = 12 // of each client
)

var (
	names = quorum.Everywhere{"a", "b", "c"}
	keys  = []string{"x", "y"}
)

// A cluster is three nodes, and what happened to its clients.
type cluster struct {
	net    *mem.Network
	stores map[transport.NodeID]*store.Store
	nodes  []*caspaxos.Registers
	pause  time.Duration // between the calls of a client, at most
	at     int           // how many nodes clients call; if zero, all

	moments atomic.Int64 // two things may happen at one time of the bubble, and one before the other all the same
	mu      sync.Mutex
	past    map[string][]porcupine.Operation
}

// start starts a cluster. If it is naive, nodes read by themselves.
func start(t *testing.T, seed uint64, ahead, naive bool) *cluster {
	table, err := crdt.Standard().With(caspaxos.Kind)
	require.NoError(t, err)
	c := &cluster{
		net: &mem.Network{Seed: seed, Link: mem.Link{
			Latency: time.Millisecond, Jitter: 9 * time.Millisecond, Loss: 0.02, Duplicate: 0.05, Reorder: 0.1,
		}},
		stores: make(map[transport.NodeID]*store.Store), past: make(map[string][]porcupine.Operation), pause: 20 * time.Millisecond,
	}
	for _, id := range names {
		c.stores[id] = store.New(store.Config{Kinds: table})
		r := &caspaxos.Registers{Self: id, Local: newSlow(c.stores[id], seed), Kinds: table, Ring: names, Timeout: 300 * time.Millisecond, Ahead: ahead}
		r.Caller = c.net.Node(id, r.Handler())
		c.nodes = append(c.nodes, r)
		if naive {
			c.nodes = append(c.nodes, &caspaxos.Registers{Self: id, Local: c.stores[id], Kinds: table, Ring: quorum.Everywhere{id}})
		}
	}
	return c
}

// A slow store takes its time, so that requests meet in it.
type slow struct {
	*store.Store
	mu  *sync.Mutex
	rng *rand.Rand
}

func newSlow(s *store.Store, seed uint64) slow {
	return slow{s, new(sync.Mutex), rand.New(rand.NewPCG(seed, 3))}
}

func (s slow) wait() {
	s.mu.Lock()
	d := upTo(s.rng, 3*time.Millisecond)
	s.mu.Unlock()
	time.Sleep(d)
}

func (s slow) Load(ctx context.Context, key string) ([]byte, error) {
	s.wait()
	return s.Store.Load(ctx, key)
}

func (s slow) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	s.wait()
	return s.Store.Merge(ctx, key, state)
}

// client makes calls at nodes, one after the other.
func (c *cluster) client(ctx context.Context, id int, rng *rand.Rand, naive bool) {
	last := make(map[string]caspaxos.Value)
	for n := range calls {
		in := input{kind: kind(rng.IntN(int(kinds))), key: keys[rng.IntN(len(keys))], mark: string(rune('a'+id)) + string(rune('a'+n))}
		if in.kind == compares && !last[in.key].Found {
			in.kind = creates // who expects a version may find another one of the same text, which is none
		}
		in.expected = string(last[in.key].Data)
		at := rng.IntN(cmp.Or(c.at, len(c.nodes)))
		if naive {
			if at -= at % 2; in.kind == reads {
				at++
			}
		}
		called := c.moments.Add(1)
		v, err := c.call(ctx, c.nodes[at], in, last[in.key])
		out, known := judge(v, err)
		if !known {
			continue
		}
		if !out.unknown {
			last[in.key] = valueOf(v, err)
		}
		c.note(id, in, out, called)
		time.Sleep(upTo(rng, c.pause))
	}
}

func (c *cluster) call(ctx context.Context, r *caspaxos.Registers, in input, known caspaxos.Value) (caspaxos.Value, error) {
	switch in.kind {
	case compares:
		return r.CompareAndSet(ctx, in.key, known.Version, []byte(in.expected+in.mark))
	case creates:
		return r.Create(ctx, in.key, []byte(in.mark))
	case deletes:
		return r.Change(ctx, in.key, func(caspaxos.Value) ([]byte, error) { return nil, nil })
	case changes:
		return r.Change(ctx, in.key, func(v caspaxos.Value) ([]byte, error) { return append(v.Data, in.mark...), nil })
	}
	return r.Read(ctx, in.key)
}

// judge is what a client makes of a result. It knows nothing new of a call that had no effect.
func judge(v caspaxos.Value, err error) (out output, known bool) {
	if _, ok := errors.AsType[*caspaxos.UnknownError](err); ok {
		return output{unknown: true}, true
	}
	if e, ok := errors.AsType[*caspaxos.ConflictError](err); ok {
		return output{text: string(e.Current.Data), conflict: true}, true
	}
	return output{text: string(v.Data)}, err == nil
}

func valueOf(v caspaxos.Value, err error) caspaxos.Value {
	if e, ok := errors.AsType[*caspaxos.ConflictError](err); ok {
		return e.Current
	}
	return v
}

// note notes a call that is over. One of which nothing is known may have its effect at any later time.
func (c *cluster) note(id int, in input, out output, called int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	returned := c.moments.Add(1)
	if out.unknown {
		returned = 1 << 62
	}
	c.past[in.key] = append(c.past[in.key], porcupine.Operation{ClientId: id, Input: in, Call: called, Output: out, Return: returned})
}

// trouble cuts links, takes nodes down, and copies states from node to node, until ctx ends. Nodes keep what they held.
func (c *cluster) trouble(ctx context.Context, rng *rand.Rand) {
	for ctx.Err() == nil {
		id := names[rng.IntN(len(names))]
		switch rng.IntN(8) {
		case 0:
			c.net.Partition([]transport.NodeID{id})
		case 1:
			c.net.Down(id)
		case 2, 3, 4:
			c.net.Heal()
			for _, id := range names {
				c.net.Up(id)
			}
		default:
			c.copy(ctx, id, names[rng.IntN(len(names))])
		}
		time.Sleep(upTo(rng, 30*time.Millisecond))
	}
}

func upTo(rng *rand.Rand, d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }

// copy is what anti-entropy does.
func (c *cluster) copy(ctx context.Context, from, to transport.NodeID) {
	for _, key := range keys {
		state, err := c.stores[from].Load(ctx, caspaxos.Prefix+key)
		if err == nil {
			_, _ = c.stores[to].Merge(ctx, caspaxos.Prefix+key, state) // an error is that of ctx
		}
	}
}
