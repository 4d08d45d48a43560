package backendtest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

var errFailing = errors.New("backendtest: input/output error")

// A failing is a backend of which the n-th write fails, or to wait for it, and no later one.
type failing struct {
	store.Backend
	waiting bool

	mu     sync.Mutex
	n      int
	failed bool
	after  int // writes after that
}

// Apply implements store.Backend.
func (f *failing) Apply(ops []store.Op, sync bool) (store.Commit, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed {
		f.after++
	}
	fails := f.n == 1
	f.n--
	if fails && !f.waiting {
		f.failed = true
		return nil, errFailing
	}
	c, err := f.Backend.Apply(ops, sync)
	if fails && c != nil {
		return &failingCommit{c, f}, err
	}
	return c, err
}

type failingCommit struct {
	store.Commit
	of *failing
}

// Wait implements store.Commit.
func (c *failingCommit) Wait() error {
	_ = c.Commit.Wait()
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	c.of.failed = true
	return errFailing
}

// A disk that has failed once is not written to any more, though it says that all is well again.
func testTrap33(r *rig) {
	for _, waiting := range []bool{false, true} {
		for at := 1; at < 6; at++ {
			f := &failing{waiting: waiting}
			n := r.node(r.place(), store.Config{})
			n.close()
			n.wrap = func(b store.Backend) store.Backend { f.Backend = b; return f }
			n.open()
			f.mu.Lock()
			f.n = at
			f.mu.Unlock()
			acknowledged, err := r.untilFailure(n)
			require.ErrorAs(r, err, new(*store.FailedError))
			require.ErrorIs(r, err, errFailing)
			r.ended(n)
			require.Zero(r, f.after, "it was written to after it had failed")

			n.wrap = nil
			n.open()
			require.Subset(r, r.elements(n.Store, "k"), acknowledged)
			r.add(n.Store, "k", "after")
			require.Contains(r, r.elements(n.Store, "k"), "after")
			n.close()
		}
	}
}

// untilFailure writes until that fails, and returns what was acknowledged.
func (r *rig) untilFailure(n *node) (acknowledged []string, err error) {
	r.Helper()
	for i := range 20 {
		element := fmt.Sprint(i)
		if _, err = store.Update(n.Store, "k", adding(element)); err != nil {
			return acknowledged, err
		}
		acknowledged = append(acknowledged, element)
	}
	return acknowledged, nil
}

// ended checks that nothing can be done any more with a store that has failed.
func (r *rig) ended(n *node) {
	r.Helper()
	failed := new(*store.FailedError)
	_, err := store.Update(n.Store, "k", adding("late"))
	require.ErrorAs(r, err, failed)
	_, err = n.Delete("k")
	require.ErrorAs(r, err, failed)
	_, err = n.Load(r.Context(), "k")
	require.ErrorAs(r, err, failed)
	_, err = n.Merge(r.Context(), "k", delta("z", 1, "late"))
	require.ErrorAs(r, err, failed)
	_, err = store.View(n.Store, "k", func(*crdt.ORSet[string]) {})
	require.ErrorAs(r, err, failed)
	n.Index()
	require.Len(r, n.failures(), 1, "it is told once")
	require.ErrorIs(r, n.failures()[0], errFailing)
	require.Error(r, n.Close())
	require.Len(r, n.failures(), 1)
}

// With Sync at each write, what was acknowledged is there after a crash.
func testTrap34Always(r *rig) {
	n := r.node(r.place(), store.Config{Cache: 1})
	var all []string
	for round := range 5 {
		var writers sync.WaitGroup
		failed := make([]error, 4)
		for w := range failed {
			more := numbers(fmt.Sprint("r", round, "w", w, "-"), 0, 8)
			all = append(all, more...)
			writers.Go(func() {
				for _, element := range more {
					_, err := store.Update(n.Store, "k", adding(element))
					failed[w] = errors.Join(failed[w], err)
				}
			})
		}
		writers.Wait()
		require.NoError(r, errors.Join(failed...))
		n.crash()
		require.ElementsMatch(r, all, r.elements(n.Store, "k"))
	}
	n.close()
}

// Without, a crash takes away what was written last, and no more; Close takes nothing.
func testTrap34Never(r *rig) {
	n := r.node(r.place(), store.Config{Sync: -1})
	written := 0
	for round := range 8 {
		before := r.elements(n.Store, "k")
		for range 5 {
			r.add(n.Store, "k", fmt.Sprintf("%04d", written))
			written++
		}
		all := r.elements(n.Store, "k")
		if round%2 == 0 {
			n.reopen()
			require.Equal(r, all, r.elements(n.Store, "k"))
			continue
		}
		n.crash()
		left := r.elements(n.Store, "k")
		require.Equal(r, all[:len(left)], left, "a prefix of what was written")
		if len(n.rotations()) == round/2+1 {
			require.GreaterOrEqual(r, len(left), len(before), "what was closed was durable")
		}
		require.Equal(r, left, r.elements(n.Store, "k"))
		n.reopen() // what is left is durable now
	}
	n.close()
}

// A syncing is a backend that tells when all was synced that nobody waited for.
type syncing struct {
	store.Backend
	done chan struct{}
}

type syncingCommit struct {
	store.Commit
	of *syncing
}

// Apply implements store.Backend.
func (s *syncing) Apply(ops []store.Op, sync bool) (store.Commit, error) {
	c, err := s.Backend.Apply(ops, sync)
	if sync && len(ops) == 0 && err == nil {
		return &syncingCommit{c, s}, nil
	}
	return c, err
}

// Wait implements store.Commit.
func (c *syncingCommit) Wait() error {
	err := c.Commit.Wait()
	if err != nil {
		return err
	}
	select {
	case c.of.done <- struct{}{}:
	default:
	}
	return nil
}

// With an interval, all that was written before the last sync is there.
func testTrap34AtTimes(r *rig) {
	n := r.node(r.place(), store.Config{Sync: -1})
	n.close()
	n.cfg.Sync = time.Millisecond
	done := make(chan struct{}, 1)
	n.wrap = func(b store.Backend) store.Backend { return &syncing{b, done} }
	n.open()
	for round := range 3 {
		more := numbers(fmt.Sprint("e", round), 0, 5)
		all := append(r.elements(n.Store, "k"), more...)
		r.add(n.Store, "k", more...)
		<-done
		n.crash()
		select { // of another one in the meantime
		case <-done:
		default:
		}
		require.ElementsMatch(r, all, r.elements(n.Store, "k"))
	}
	n.close()
}
