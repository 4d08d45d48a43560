package store_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// Where rows are missing and the store is closed or cut off before they are made again, the next one goes on with that.
func TestARebuildThatIsInterruptedGoesOn(t *testing.T) {
	for name, end := range map[string]func(h *host, s *store.Store){
		"closed":  func(_ *host, s *store.Store) { _ = s.Close() },
		"crashed": func(h *host, _ *store.Store) { h.disk.Crash(h.disk.Tail() / 2) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost("a")
			s := h.open(t)
			const keys = 2000
			for i := range keys {
				insert(t, s, fmt.Sprint(i), "x")
			}
			root := s.Index().Root()
			require.NoError(t, s.Close())
			b := h.disk.Mount()
			for i, key := range h.disk.Keys("f") {
				if i%10 == 0 {
					_, err := b.Apply([]store.Op{{Kind: store.OpDelete, Key: []byte(key)}}, false)
					require.NoError(t, err)
				}
			}
			require.NoError(t, b.Close())
			for range 3 {
				end(h, h.open(t))
			}
			s = h.open(t)
			settled(t, s, keys)
			require.Equal(t, root, s.Index().Root())
			for i := range keys {
				require.Equal(t, []string{"x"}, members(t, s, fmt.Sprint(i)))
			}
		})
	}
}

// What only another program can read does not keep the others out of the index.
func TestARebuildGoesOnPastWhatItCannotRead(t *testing.T) {
	h := newHost("a")
	s := h.open(t)
	for i := range 200 {
		insert(t, s, fmt.Sprint(i), "x")
	}
	add(t, s, "foreign", 1)
	require.NoError(t, s.Close())
	few, err := crdt.NewKinds(crdt.NewKind[crdt.ORSet[string]](4, "orset"))
	require.NoError(t, err)
	h.cfg.Kinds, h.cfg.Secret = few, []byte("another")
	s = h.open(t)
	settled(t, s, 200)
	require.NoError(t, s.Close())

	h.cfg.Kinds = nil
	s = h.open(t)
	require.EqualValues(t, 1, total(t, s, "foreign"))
	add(t, s, "foreign", 1)
	require.Equal(t, 201, s.Index().Len())
}

// Keys that are made, end, are deleted and forgotten leave nothing in memory, and a key waits for one deadline.
func TestWhatIsForgottenLeavesNothingInMemory(t *testing.T) {
	h := newHost("a")
	s := h.open(t)
	_, err := s.Adopt(t.Context(), "")
	require.NoError(t, err)
	for round := range 20 {
		for i := range 50 {
			key := fmt.Sprint(round, "/", i)
			add(t, s, key, 1)
			_, err := s.Expire(key, noon.Add(time.Hour))
			require.NoError(t, err)
			remove(t, s, key)
		}
		p := s.Propose(1<<20, 0)
		reply, err := s.Prepare(t.Context(), p)
		require.NoError(t, err)
		_, err = s.Conclude(t.Context(), p, [][]byte{reply})
		require.NoError(t, err)
	}
	require.Zero(t, s.Index().Len())
	require.Zero(t, s.Deadlines())
	require.Less(t, s.Rings(), 150)
	for i := range 100 {
		_, err := s.Expire("k", noon.Add(time.Hour-time.Duration(i)*time.Minute))
		require.NoError(t, err)
	}
	require.Equal(t, 1, s.Deadlines())
}

// An absent disk cannot be read for a while.
type absent struct {
	store.Backend
	failing atomic.Bool
}

var errAbsent = errors.New("cannot be read now")

func (f *absent) Get(key []byte) ([]byte, error) {
	if f.failing.Load() {
		return nil, errAbsent
	}
	return f.Backend.Get(key)
}

// A read that fails is tried again, and taken for nothing.
func TestAReadThatFailsIsTriedAgain(t *testing.T) {
	h := newHost("a")
	now := noon
	h.cfg.Cache, h.cfg.Now = 1, func() time.Time { return now }
	f := &absent{Backend: h.disk.Mount()}
	s, err := store.Open(h.cfg, f)
	require.NoError(t, err)
	for i := range 5 {
		add(t, s, fmt.Sprint(i), 1)
		_, err := s.Expire(fmt.Sprint(i), noon.Add(time.Second))
		require.NoError(t, err)
	}
	f.failing.Store(true)
	require.Less(t, s.Index().Len(), 5)
	now = noon.Add(time.Hour)
	n, err := s.Sweep(t.Context())
	require.ErrorIs(t, err, errAbsent)
	require.Zero(t, n)
	f.failing.Store(false)
	require.Equal(t, 5, s.Index().Len())
	n, err = s.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, 5, n)
}

// A delta may be the value itself, and stays what it was.
func TestADeltaMayBeTheValue(t *testing.T) {
	s, o := named("s"), named("o")
	delta, err := store.Update(s, "k", func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		c.Add(by.Replica, "x")
		return c
	})
	require.NoError(t, err)
	insert(t, s, "k", "y")
	state, err := delta.Bytes()
	require.NoError(t, err)
	merge(t, o, "k", state)
	require.Equal(t, []string{"x"}, members(t, o, "k"))
}

// In a batch a key that has ended is put off as it is alone, and what comes after is added to it.
func TestABatchPutsOffWhatHasEnded(t *testing.T) {
	s := newClocked("a")
	insert(t, s.Store, "k", "x")
	s.expire(t, "k", time.Second)
	s.now = noon.Add(2 * time.Second)
	var b store.Batch
	b.Expire("k", noon.Add(time.Hour))
	inserting(&b, "k", "y")
	_, err := s.Apply(&b)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"x", "y"}, members(t, s.Store, "k"))
}

// A second Close returns when the first has.
func TestASecondCloseWaitsForTheFirst(t *testing.T) {
	h := newHost("a")
	s := h.open(t)
	for i := range 5000 {
		add(t, s, fmt.Sprint(i), 1)
	}
	var wg sync.WaitGroup
	var one sync.Mutex // looks at the disk, which takes it from who had it
	for range 4 {
		wg.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			one.Lock()
			defer one.Unlock()
			if _, err := h.disk.Mount().Get([]byte("m")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s = h.open(t)
	require.Empty(t, h.rotations(), "it was closed")
}

// What is told of damage may close the store, also in the middle of a check.
func TestAReportMayCloseTheStoreInACheck(t *testing.T) {
	h := newHost("a")
	s := h.open(t)
	for i := range 10 {
		add(t, s, fmt.Sprint(i), 1)
	}
	require.NoError(t, s.Close())
	h.cfg.Events.Damaged = func(string, error) { _ = s.Close() }
	s = h.open(t)
	for _, key := range h.disk.Keys("v") {
		h.disk.Damage([]byte(key))
	}
	_, err := s.Check(t.Context())
	require.ErrorIs(t, err, store.ErrClosed)
}
