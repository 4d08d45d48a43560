package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/merkle"
)

var (
	errPulled  = errors.New("somebody has pulled the plug")
	everything = []merkle.Range{merkle.Full}
	lower      = []merkle.Range{{To: 1<<63 - 1}}
)

func discard(t tester, s *store.Store, held *merkle.Tree, ranges []merkle.Range) (kept int) {
	t.Helper()
	kept, err := s.Discard(t.Context(), held, ranges)
	require.NoError(t, err)
	return kept
}

// onBoth runs a test of a store in memory, and of one on disk that keeps next to no values in memory.
func onBoth(t *testing.T, test func(t *testing.T, s *store.Store)) {
	t.Run("memory", func(t *testing.T) { test(t, named("s")) })
	t.Run("disk", func(t *testing.T) {
		m := newHost("s")
		m.cfg.Cache = 300
		test(t, m.open(t))
	})
}

// stateOf is all that a store has, by key.
func stateOf(t tester, s *store.Store) map[string]string {
	t.Helper()
	all := map[string]string{}
	for key := range s.Index().All() {
		all[key] = string(load(t, s, key))
	}
	return all
}

func TestWhatIsDiscardedIsNotThere(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		other := named("other")
		for i := range 1000 {
			key := fmt.Sprint("key ", i)
			add(t, s, key, 1)
			insert(t, s, key, "x")
			if i%3 == 0 {
				remove(t, s, key)
			}
			if i%10 == 0 {
				_, err := s.Expire(key, time.Unix(1_800_000_000, 0))
				require.NoError(t, err)
			}
		}
		had, held := stateOf(t, s), s.Index()
		h := held.Hasher()
		for key, state := range had {
			if !lower[0].Contains(h.Position(key)) {
				merge(t, other, key, []byte(state))
			}
		}
		require.Zero(t, discard(t, s, held, lower))
		require.Equal(t, stateOf(t, other), stateOf(t, s))
		require.Equal(t, other.Index().Root(), s.Index().Root())
		require.Equal(t, other.Len(), s.Len())
		require.Equal(t, slices.Collect(other.Keys("")), slices.Collect(s.Keys("")))
		require.Equal(t, other.Stats().Deleted, s.Stats().Deleted)
		for key := range had {
			if lower[0].Contains(h.Position(key)) {
				require.Nil(t, load(t, s, key))
			}
		}
		require.Zero(t, discard(t, s, held, lower), "once more")
		require.Zero(t, discard(t, s, s.Index(), everything))
		require.Zero(t, s.Index().Len())
		require.Zero(t, s.Len()+s.Stats().Deleted+s.Stats().Cached)
		require.LessOrEqual(t, s.Stats().CachedBytes, int64(0))
	})
}

// A key that was discarded is written to again before the store has met what it had numbered there, and loses nothing.
func TestTrap13_ADiscardedKeyNumbersNothingTwice(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		peer := named("peer")
		for life := range 4 {
			add(t, s, "n", 5)
			insert(t, s, "s", fmt.Sprint(life))
			var b store.Batch
			counting(&b, "b", 7)
			counting(&b, "c", 7)
			_, err := s.Apply(&b)
			require.NoError(t, err)
			for _, key := range []string{"n", "s", "b", "c"} {
				merge(t, peer, key, load(t, s, key))
			}
			if life == 2 {
				exchange(t, s, peer) // with what it had before
			}
			before := s.Replica()
			require.Zero(t, discard(t, s, s.Index(), everything))
			require.NotEqual(t, before, s.Replica())
		}
		add(t, s, "n", 3)
		exchange(t, s, peer)
		require.Equal(t, stateOf(t, peer), stateOf(t, s))
		require.EqualValues(t, 23, total(t, s, "n"))
		require.EqualValues(t, 28, total(t, peer, "b"))
		require.Equal(t, []string{"0", "1", "2", "3"}, slices.Sorted(slices.Values(members(t, s, "s"))))
		require.Zero(t, s.Stats().Rotations, "its own events are welcome")
	})
}

// Deleted elsewhere while it was not here: what this store had does not bring it back.
func TestTrap15_WhatWasDiscardedStaysDeleted(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		peer := named("peer")
		insert(t, s, "k", "x")
		old := load(t, s, "k")
		merge(t, peer, "k", old)
		discard(t, s, s.Index(), everything)
		remove(t, peer, "k")
		merge(t, s, "k", old) // late, from somebody who still has it
		insert(t, s, "k", "y")
		exchange(t, s, peer)
		require.Equal(t, []string{"y"}, members(t, s, "k"))
		require.Equal(t, []string{"y"}, members(t, peer, "k"))
	})
}

