package promises

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/quorum/session"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// The client is at node a. Node b is near, node c in another region.
const (
	near = 10 * time.Millisecond // there and back
	far  = 100 * time.Millisecond

	bound = time.Minute // how old answers may be, by a Bound
)

var owners = quorum.Everywhere{"a", "b", "c"}

// A node is one of three replicas, with all that the promises need.
type node struct {
	store     *store.Store
	quorum    *quorum.Coordinator
	registers *caspaxos.Registers
}

type world struct {
	net   mem.Network
	nodes map[transport.NodeID]*node
	count int64                          // of writes, so that each is above those before it
	away  map[transport.NodeID]time.Time // since when a does not reach them
}

// in runs f with three nodes, on virtual time.
func in(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{net: mem.Network{Refuse: true}, nodes: make(map[transport.NodeID]*node)}
		for _, id := range owners {
			w.nodes[id] = w.start(t, id)
			w.net.SetLink(id, "c", mem.Link{Latency: far / 2})
			w.net.SetLink("c", id, mem.Link{Latency: far / 2})
		}
		w.net.SetLink("a", "b", mem.Link{Latency: near / 2})
		w.net.SetLink("b", "a", mem.Link{Latency: near / 2})
		f(t, w)
		time.Sleep(10 * time.Second) // what calls have left behind ends
	})
}

func (w *world) start(t *testing.T, id transport.NodeID) *node {
	kinds, err := crdt.Standard().With(caspaxos.Kind)
	require.NoError(t, err)
	s := store.New(store.Config{Kinds: kinds})
	n := &node{
		store:     s,
		quorum:    &quorum.Coordinator{Self: id, Local: s, Ring: owners, Join: s.Join},
		registers: &caspaxos.Registers{Self: id, Local: s, Kinds: kinds, Ring: owners},
	}
	var mux transport.Mux
	mux.Handle("quorum/", n.quorum.Handler())
	mux.Handle("caspaxos/", n.registers.Handler())
	caller := w.net.Node(id, &mux)
	n.quorum.Caller, n.registers.Caller = caller, caller
	return n
}

// delta returns a write that is above all others.
func (w *world) delta() []byte {
	w.count++
	d, err := store.Update(store.New(store.Config{}), "key", func(r *crdt.MaxRegister[int64], _ store.Writer) *crdt.MaxRegister[int64] {
		return r.Set(w.count)
	})
	if err != nil {
		panic(err)
	}
	b, err := d.Bytes()
	if err != nil {
		panic(err)
	}
	return b
}

// part parts some nodes from the others.
func (w *world) part(some ...transport.NodeID) {
	w.net.Partition(some)
	w.away = make(map[transport.NodeID]time.Time)
	for _, id := range owners[1:] {
		if slices.Contains(some, id) != slices.Contains(some, "a") {
			w.away[id] = time.Now()
		}
	}
}

func (w *world) heal() {
	w.net.Heal()
	w.away = nil
}

// age is how old the replica of a is, where anti-entropy goes on with all whom it reaches.
func (w *world) age(string) (time.Duration, bool) {
	covered := []time.Time{time.Now(), time.Now()}
	for i, id := range owners[1:] {
		if since, ok := w.away[id]; ok {
			covered[i] = since
		}
	}
	return session.Age(time.Now(), covered, 2)
}

// A promise is how to write and how to read, so that it holds.
type promise struct {
	write, read func(ctx context.Context) error
	before      func(ctx context.Context) error // each read, on a network that is whole; may be nil
}

// write returns writes by a, at a level.
func (w *world) write(q quorumOf, level quorum.Level) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		_, err := q.Write(ctx, "key", w.delta(), quorum.WriteOptions{Level: level})
		return err
	}
}

func read(q quorumOf, opts quorum.ReadOptions) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		_, err := q.Read(ctx, "key", opts)
		return err
	}
}

type quorumOf interface {
	Read(ctx context.Context, key string, opts quorum.ReadOptions) (quorum.ReadResult, error)
	Write(ctx context.Context, key string, delta []byte, opts quorum.WriteOptions) (quorum.WriteResult, error)
}
