package store_test

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// A crowd uses a store from many goroutines until it is closed, and keeps what was acknowledged.
type crowd struct {
	t        *testing.T
	workers  sync.WaitGroup
	mu       sync.Mutex
	counted  int64               // acknowledged
	tried    int64               // may be there
	elements map[string][]string // acknowledged, by key
	perhaps  map[string]bool     // that may be there
}

// ended reports whether a store has ended, and fails for any other error.
func (c *crowd) ended(err error) bool {
	if err != nil && !errors.Is(err, store.ErrClosed) {
		c.t.Errorf("not for having been closed: %v", err)
	}
	return err != nil
}

func (c *crowd) write(s *store.Store, worker, writes int) {
	for i := range writes {
		key, e := strconv.Itoa(i%7), fmt.Sprint(worker, "/", i)
		c.note(func() { c.tried++; c.perhaps[e] = true })
		_, err := store.Update(s, "n", func(n *crdt.PNCounter, by store.Writer) *crdt.PNCounter { return n.Add(by.Replica, 1) })
		if c.ended(err) {
			return
		}
		c.note(func() { c.counted++ })
		var b store.Batch
		inserting(&b, key, e)
		inserting(&b, "all", e)
		if _, err := s.Apply(&b); c.ended(err) {
			return
		}
		c.note(func() {
			c.elements[key] = append(c.elements[key], e)
			c.elements["all"] = append(c.elements["all"], e)
		})
	}
}

func (c *crowd) note(what func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what()
}

// disturb does what must not matter to those who write.
func (c *crowd) disturb(s, other *store.Store, rounds int) {
	for i := range rounds {
		key := strconv.Itoa(i % 7)
		state, err := s.Load(c.t.Context(), key)
		if c.ended(err) {
			return
		}
		if _, err := other.Merge(c.t.Context(), key, state); err != nil {
			c.t.Error(err)
		}
		if state, err = other.Load(c.t.Context(), key); err == nil {
			_, err = s.Merge(c.t.Context(), key, state)
		}
		if c.ended(err) {
			return
		}
		_, err = store.Update(s, "deleted"+key, func(v *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
			return v.Add(by.Replica, "x")
		})
		if !c.ended(err) {
			_, err = s.Delete("deleted" + key)
			c.ended(err)
		}
		s.Index()
		s.Len()
		for range s.Keys("") {
			break
		}
	}
}

// Goroutines write, read, delete, merge and list while values come and go from memory, the rows are made anew under
// another secret, and the store is closed under them: what was acknowledged is there, and the index is that of it.
func TestStoresOnDiskUnderConcurrentUse(t *testing.T) {
	const rounds, writers, writes = 6, 4, 60
	m := newHost("a")
	c := &crowd{t: t, elements: map[string][]string{}, perhaps: map[string]bool{}}
	other := named("other")
	for round := range rounds {
		m.cfg.Cache = []int64{1, 1 << 20, 500}[round%3]
		m.cfg.Secret = []byte(strconv.Itoa(round % 4 / 2)) // now and then another one, so that all rows are in doubt
		s := m.open(t)
		var half sync.WaitGroup
		half.Add(writers)
		for w := range writers {
			c.workers.Go(func() {
				c.write(s, 1000*round+w, writes/2)
				half.Done()
				c.write(s, 1000*round+100+w, writes/2)
			})
		}
		for range 2 {
			c.workers.Go(func() { c.disturb(s, other, writes/2) })
		}
		half.Wait()
		require.NoError(t, s.Close()) // in the middle
		c.workers.Wait()
	}
	require.Empty(t, m.rotations())
	c.requireAll(m.open(t))
}

// requireAll checks what is there against what was acknowledged.
func (c *crowd) requireAll(s *store.Store) {
	t := c.t
	settled(t, s, 9+7) // seven sets, those deleted, all of them, and the counter
	n := total(t, s, "n")
	require.GreaterOrEqual(t, n, c.counted)
	require.LessOrEqual(t, n, c.tried)
	for key, want := range c.elements {
		there := members(t, s, key)
		require.Subset(t, there, want)
		for _, e := range there {
			require.True(t, c.perhaps[e])
		}
	}
	requireIndexOf(t, s, "0")
	require.NoError(t, s.Close())
}

// requireIndexOf checks that the index is that of what there is.
func requireIndexOf(t tester, s *store.Store, secret string) {
	t.Helper()
	plain := store.New(store.Config{Secret: []byte(secret)})
	for key := range s.Index().All() {
		merge(t, plain, key, load(t, s, key))
	}
	require.Equal(t, plain.Index().Root(), s.Index().Root())
	require.Equal(t, plain.Len(), s.Len())
}

// A rebuilt index is that of what there is, whatever was written and deleted while it was made.
func TestAnIndexMadeAnewUnderConcurrentWriters(t *testing.T) {
	m := newHost("a")
	m.cfg.Cache = 2000
	s := m.open(t)
	for k := range 300 {
		add(t, s, strconv.Itoa(k), 1)
	}
	for i := range 8 {
		require.NoError(t, s.Close())
		secret := strconv.Itoa(i)
		m.cfg.Secret = []byte(secret)
		s = m.open(t)
		var writers sync.WaitGroup
		for w := range 3 {
			writers.Go(func() {
				for k := w; k < 400; k += 7 {
					insert(aside{t}, s, strconv.Itoa(k), "x")
					if k%3 == 0 {
						remove(aside{t}, s, strconv.Itoa(k))
					}
					s.Index()
				}
			})
		}
		writers.Wait()
		report, err := s.Check(t.Context())
		require.NoError(t, err)
		require.Zero(t, report.Faults, "%+v", report)
		settled(t, s, len(m.disk.Keys("f")))
		requireIndexOf(t, s, secret)
	}
	require.Empty(t, m.rotations(), "another secret is no damage")
}
