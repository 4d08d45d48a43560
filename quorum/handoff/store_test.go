package handoff_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum/handoff"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/vclock"
)

// What a coordinator needs of hints.
var _ interface {
	Keep(ctx context.Context, to transport.NodeID, key string, delta []byte) error
	Held(ctx context.Context, key string) (state []byte, err error)
} = new(handoff.Handoff)

var _ handoff.Replica = new(store.Store)

func insert(t *testing.T, s *store.Store, key, element string) []byte {
	t.Helper()
	d, err := store.Update(s, key, func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return c.Add(by.Replica, element)
	})
	require.NoError(t, err)
	b, err := d.Bytes()
	require.NoError(t, err)
	return b
}

func members(t *testing.T, s *store.Store, key string) (all []string) {
	t.Helper()
	_, err := store.View(s, key, func(c *crdt.ORSet[string]) {
		for e := range c.All() {
			all = append(all, e)
		}
	})
	require.NoError(t, err)
	return all
}

func merge(t *testing.T, s *store.Store, key string, state []byte) {
	t.Helper()
	_, err := s.Merge(t.Context(), key, state)
	require.NoError(t, err)
}

func stores(t *testing.T, names ...string) (all []*store.Store) {
	for _, name := range names {
		s := store.New(store.Config{Replica: vclock.Named(name)})
		_, err := s.Adopt(t.Context(), "")
		require.NoError(t, err)
		all = append(all, s)
	}
	return all
}

// A deletion that an owner missed is kept for it by a fallback. The owner gets it in
// another way, all collect it, and the key is made again. Then the hint arrives: the new
// key stays. (riak_kv #1094)
func TestTrap15_DoomstoneThroughAHint(t *testing.T) {
	all := stores(t, "a", "b")
	a, b := all[0], all[1]
	net := new(mem.Network)
	net.Node("b", (&handoff.Handoff{Replica: b}).Handler())
	fallback := &handoff.Handoff{Join: stores(t, "fallback")[0].Join, Caller: net.Node("fallback", nil)}

	merge(t, b, "k", insert(t, a, "k", "old"))
	d, err := a.Delete("k")
	require.NoError(t, err)
	tombstone, err := d.Bytes()
	require.NoError(t, err)
	require.NoError(t, fallback.Keep(t.Context(), "b", "k", tombstone))
	merge(t, b, "k", tombstone)

	proposal := a.Propose(1<<20, 0)
	var replies [][]byte
	for _, s := range all {
		reply, err := s.Prepare(t.Context(), proposal)
		require.NoError(t, err)
		replies = append(replies, reply)
	}
	record, err := a.Conclude(t.Context(), proposal, replies)
	require.NoError(t, err)
	require.NoError(t, b.Settle(t.Context(), record))

	merge(t, b, "k", insert(t, a, "k", "new"))
	done, err := fallback.Replay(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, 1, done.Hints)
	for _, s := range all {
		require.Equal(t, []string{"new"}, members(t, s, "k"))
	}
	require.Equal(t, a.Index().Root(), b.Index().Root())
}

// Deltas of a store join to hints that bring their target to the same state.
func TestHintsOfAStore(t *testing.T) {
	all := stores(t, "a", "b")
	a, b := all[0], all[1]
	net := new(mem.Network)
	net.Node("b", (&handoff.Handoff{Replica: b}).Handler())
	h := &handoff.Handoff{Join: a.Join, Caller: net.Node("a", nil)}
	for _, e := range []string{"1", "2", "3"} {
		require.NoError(t, h.Keep(t.Context(), "b", "k", insert(t, a, "k", e)))
		require.NoError(t, h.Keep(t.Context(), "b", "other "+e, insert(t, a, "other "+e, e)))
	}
	require.Error(t, h.Keep(t.Context(), "b", "k", []byte("no state")))
	done, err := h.Replay(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, 4, done.Hints)
	require.Equal(t, a.Index().Root(), b.Index().Root())
}
