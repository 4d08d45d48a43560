package store

import (
	"context"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
)

func bump(s *Store, key string) {
	_, _ = Update(s, key, func(c *crdt.PNCounter, by Writer) *crdt.PNCounter { return c.Add(by.Replica, 1) })
}

func TestFollowersAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Config{})
		ctx, cancel := context.WithCancel(t.Context())
		s.Watch(ctx, "never ranged over")
		s.Updates(ctx)
		ranged := s.Watch(t.Context(), "")
		require.Len(t, *s.hub.feeds.Load(), 3)
		cancel()
		synctest.Wait()
		require.Len(t, *s.hub.feeds.Load(), 1)
		bump(s, "k")
		for range ranged {
			break
		}
		require.Nil(t, s.hub.feeds.Load())
	})
}

func TestFollowersThatPanicAreForgotten(t *testing.T) {
	s := New(Config{})
	watch := s.Watch(t.Context(), "")
	bump(s, "k")
	require.Panics(t, func() {
		for range watch {
			panic("mine")
		}
	})
	require.Nil(t, s.hub.feeds.Load())
}

func TestFeedKeepsNothingOfABurst(t *testing.T) {
	f := newDeltaFeed(1 << 20)
	for i := range 10_000 {
		f.offer(strconv.Itoa(i), []byte("delta"))
	}
	for range 9000 {
		_, _, ok := f.take()
		require.True(t, ok)
	}
	require.Len(t, f.pending, 1000)
	require.Equal(t, 5000, f.bytes)
	require.Less(t, len(f.order), 4000)
	for i := range 1000 {
		key, _, _ := f.take()
		require.Equal(t, strconv.Itoa(9000+i), key)
	}
	_, _, ok := f.take()
	require.False(t, ok)
	require.Zero(t, f.bytes)
	require.LessOrEqual(t, cap(f.order), 1024)
}

func TestFeedLosesAKeyNotItsNeighbours(t *testing.T) {
	f := newDeltaFeed(800) // 100 for one key
	f.offer("large", make([]byte, 60))
	f.offer("small", make([]byte, 10))
	f.offer("large", make([]byte, 60))
	f.offer("large", make([]byte, 1))
	require.Equal(t, 10, f.bytes)
	_, b, _ := f.take()
	require.True(t, b.lost)
	_, b, _ = f.take()
	require.Len(t, b.deltas, 1)
}
