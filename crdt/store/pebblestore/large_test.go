package pebblestore

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/transport/mem"
)

// How long a test waits for what another goroutine does, and how often it looks.
const (
	eventually = 10 * time.Second
	tick       = time.Millisecond
)

func assign(t tester, s *store.Store, key, value string) store.Delta {
	t.Helper()
	d, err := store.Update(s, key, func(r *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
		return r.Set(by.Stamp(), value)
	})
	require.NoError(t, err)
	return d
}

func text(t tester, s *store.Store, key string) (value string) {
	t.Helper()
	_, err := store.View(s, key, func(r *crdt.LWWRegister[string]) { value, _ = r.Value() })
	require.NoError(t, err)
	return value
}

// A store holds more than it has memory for.
func TestMoreThanMemory(t *testing.T) {
	keys := 50_000
	if testing.Short() {
		keys = 5000
	}
	const cache = 100_000
	disk := vfs.NewMem()
	cfg := store.Config{Secret: secret, Cache: cache, Sync: -1}
	s, err := store.Open(cfg, openWith(t, "data", Options{FS: disk, Table: 256 << 10, Cache: 1 << 20}))
	require.NoError(t, err)
	name := func(i int) string { return fmt.Sprintf("key %05d", i*7919%keys) }
	bounded := func(i int) {
		if i%64 == 0 {
			require.LessOrEqual(t, s.Stats().CachedBytes, int64(cache))
		}
	}
	for i := range keys {
		assign(t, s, name(i), fmt.Sprint("value of ", name(i)))
		bounded(i)
	}
	written := s.Index().Root()
	for range 2 {
		for i := range keys {
			if got := text(t, s, name(i)); got != "value of "+name(i) {
				require.Fail(t, "another value", "%s: %s", name(i), got)
			}
			bounded(i)
		}
		st := s.Stats()
		require.Equal(t, keys, st.Keys)
		require.Greater(t, st.Evictions, uint64(keys/2))
		require.Greater(t, st.Misses, uint64(keys/2))
		require.Less(t, st.Cached, cache/64, "each counts 64 bytes and its own")
		require.NoError(t, s.Close())
		s, err = store.Open(cfg, openWith(t, "data", Options{FS: disk}))
		require.NoError(t, err)
		require.Equal(t, written, s.Index().Root())
		require.Zero(t, s.Stats().Cached, "no value was read")
	}
	require.NoError(t, s.Close())
}

// A hurt store is one whose disk was damaged while it was closed, and a peer that has all of it.
type hurt struct {
	disk    *vfs.MemFS
	peer    *store.Store
	names   []string
	mu      sync.Mutex
	damaged []string
}

func newHurt(t *testing.T, rows int) *hurt {
	t.Helper()
	h := &hurt{disk: vfs.NewMem(), peer: inMemory()}
	s := h.open(t)
	for i := range 100 {
		h.names = append(h.names, fmt.Sprint("key", 100+i))
		assign(t, s, h.names[i], noise(uint64(i)))
	}
	for i := range rows { // no values to speak of
		_, err := s.Merge(context.Background(), fmt.Sprint("row", i), element(t, "x", i%3))
		require.NoError(t, err)
	}
	for key := range s.Index().All() {
		state, err := s.Load(context.Background(), key)
		require.NoError(t, err)
		_, err = h.peer.Merge(context.Background(), key, state)
		require.NoError(t, err)
	}
	require.NoError(t, s.Close())
	b := open(t, h.disk)
	require.NoError(t, b.db.Compact(context.Background(), []byte{dataKeys}, []byte{dataKeys + 1}, false))
	shut(t, b)
	return h
}

func (h *hurt) open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(store.Config{Secret: secret, Cache: 1, Events: store.Events{
		Damaged: func(key string, _ error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.damaged = append(h.damaged, key)
		},
	}}, open(t, h.disk))
	require.NoError(t, err)
	return s
}

// heal reconciles with the peer, over a network.
func (h *hurt) heal(t *testing.T, s *store.Store) {
	t.Helper()
	var network mem.Network
	peer := &antientropy.Loop{Store: h.peer}
	network.Node("peer", peer.Handler())
	loop := &antientropy.Loop{Store: s, Self: "here", Caller: network.Node("here", nil)}
	_, err := loop.Exchange(t.Context(), "peer")
	require.NoError(t, err)
	require.Equal(t, h.peer.Index().Root(), s.Index().Root())
	for i, name := range h.names {
		require.Equal(t, noise(uint64(i)), text(t, s, name))
	}
}

// Values in a block that is damaged are told of, and come back from a peer. The store goes on.
func TestDamagedValuesComeBackFromAPeer(t *testing.T) {
	h := newHurt(t, 0)
	for _, name := range tables(t, h.disk) {
		flip(t, h.disk, name, 200<<10) // the values take 400 KiB
	}
	s := h.open(t)
	for _, name := range h.names {
		text(t, s, name)
	}
	require.NotEmpty(t, h.damaged)
	require.Less(t, len(h.damaged), len(h.names)/10, "others can be read")
	require.Equal(t, uint64(len(h.damaged)), s.Stats().Damages)
	require.NotEqual(t, h.peer.Index().Root(), s.Index().Root())
	told := len(h.damaged)
	h.heal(t, s)
	assign(t, s, h.damaged[0], "afterwards")
	require.Equal(t, "afterwards", text(t, s, h.damaged[0]))
	require.NoError(t, s.Close())

	s = h.open(t)
	require.Equal(t, "afterwards", text(t, s, h.damaged[0]))
	require.Len(t, h.damaged, told, "it was written anew")
	report, err := s.Check(t.Context())
	require.ErrorIs(t, err, store.ErrDamaged, "nobody can say what else is in that block")
	require.Equal(t, len(h.names), report.Keys)
	require.Zero(t, report.Faults)
	require.NoError(t, s.Close())
}

// Where rows are damaged, they are made again from the values.
func TestDamagedRowsAreMadeAgain(t *testing.T) {
	h := newHurt(t, 3000)
	for _, name := range tables(t, h.disk) {
		flip(t, h.disk, name, 20<<10)
	}
	s := h.open(t)
	for _, name := range h.names {
		text(t, s, name)
	}
	want := slices.Collect(h.peer.Keys(""))
	require.Eventually(t, func() bool { return !s.Stats().Rebuilding }, eventually, tick)
	require.Equal(t, want, slices.Collect(s.Keys("")))
	require.Empty(t, h.damaged)
	h.heal(t, s)
	require.NoError(t, s.Close())
	s = h.open(t)
	require.Eventually(t, func() bool { return !s.Stats().Rebuilding }, eventually, tick)
	require.Equal(t, h.peer.Index().Root(), s.Index().Root())
	require.NoError(t, s.Close())
}
