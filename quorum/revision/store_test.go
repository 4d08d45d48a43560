package revision_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/revision"
	"github.com/eventual-go/eventual/quorum/session"
	"github.com/eventual-go/eventual/transport/mem"
)

var _ revision.Quorum = (*session.Session)(nil) // sessions can be written on conditions, too

// onNodes runs a test with three nodes, in a bubble.
func onNodes(t *testing.T, test func(t *testing.T, nodes []*node)) {
	synctest.Test(t, func(t *testing.T) {
		test(t, newNodes(over(&mem.Network{Refuse: true})))
		time.Sleep(time.Minute)
	})
}

func (n *node) read(t *testing.T, key string) revision.Revision {
	t.Helper()
	_, r, err := n.writer.Read(t.Context(), key)
	require.NoError(t, err)
	return r
}

func (n *node) mustWrite(t *testing.T, key string, expected revision.Revision, document string) revision.Revision {
	t.Helper()
	_, r, err := n.writer.Write(t.Context(), key, expected, n.put(key, document), quorum.WriteOptions{Applied: true})
	require.NoError(t, err)
	return r
}

// reset makes a delta that deletes what a state has.
func (n *node) reset(key string) func([]byte) ([]byte, error) {
	return func(state []byte) ([]byte, error) {
		read, err := component[*crdt.MVRegister[string]](n.store, state)
		if err != nil {
			return nil, err
		}
		d, err := store.Update(n.store, key, func(m *crdt.MVRegister[string], _ store.Writer) *crdt.MVRegister[string] {
			delta := read.Reset()
			m.Merge(delta)
			return delta
		})
		if err != nil {
			return nil, err
		}
		return d.Bytes()
	}
}

func TestDeletedKeysHoldNothing(t *testing.T) {
	onNodes(t, func(t *testing.T, nodes []*node) {
		a, b, c := nodes[0], nodes[1], nodes[2]
		nothing := a.read(t, "k")
		require.True(t, nothing.IsZero())
		first := a.mustWrite(t, "k", nothing, "one")

		_, r, err := b.writer.Write(t.Context(), "k", first, b.reset("k"), quorum.WriteOptions{Applied: true})
		require.NoError(t, err)
		require.True(t, r.IsZero(), "a deletion leads to nothing")
		res, now, err := c.writer.Read(t.Context(), "k")
		require.NoError(t, err)
		require.True(t, res.Found, "the residue of the deletion is there")
		require.True(t, now.IsZero())

		_, _, err = a.writer.Write(t.Context(), "k", first, a.put("k", "late"), quorum.WriteOptions{Applied: true})
		conflict, ok := errors.AsType[*revision.ConflictError](err)
		require.True(t, ok)
		require.True(t, conflict.Current.IsZero())

		again := c.mustWrite(t, "k", revision.Revision{}, "one")
		require.NotEqual(t, first, again, "what it shows is the same, what happened is not")
		require.Equal(t, again, b.read(t, "k"))
		require.Equal(t, []string{"one"}, a.words(t, heldBy(t, a, "k")))
	})
}

// heldBy returns what is there instead of a revision that nothing has.
func heldBy(t *testing.T, n *node, key string) []byte {
	_, _, err := n.writer.Write(t.Context(), key, revision.Revision{1}, nil, quorum.WriteOptions{})
	conflict, ok := errors.AsType[*revision.ConflictError](err)
	require.True(t, ok)
	require.Equal(t, n.read(t, key), conflict.Current)
	return conflict.State
}

// Equal contents have equal revisions, whichever owners have answered, however they came there, and of whatever generation
// their stores are.
func TestEqualContentsHaveEqualRevisions(t *testing.T) {
	onNodes(t, func(t *testing.T, nodes []*node) {
		a, b, c := nodes[0], nodes[1], nodes[2]
		for _, n := range nodes {
			_, err := n.store.Adopt(t.Context(), "")
			require.NoError(t, err)
		}
		first := a.mustWrite(t, "k", revision.Revision{}, "one")
		second := b.mustWrite(t, "k", first, "two")
		before, err := a.store.Load(t.Context(), "k")
		require.NoError(t, err)

		gone := a.mustWrite(t, "other", revision.Revision{}, "x")
		_, _, err = a.writer.Write(t.Context(), "other", gone, a.reset("other"), quorum.WriteOptions{Level: quorum.All, Applied: true})
		require.NoError(t, err)
		proposal := a.store.Propose(1<<20, 0)
		var replies [][]byte
		for _, n := range nodes {
			reply, err := n.store.Prepare(t.Context(), proposal)
			require.NoError(t, err)
			replies = append(replies, reply)
		}
		record, err := a.store.Conclude(t.Context(), proposal, replies)
		require.NoError(t, err)
		require.NoError(t, b.store.Settle(t.Context(), record)) // and c knows nothing of it yet

		for _, n := range nodes {
			require.Equal(t, second, n.read(t, "k"))
			state, err := n.store.Load(t.Context(), "k")
			require.NoError(t, err)
			r, err := n.writer.Revision(state)
			require.NoError(t, err)
			require.Equal(t, second, r)
		}
		after, err := a.store.Load(t.Context(), "k")
		require.NoError(t, err)
		bare := &revision.Writer{}
		old, _ := bare.Revision(before)
		now, _ := bare.Revision(after)
		require.NotEqual(t, old, now, "of the state itself another one comes")

		third := c.mustWrite(t, "k", second, "three")
		require.Equal(t, third, a.read(t, "k"))
	})
}

