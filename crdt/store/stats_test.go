package store_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

func TestStatsAreWhatTheySay(t *testing.T) {
	m := newHost("s")
	m.cfg.Cache = 1000
	s := m.open(t)
	require.Equal(t, store.Stats{}, s.Stats())
	updates := s.Updates(t.Context())
	for i := range 20 {
		insert(t, s, fmt.Sprint(i), "x")
	}
	remove(t, s, "19")
	st := s.Stats()
	require.Equal(t, 19, st.Keys)
	require.Equal(t, 1, st.Deleted)
	require.Positive(t, st.Pending)
	require.Less(t, st.Cached, 20)
	require.LessOrEqual(t, st.CachedBytes, int64(1000))
	require.Positive(t, st.Evictions)

	load(t, s, "0")
	load(t, s, "0")
	after := s.Stats()
	require.Equal(t, st.Misses+1, after.Misses)
	require.Equal(t, st.Hits+1, after.Hits)
	m.disk.Damage(onDisk('v', 0, "1"))
	load(t, s, "1")
	require.EqualValues(t, 1, s.Stats().Damages)
	var b bytes.Buffer
	require.NoError(t, s.Backup(t.Context(), &b))
	require.NoError(t, s.Restore(t.Context(), &b))
	require.EqualValues(t, 1, s.Stats().Rotations)
	for range updates {
		break
	}
	require.Zero(t, s.Stats().Pending)
	require.NoError(t, s.Close())

	memory := named("s")
	insert(t, memory, "k", "x")
	require.Equal(t, store.Stats{Keys: 1}, memory.Stats())
}
