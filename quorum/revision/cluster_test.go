package revision_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/revision"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/vclock"
)

type nodeID = transport.NodeID

// A node is a store, who asks the others, and who writes on conditions.
type node struct {
	id     nodeID
	store  *store.Store
	coord  *quorum.Coordinator
	writer *revision.Writer
}

var everybody = quorum.Everywhere{"a", "b", "c"}

// attach makes a node known to the others.
type attach func(id nodeID, h transport.Handler) transport.Caller

func over(net *mem.Network) attach {
	return func(id nodeID, h transport.Handler) transport.Caller { return net.Node(id, h) }
}

func newNode(join attach, id nodeID) *node {
	n := &node{id: id, store: store.New(store.Config{Replica: vclock.Named(string(id))})}
	n.coord = &quorum.Coordinator{Self: id, Local: n.store, Ring: everybody, Join: n.store.Join, Timeout: 200 * time.Millisecond}
	n.coord.Caller = join(id, n.coord.Handler())
	n.writer = &revision.Writer{Quorum: n.coord, Join: n.store.Join, Content: contentOf(n.store)}
	return n
}

func newNodes(join attach) (all []*node) {
	for _, id := range everybody {
		all = append(all, newNode(join, id))
	}
	return all
}

// contentOf returns what a store's states hold, whatever generation they are of.
func contentOf(s *store.Store) func([]byte) ([]byte, error) {
	return func(state []byte) ([]byte, error) {
		v, err := s.Decode(state)
		if err != nil || v.Empty() {
			return nil, err
		}
		return v.AppendBinary(nil)
	}
}

// component returns the state of one type in a state of a store.
func component[P crdt.State[P]](s *store.Store, state []byte) (p P, err error) {
	v, err := s.Decode(state)
	if err != nil {
		return p, err
	}
	return crdt.Ensure[P](crdt.Standard(), v)
}

// put makes a delta by which a document takes the place of those that a state has.
func (n *node) put(key, document string) func([]byte) ([]byte, error) {
	return func(state []byte) ([]byte, error) {
		read, err := component[*crdt.MVRegister[string]](n.store, state)
		if err != nil {
			return nil, err
		}
		d, err := store.Update(n.store, key, func(m *crdt.MVRegister[string], by store.Writer) *crdt.MVRegister[string] {
			return m.Put(by.Replica, read.Context(), document)
		})
		if err != nil {
			return nil, err
		}
		return d.Bytes()
	}
}

// replace makes a delta by which a set has one more element, and none that is not wanted.
func (n *node) replace(key string, wanted []string, element string) func([]byte) ([]byte, error) {
	return func(state []byte) ([]byte, error) {
		read, err := component[*crdt.ORSet[string]](n.store, state)
		if err != nil {
			return nil, err
		}
		gone := new(crdt.ORSet[string])
		for _, e := range slices.Sorted(read.All()) {
			if !slices.Contains(wanted, e) {
				gone.Merge(read.Remove(e))
			}
		}
		d, err := store.Update(n.store, key, func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
			delta := s.Add(by.Replica, element)
			s.Merge(gone)
			delta.Merge(gone)
			return delta
		})
		if err != nil {
			return nil, err
		}
		return d.Bytes()
	}
}

// words returns the words in all documents, or the elements, of a state.
func (n *node) words(t *testing.T, state []byte) (all []string) {
	t.Helper()
	documents, err := component[*crdt.MVRegister[string]](n.store, state)
	require.NoError(t, err)
	for _, d := range documents.Values() {
		all = append(all, strings.Fields(d)...)
	}
	set, err := component[*crdt.ORSet[string]](n.store, state)
	require.NoError(t, err)
	all = slices.AppendSeq(all, set.All())
	slices.Sort(all)
	return slices.Compact(all)
}

// trouble cuts nodes off and takes them down, one after another, until ctx ends; then all is well.
func trouble(ctx context.Context, net *mem.Network, rng *rand.Rand) {
	for ctx.Err() == nil {
		id := everybody[rng.IntN(3)]
		rest := time.Duration(rng.IntN(150)) * time.Millisecond
		switch rng.IntN(3) {
		case 0:
			net.Partition([]nodeID{id})
		case 1:
			net.Cut(id, everybody[rng.IntN(3)])
		default:
			net.Down(id)
		}
		time.Sleep(rest)
		net.Heal()
		for _, id := range everybody {
			net.Up(id)
		}
		time.Sleep(rest)
	}
}