// Between the handover and the end there are writes: they stay, and are told.
func TestWhatHasChangedIsNotDiscarded(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		peer := named("peer")
		for _, key := range []string{"updated", "merged", "deleted", "untouched", "read", "same"} {
			add(t, s, key, 1)
		}
		held := s.Index()
		add(t, s, "updated", 1)
		merge(t, s, "merged", add(t, peer, "merged", 1))
		remove(t, s, "deleted")
		add(t, s, "new", 1)
		total(t, s, "read")
		merge(t, s, "same", load(t, s, "same"))
		s.Index()
		require.Equal(t, 4, discard(t, s, held, everything))
		require.Equal(t, []string{"deleted", "merged", "new", "updated"}, slices.Sorted(maps.Keys(stateOf(t, s))))
		require.EqualValues(t, 2, total(t, s, "updated"))
		require.Equal(t, 4, discard(t, s, nil, everything), "nothing was held")
		require.Equal(t, 4, discard(t, s, merkle.New(nil), everything))
		foreign := merkle.New(merkle.NewHasher([]byte("another")))
		for key := range s.Index().All() {
			foreign.Set(key, merkle.Fingerprint{Lo: 1})
		}
		require.Equal(t, 4, discard(t, s, foreign, everything), "of another secret")
		require.Zero(t, discard(t, s, s.Index(), append(lower, merkle.Range{From: 1 << 63, To: merkle.Full.To})))
	})
}

// To forget a key here is not to delete it: nobody is told.
// A discard that forgets nothing costs no identity.
func TestADiscardOfNothingTakesNoIdentity(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		before := s.Replica()
		for i := range 3 {
			held := s.Index()
			add(t, s, "k", int64(i+1))
			require.Equal(t, 1, discard(t, s, held, everything))
			require.Equal(t, before, s.Replica())
		}
		require.Zero(t, discard(t, s, s.Index(), everything))
		require.NotEqual(t, before, s.Replica())
	})
}

func TestNobodyHearsOfADiscard(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		add(t, s, "k", 1)
		ctx, cancel := context.WithCancel(t.Context())
		var told []string
		watch, updates := s.Watch(ctx, ""), s.Updates(ctx)
		discard(t, s, s.Index(), everything)
		add(t, s, "last", 1)
		for key := range watch {
			told = append(told, "watch "+key)
			break
		}
		for key, delta := range updates {
			require.NotEmpty(t, delta)
			told = append(told, "update "+key)
			break
		}
		cancel()
		require.Equal(t, []string{"watch last", "update last"}, told)
	})
}

func TestASnapshotHasWhatWasDiscarded(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		for i := range 300 {
			add(t, s, fmt.Sprint(i), 1)
		}
		had := stateOf(t, s)
		p := s.Snapshot()
		defer p.Close()
		discard(t, s, s.Index(), everything)
		add(t, s, "7", 1)
		for key, state := range had {
			b, err := p.Load(t.Context(), key)
			require.NoError(t, err)
			require.Equal(t, state, string(b))
		}
		require.Len(t, slices.Collect(p.Keys("")), 300)
	})
}

// A store that has promised to forget a key may discard it before that comes about.
func TestAPromisedResidueMayBeDiscarded(t *testing.T) {
	all := cluster(t, 0, "a", "b", "c")
	spread(t, "k", all[0], all[1:]...)
	insert(t, all[0], "k", "x")
	remove(t, all[0], "k")
	spread(t, "k", all[0], all[1:]...)
	proposal := all[0].Propose(1<<20, 0)
	require.NotNil(t, proposal)
	var replies [][]byte
	for _, s := range all {
		reply, err := s.Prepare(t.Context(), proposal)
		require.NoError(t, err)
		replies = append(replies, reply)
	}
	discard(t, all[1], all[1].Index(), everything)
	insert(t, all[1], "k", "again")
	record, err := all[0].Conclude(t.Context(), proposal, replies)
	require.NoError(t, err)
	for _, s := range all[1:] {
		require.NoError(t, s.Settle(t.Context(), record))
	}
	exchange(t, all...)
	for _, s := range all {
		require.Equal(t, []string{"again"}, members(t, s, "k"))
	}
}

// Wherever the power goes, each key is there as a whole or not at all, the index is right, and to discard again ends it;
// what is written then is taken for nothing else.
func TestTrap13_APowerCutDuringADiscard(t *testing.T) {
	const keys = 600 // of which some go at a time
	for keep := 0; ; keep++ {
		m, peer := newHost("s"), named("peer")
		m.cfg.Sync = -1
		s := m.open(t)
		for i := range keys {
			add(t, s, fmt.Sprint(i), 1)
		}
		require.NoError(t, s.Close())
		s = m.open(t)
		exchange(t, s, peer)
		had := stateOf(t, s)
		discard(t, s, s.Index(), lower)
		tail := m.disk.Tail()
		m.disk.Crash(keep)
		s = m.open(t)
		left := stateOf(t, s)
		for key, state := range left {
			require.Equal(t, had[key], state)
		}
		if keep == 0 {
			require.Len(t, left, keys, "nothing was durable")
		}
		require.Zero(t, check(t, s).Faults)
		require.Zero(t, discard(t, s, s.Index(), lower))
		for i := range keys {
			add(t, s, fmt.Sprint(i), 1)
		}
		exchange(t, s, peer)
		for i := range keys {
			require.EqualValues(t, 2, total(t, s, fmt.Sprint(i)))
			require.EqualValues(t, 2, total(t, peer, fmt.Sprint(i)))
		}
		if keep >= tail {
			require.Greater(t, keep, 1)
			return
		}
	}
}

