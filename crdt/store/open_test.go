package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/internal/disk"
	"github.com/eventual-go/eventual/vclock"
)

// A host is a disk and what is told of the stores that were opened on it.
type host struct {
	disk    *disk.Disk
	cfg     store.Config
	rotated []store.Rotation
	damaged []string
	failed  error
	ids     int
}

func newHost(name string) *host {
	m := &host{disk: disk.New(crdt.Standard(), name)}
	m.cfg = store.Config{
		Replica:    vclock.Named(name),
		Secret:     []byte("secret"),
		Now:        func() time.Time { return time.Unix(1_700_000_000, 0) },
		NewReplica: func() vclock.ReplicaID { m.ids++; return vclock.Named(fmt.Sprint(name, "-", m.ids)) },
		Events: store.Events{
			Rotated: func(r store.Rotation) { m.rotated = append(m.rotated, r) },
			Damaged: func(key string, err error) { m.damaged = append(m.damaged, key) },
			Failed:  func(err error) { m.failed = err },
		},
	}
	return m
}

func (m *host) open(t tester) *store.Store {
	t.Helper()
	s, err := store.Open(m.cfg, m.disk.Mount())
	require.NoError(t, err)
	return s
}

func TestWhatIsClosedIsThereAgain(t *testing.T) {
	m := newHost("a")
	s := m.open(t)
	add(t, s, "n", 5)
	insert(t, s, "s", "x", "y")
	erase(t, s, "s", "x")
	assign(t, s, "r", "text")
	add(t, s, "gone", 1)
	remove(t, s, "gone")
	root, replica := s.Index().Root(), s.Replica()
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "twice does no harm")
	_, err := s.Delete("n")
	require.ErrorIs(t, err, store.ErrClosed)

	s = m.open(t)
	require.Equal(t, replica, s.Replica(), "the identity was free")
	require.Empty(t, m.rotated)
	require.Equal(t, 3, s.Len())
	require.Equal(t, root, s.Index().Root())
	require.EqualValues(t, 5, total(t, s, "n"))
	require.Equal(t, []string{"y"}, members(t, s, "s"))
	v, _ := text(t, s, "r")
	require.Equal(t, "text", v)
	add(t, s, "n", 1)
	require.EqualValues(t, 6, total(t, s, "n"))
	require.NoError(t, s.Close())
}

// What was acknowledged is there after a crash, and the store is somebody else.
func TestAfterACrashAStoreIsSomebodyElse(t *testing.T) {
	m := newHost("a")
	s := m.open(t)
	add(t, s, "n", 5)
	m.disk.Crash(0)
	_, err := s.Delete("n")
	require.ErrorIs(t, err, disk.ErrPulled)

	before := s.Replica()
	s = m.open(t)
	require.NotEqual(t, before, s.Replica())
	require.Equal(t, []store.Rotation{{From: before, To: s.Replica(), Reason: store.Unclean}}, m.rotated)
	require.EqualValues(t, 5, total(t, s, "n"))
	add(t, s, "n", 2)
	require.EqualValues(t, 7, total(t, s, "n"))
}
