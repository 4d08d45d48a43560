package store_test

import (
	"fmt"
	"slices"
	"sync"
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
	disk *disk.Disk
	cfg  store.Config
	ids  int

	mu      sync.Mutex
	rotated []store.Rotation
	damaged []string
	failed  error
}

func (m *host) hear(what func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	what()
}

// rotations are those that were told of.
func (m *host) rotations() (all []store.Rotation) {
	m.hear(func() { all = slices.Clone(m.rotated) })
	return all
}

// damages are the keys that were told of.
func (m *host) damages() (keys []string) {
	m.hear(func() { keys = slices.Clone(m.damaged) })
	return keys
}

// forgive forgets the damages.
func (m *host) forgive() { m.hear(func() { m.damaged = nil }) }

// failure is what ended a store, if that was told.
func (m *host) failure() (err error) {
	m.hear(func() { err = m.failed })
	return err
}

func newHost(name string) *host {
	m := &host{disk: disk.New(crdt.Standard(), name)}
	m.cfg = store.Config{
		Replica:    vclock.Named(name),
		Secret:     []byte("secret"),
		Now:        func() time.Time { return time.Unix(1_700_000_000, 0) },
		NewReplica: func() vclock.ReplicaID { m.ids++; return vclock.Named(fmt.Sprint(name, "-", m.ids)) },
		Events: store.Events{
			Rotated: func(r store.Rotation) { m.hear(func() { m.rotated = append(m.rotated, r) }) },
			Damaged: func(key string, err error) { m.hear(func() { m.damaged = append(m.damaged, key) }) },
			Failed:  func(err error) { m.hear(func() { m.failed = err }) },
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
	require.Empty(t, m.rotations())
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
	require.Equal(t, []store.Rotation{{From: before, To: s.Replica(), Reason: store.Unclean}}, m.rotations())
	require.EqualValues(t, 5, total(t, s, "n"))
	add(t, s, "n", 2)
	require.EqualValues(t, 7, total(t, s, "n"))
}

// A hot key is counted as large as it is, and not as all that was ever added to it.
func TestTheCacheKnowsHowLargeAValueIs(t *testing.T) {
	h := newHost("a")
	s := h.open(t)
	for range 2000 {
		add(t, s, "hot", 1)
	}
	require.Less(t, s.Stats().CachedBytes, int64(3000))
	require.NoError(t, s.Close())
}

// What an emptied store held is on disk until it was yielded.
func TestWhatWasSetAsideIsOnDiskUntilItIsYielded(t *testing.T) {
	h := newHost("a")
	h.cfg.Cache = 1
	s := h.open(t)
	_, err := s.Adopt(t.Context(), "")
	require.NoError(t, err)
	for i := range 10 {
		add(t, s, fmt.Sprint(i), 1)
	}
	generation := append(make([]byte, 7), 9)
	aside, err := s.Adopt(t.Context(), string(append(generation, make([]byte, 8)...)))
	require.NoError(t, err)
	require.Zero(t, s.Len())
	require.Len(t, h.disk.Keys("v"), 10)
	n := 0
	for _, value := range aside {
		require.NotEmpty(t, value)
		n++
	}
	require.Equal(t, 10, n)
	require.Empty(t, h.disk.Keys("v"))
	require.Empty(t, h.disk.Keys("f"))
	add(t, s, "new", 1)
	require.NoError(t, s.Close())
	s = h.open(t)
	require.Equal(t, 1, s.Len())
}

func TestMergeAllWantsAStateForEachKey(t *testing.T) {
	s := named("s")
	novel, errs := s.MergeAll(t.Context(), []string{"a", "b"}, [][]byte{add(t, named("o"), "a", 1)})
	require.Len(t, novel, 2)
	require.Error(t, errs[0])
	require.Error(t, errs[1])
	require.Zero(t, s.Len())
}