// With a store that waits for its disk, what was discarded is gone for good, and the identity that it goes on with is
// durable before the first key is.
func TestADiscardIsDurable(t *testing.T) {
	m := newHost("s")
	s := m.open(t)
	add(t, s, "k", 1)
	writer := s.Replica()
	discard(t, s, s.Index(), everything)
	require.Zero(t, m.disk.Tail())
	require.NotEqual(t, writer, s.Replica())
	writer = s.Replica()
	require.NoError(t, s.Close())
	s = m.open(t)
	require.Zero(t, s.Index().Len())
	require.Empty(t, m.disk.Keys("v"))
	require.Empty(t, m.disk.Keys("f"))
	require.Equal(t, writer, s.Replica())
}

func TestADiscardFailsWithItsDisk(t *testing.T) {
	for n := range 4 {
		m := newHost("s")
		s := m.open(t)
		add(t, s, "k", 1)
		held := s.Index()
		if n%2 == 0 {
			m.disk.Fail(n/2+1, errPulled)
		} else {
			m.disk.FailSync(n/2+1, errPulled)
		}
		_, err := s.Discard(t.Context(), held, everything)
		require.ErrorIs(t, err, errPulled, "%d", n)
		m.disk.Crash(1 << 20)
		m.disk.Mend()
		s = m.open(t)
		require.LessOrEqual(t, s.Index().Len(), 1)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s := newHost("s").open(t)
	_, err := s.Discard(ended, s.Index(), everything)
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, s.Close())
	_, err = s.Discard(t.Context(), merkle.New(nil), everything)
	require.ErrorIs(t, err, store.ErrClosed)
}

// Many write while what they have written is handed over and discarded, again and again: each write is at the one that
// took over, once.
func TestNoWriteIsLostByADiscard(t *testing.T) {
	onBoth(t, func(t *testing.T, s *store.Store) {
		const writers, writes = 4, 300
		heir := named("heir")
		handOver := func() {
			held := s.Index()
			for key := range held.All() {
				merge(t, heir, key, load(t, s, key))
			}
			discard(t, s, held, everything)
		}
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for i := range writes {
					if i%5 == 0 {
						var b store.Batch
						for _, key := range []string{"k0", "k1", "k2"} {
							counting(&b, key, 1)
						}
						_, err := s.Apply(&b)
						if err != nil {
							t.Error(err)
						}
						continue
					}
					insert(aside{t}, s, fmt.Sprint("s", i%3), fmt.Sprint(w, " ", i))
				}
			})
		}
		done := make(chan struct{})
		go func() { all.Wait(); close(done) }()
		for running := true; running; {
			select {
			case <-done:
				running = false
			default:
			}
			handOver()
		}
		handOver()
		require.Zero(t, s.Index().Len())
		n := 0
		for i := range 3 {
			n += len(members(t, heir, fmt.Sprint("s", i)))
			require.EqualValues(t, writers*writes/5, total(t, heir, fmt.Sprint("k", i)))
		}
		require.Equal(t, writers*writes*4/5, n)
	})
}

// A batch has begun, and waits for one of its keys, while the next is discarded: it numbers what it does there anew.
func TestTrap13_ABatchThatADiscardOvertakes(t *testing.T) {
	s, peer := named("s"), named("peer")
	for _, key := range []string{"a", "b", "c"} {
		add(t, s, key, 1)
	}
	exchange(t, s, peer)
	at := s.Index().Hasher().Position("c")
	busy, free := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_, _ = store.View(s, "b", func(*crdt.PNCounter) { close(busy); <-free })
	})
	<-busy
	all.Go(func() {
		var b store.Batch
		for _, key := range []string{"a", "b", "c"} {
			counting(&b, key, 1)
		}
		if _, err := s.Apply(&b); err != nil {
			t.Error(err)
		}
	})
	for !store.Locked(s, "a") {
		runtime.Gosched()
	}
	discard(t, s, s.Index(), []merkle.Range{{From: at, To: at}})
	close(free)
	all.Wait()
	exchange(t, s, peer)
	require.EqualValues(t, 2, total(t, peer, "c"))
	require.EqualValues(t, 2, total(t, s, "c"))
}

func BenchmarkDiscard(b *testing.B) {
	const keys = 1_000_000
	for b.Loop() {
		b.StopTimer()
		s := named("s")
		for i := range keys {
			if _, err := store.Update(s, fmt.Sprint("key ", i), func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
				return c.Add(by.Replica, 1)
			}); err != nil {
				b.Fatal(err)
			}
		}
		held := s.Index()
		b.StartTimer()
		if kept, err := s.Discard(b.Context(), held, everything); kept > 0 || err != nil {
			b.Fatal(kept, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/keys, "ns/key")
}
