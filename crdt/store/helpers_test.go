package store_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// tester is what *testing.T, *testing.B and *rapid.T have in common here.
type tester interface {
	require.TestingT
	Helper()
	Context() context.Context
}

// aside is a test as seen from a goroutine of its own, where a failure ends just
// that goroutine.
type aside struct{ *testing.T }

func (a aside) FailNow() {
	a.Fail()
	runtime.Goexit()
}

// named is a store whose physical clock stands still.
func named(name string) *store.Store {
	return store.New(store.Config{
		Replica: vclock.Named(name),
		Secret:  []byte("secret"),
		Now:     func() time.Time { return time.Unix(1_700_000_000, 0) },
	})
}

func add(t tester, s *store.Store, key string, n int64) []byte {
	t.Helper()
	delta, err := sent(store.Update(s, key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
		return c.Add(by.Replica, n)
	}))
	require.NoError(t, err)
	return delta
}

func insert(t tester, s *store.Store, key string, elements ...string) []byte {
	t.Helper()
	delta, err := sent(store.Update(s, key, func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return c.Add(by.Replica, elements...)
	}))
	require.NoError(t, err)
	return delta
}

func erase(t tester, s *store.Store, key string, elements ...string) []byte {
	t.Helper()
	delta, err := sent(store.Update(s, key, func(c *crdt.ORSet[string], _ store.Writer) *crdt.ORSet[string] {
		return c.Remove(elements...)
	}))
	require.NoError(t, err)
	return delta
}

func assign(t tester, s *store.Store, key, value string) []byte {
	t.Helper()
	delta, err := sent(store.Update(s, key, func(r *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
		return r.Set(by.Stamp(), value)
	}))
	require.NoError(t, err)
	return delta
}

func load(t tester, s *store.Store, key string) []byte {
	t.Helper()
	state, err := s.Load(t.Context(), key)
	require.NoError(t, err)
	return state
}

func merge(t tester, s *store.Store, key string, state []byte) []byte {
	t.Helper()
	novel, err := s.Merge(t.Context(), key, state)
	require.NoError(t, err)
	return novel
}

func remove(t tester, s *store.Store, key string) []byte {
	t.Helper()
	delta, err := sent(s.Delete(key))
	require.NoError(t, err)
	return delta
}

// exchange carries the whole state of every key of each store to every other.
func exchange(t tester, stores ...*store.Store) {
	t.Helper()
	for _, from := range stores {
		for key := range from.Index().All() {
			for _, to := range stores {
				if to != from {
					merge(t, to, key, load(t, from, key))
				}
			}
		}
	}
}

func total(t tester, s *store.Store, key string) (n int64) {
	t.Helper()
	_, err := store.View(s, key, func(c *crdt.PNCounter) { n = c.Value() })
	require.NoError(t, err)
	return n
}

func members(t tester, s *store.Store, key string) (all []string) {
	t.Helper()
	_, err := store.View(s, key, func(c *crdt.ORSet[string]) {
		for e := range c.All() {
			all = append(all, e)
		}
	})
	require.NoError(t, err)
	return all
}

func text(t tester, s *store.Store, key string) (v string, found bool) {
	t.Helper()
	found, err := store.View(s, key, func(r *crdt.LWWRegister[string]) { v, _ = r.Value() })
	require.NoError(t, err)
	return v, found
}

// sent is the encoding of a change, as it is sent.
func sent(d store.Delta, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return d.Bytes()
}
