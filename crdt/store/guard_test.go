package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// Each kind under a key numbers its events from the beginning, so that of another kind there are more says nothing.
func TestTrap14_AnEventOfItsOwnIsNoticedInEachKind(t *testing.T) {
	m := newHost("a")
	s := m.open(t)
	add(t, s, "k", 5)
	require.NoError(t, s.Close())
	earlier := m.disk.Copy(m.disk.Place())

	s = m.open(t)
	insert(t, s, "k", "x")
	later, err := s.Load(t.Context(), "k")
	require.NoError(t, err)
	require.NoError(t, s.Close())

	m.disk = earlier
	s = m.open(t)
	require.Empty(t, m.rotations(), "it looks as it did")
	_, err = s.Merge(t.Context(), "k", later)
	require.NoError(t, err)
	require.Len(t, m.rotations(), 1)
	require.Equal(t, store.Seen, m.rotations()[0].Reason)
}

// After a crash a store is somebody else, so who it was can be retired, also where it has not written since.
func TestWhoAStoreWasBeforeCanBeRetired(t *testing.T) {
	m := newHost("a")
	s := m.open(t)
	_, err := s.Adopt(t.Context(), "")
	require.NoError(t, err)
	insert(t, s, "k", "x")
	before := s.Replica()
	m.disk.Crash(0)

	s = m.open(t)
	require.NotEqual(t, before, s.Replica())
	s.Retire(before)
	proposal := s.Propose(1<<12, 0)
	require.NotEmpty(t, proposal)
	reply, err := s.Prepare(t.Context(), proposal)
	require.NoError(t, err)
	record, err := s.Conclude(t.Context(), proposal, [][]byte{reply})
	require.NoError(t, err)
	require.NotEmpty(t, record)
	state, err := s.Load(t.Context(), "k")
	require.NoError(t, err)
	v, err := s.Decode(state)
	require.NoError(t, err)
	for _, seen := range v.Contexts().All() {
		require.Zero(t, seen.Max(before))
	}
	require.Equal(t, []string{"x"}, members(t, s, "k"))
}
