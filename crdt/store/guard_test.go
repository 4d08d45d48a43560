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
	require.Empty(t, m.rotated, "it looks as it did")
	_, err = s.Merge(t.Context(), "k", later)
	require.NoError(t, err)
	require.Len(t, m.rotated, 1)
	require.Equal(t, store.Seen, m.rotated[0].Reason)
}
