package store_test

import (
	"context"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// Two stores are written to, deleted from, read, listed, watched, indexed and
// merged into one another all at once. Deltas travel by Updates alone, so at the
// end a last update is enough for both to be equal.
func TestConcurrentUse(t *testing.T) {
	const writers, writes, keys = 4, 300, 20
	a, b := named("a"), named("b")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var followers, workers sync.WaitGroup
	for _, pair := range [][2]*store.Store{{a, b}, {b, a}} {
		from, to := pair[0], pair[1]
		updates, watch := from.Updates(ctx), from.Watch(ctx, "1")
		followers.Go(func() {
			for key, delta := range updates {
				if delta == nil {
					delta = load(aside{t}, from, key)
				}
				merge(aside{t}, to, key, delta)
			}
		})
		followers.Go(func() {
			for key := range watch {
				members(aside{t}, from, key)
			}
		})
		for w := range writers {
			workers.Go(func() {
				for i := range writes {
					key := strconv.Itoa((i*7 + w) % keys)
					add(aside{t}, from, key, 1)
					insert(aside{t}, from, key, strconv.Itoa(i))
					assign(aside{t}, from, key, strconv.Itoa(w))
					if i%50 == 49 {
						remove(aside{t}, from, key)
					}
				}
			})
		}
		workers.Go(func() {
			for range 50 {
				requireSettledIndex(aside{t}, from)
			}
		})
	}
	workers.Wait()
	cancel()
	followers.Wait()
	exchange(t, a, b)
	exchange(t, a, b)
	for i := range keys {
		require.Equal(t, load(t, a, strconv.Itoa(i)), load(t, b, strconv.Itoa(i)))
	}
	require.Equal(t, a.Index().Root(), b.Index().Root())
}

// requireSettledIndex checks that a snapshot keeps still while the store is
// written to, and lists what is listed.
func requireSettledIndex(t tester, s *store.Store) {
	snapshot := s.Index()
	root, n := snapshot.Root(), snapshot.Len()
	for key := range s.Keys("") {
		load(t, s, key)
	}
	s.Len()
	require.Equal(t, root, snapshot.Root())
	require.Equal(t, n, snapshot.Len())
}

// Deltas alone bring two stores together: none is lost, whatever is pending when.
func TestUpdatesLoseNothingUnderConcurrentWriters(t *testing.T) {
	const writers, writes = 8, 200
	s, replica := named("s"), named("replica")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	updates := s.Updates(ctx)
	var workers, follower sync.WaitGroup
	for w := range writers {
		workers.Go(func() {
			for i := range writes {
				add(aside{t}, s, "shared", 1)
				insert(aside{t}, s, strconv.Itoa(i%10), strconv.Itoa(w)+"/"+strconv.Itoa(i))
			}
		})
	}
	follower.Go(func() {
		for key, delta := range updates {
			if delta == nil {
				t.Errorf("no delta for %q", key)
			}
			merge(aside{t}, replica, key, delta)
			if key == "last" {
				return
			}
		}
	})
	workers.Wait()
	add(t, s, "last", 1) // queued behind everything that was written before it
	follower.Wait()
	require.Equal(t, s.Index().Root(), replica.Index().Root())
}

// Entries that nothing was written to are dropped; a write that found one of them
// meanwhile is not lost with it.
func TestConcurrentUpdatesThatChangeNothing(t *testing.T) {
	const keys = 2000
	s := named("s")
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for i := range keys {
				insert(aside{t}, s, strconv.Itoa(i))
			}
		})
	}
	workers.Go(func() {
		for i := range keys {
			add(aside{t}, s, strconv.Itoa(i), 1)
		}
	})
	workers.Wait()
	require.Equal(t, keys, s.Len())
	for i := range keys {
		require.Equal(t, int64(1), total(t, s, strconv.Itoa(i)))
	}
}