// Two writers at two nodes succeed, and are merged; what they were told is not what is there, so they know.
func TestRivalsAtTwoNodesAreSiblings(t *testing.T) {
	onNodes(t, func(t *testing.T, nodes []*node) {
		a, b := nodes[0], nodes[1]
		base := a.mustWrite(t, "k", revision.Revision{}, "base")
		var atA, atB revision.Revision
		_, atA, err := a.writer.Write(t.Context(), "k", base, func(state []byte) ([]byte, error) {
			atB = b.mustWrite(t, "k", base, "bread") // while a holds its own lock
			return a.put("k", "milk")(state)
		}, quorum.WriteOptions{Applied: true})
		require.NoError(t, err)
		now := b.read(t, "k")
		require.NotEqual(t, atA, now)
		require.NotEqual(t, atB, now)
		require.Equal(t, []string{"bread", "milk"}, b.words(t, heldBy(t, b, "k")))
		_, _, err = a.writer.Write(t.Context(), "k", atA, nil, quorum.WriteOptions{})
		_, ok := errors.AsType[*revision.ConflictError](err)
		require.True(t, ok, "who goes on with what it was told is told of the rival")
		merged := b.mustWrite(t, "k", now, "bread milk")
		require.Equal(t, merged, a.read(t, "k"))
	})
}

// Who looks afterwards sees rivals that number events; a deletion is contained in what takes the same place.
func TestADeletionGoesUnseen(t *testing.T) {
	onNodes(t, func(t *testing.T, nodes []*node) {
		a, b := nodes[0], nodes[1]
		base := a.mustWrite(t, "k", revision.Revision{}, "base")
		var gone revision.Revision
		var found []bool
		_, atB, err := b.writer.Write(t.Context(), "k", base, func(state []byte) ([]byte, error) {
			var err error
			_, gone, err = a.writer.Write(t.Context(), "k", base, a.reset("k"), quorum.WriteOptions{Applied: true})
			require.NoError(t, err)
			found = append(found, a.read(t, "k") == gone)
			return b.put("k", "bread")(state)
		}, quorum.WriteOptions{Applied: true})
		require.NoError(t, err)
		found = append(found, b.read(t, "k") == atB)
		require.Equal(t, []bool{true, true}, found)
	})
}

// A bucket may be content with less than a majority. A condition is not.
func TestWhatIsStaleIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Refuse: true}
		nodes := newNodes(over(net))
		a := nodes[0]
		a.coord.Buckets = []quorum.Bucket{{Read: quorum.ReadOptions{Least: quorum.One}}}
		first := a.mustWrite(t, "k", revision.Revision{}, "one")
		net.Partition([]nodeID{"a"}, []nodeID{"b", "c"})
		res, err := a.coord.Read(t.Context(), "k", quorum.ReadOptions{})
		require.NoError(t, err)
		require.True(t, res.Stale)
		_, _, err = a.writer.Write(t.Context(), "k", first, nil, quorum.WriteOptions{})
		e, ok := errors.AsType[*quorum.UnavailableError](err)
		require.True(t, ok)
		require.Equal(t, 2, e.Needed)
		time.Sleep(time.Minute)
	})
}

// What is no state is refused, and not sent.
func TestBytesThatAreNoState(t *testing.T) {
	onNodes(t, func(t *testing.T, nodes []*node) {
		a := nodes[0]
		_, err := a.writer.Revision([]byte("nonsense"))
		require.ErrorContains(t, err, "revision: content")
		_, _, err = a.writer.Write(t.Context(), "k", revision.Revision{}, func([]byte) ([]byte, error) { return []byte("nonsense"), nil }, quorum.WriteOptions{})
		require.Error(t, err)
		_, sent := errors.AsType[*revision.UnknownError](err)
		require.False(t, sent)
		require.True(t, a.read(t, "k").IsZero())
	})
}
