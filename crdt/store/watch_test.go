package store_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// first takes n items of a sequence of keys.
func first(n int, seq iter.Seq2[string, bool]) []string {
	var got []string
	for key := range seq {
		if got = append(got, key); len(got) == n {
			break
		}
	}
	return got
}

func TestWatchIsRegisteredAtTheCall(t *testing.T) {
	s := named("paris")
	watch := s.Watch(t.Context(), "")
	add(t, s, "before the range", 1)
	require.Equal(t, []string{"before the range"}, first(1, watch))
}

func TestWatchFollowsLocalAndRemoteChangesUnderAPrefix(t *testing.T) {
	s, other := named("paris"), named("tokyo")
	watch := s.Watch(t.Context(), "a/")
	add(t, s, "a/local", 1)
	add(t, s, "b/elsewhere", 1)
	merge(t, s, "a/remote", add(t, other, "a/remote", 1))
	_, err := s.Delete("a/local")
	require.NoError(t, err)
	add(t, s, "a/last", 1)
	require.Equal(t, []string{"a/local", "a/remote", "a/last"}, first(3, watch))
}

func TestWatchCoalescesChangesOfOneKey(t *testing.T) {
	s := named("paris")
	watch := s.Watch(t.Context(), "")
	for range 1000 {
		add(t, s, "busy", 1)
	}
	add(t, s, "last", 1)
	require.Equal(t, []string{"busy", "last"}, first(2, watch))
}

func TestWatchYieldsAgainWhatChangesAfterItWasYielded(t *testing.T) {
	s := named("paris")
	var got []string
	watch := s.Watch(t.Context(), "")
	add(t, s, "k", 1)
	for key := range watch {
		if got = append(got, key); len(got) == 3 {
			break
		}
		add(t, s, "k", 1) // the body may call the store
	}
	require.Equal(t, []string{"k", "k", "k"}, got)
}

func TestWatchSaysNothingWhereNothingChanged(t *testing.T) {
	s := named("paris")
	state := add(t, s, "k", 1)
	watch := s.Watch(t.Context(), "")
	merge(t, s, "k", state)
	merge(t, s, "k", nil)
	_, err := store.Update(s, "k", func(*crdt.PNCounter, store.Writer) *crdt.PNCounter { return nil })
	require.NoError(t, err)
	_, err = store.Update(s, "k", func(*crdt.PNCounter, store.Writer) *crdt.PNCounter { return new(crdt.PNCounter) })
	require.NoError(t, err)
	_, err = s.Delete("absent")
	require.NoError(t, err)
	add(t, s, "last", 1)
	require.Equal(t, []string{"last"}, first(1, watch))
}

func TestWatchWaitsAndEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := named("paris")
		ctx, cancel := context.WithCancel(t.Context())
		watch := s.Watch(ctx, "")
		var got []string
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			for key := range watch {
				got = append(got, key)
			}
		}()
		synctest.Wait()
		require.Empty(t, got)
		add(t, s, "one", 1)
		synctest.Wait()
		require.Equal(t, []string{"one"}, got)
		add(t, s, "two", 1)
		synctest.Wait()
		cancel()
		<-ended
		require.Equal(t, []string{"one", "two"}, got)
		add(t, s, "three", 1)
		require.Empty(t, first(-1, watch), "the watch is over")
	})
}

func TestWatchYieldsNothingOnceItsContextEnded(t *testing.T) {
	s := named("paris")
	ctx, cancel := context.WithCancel(t.Context())
	watch := s.Watch(ctx, "")
	updates := s.Updates(ctx)
	add(t, s, "k", 1)
	cancel()
	require.Empty(t, first(-1, watch))
	for key := range updates {
		t.Errorf("yielded %q", key)
	}
}

func TestWatchServesOneRange(t *testing.T) {
	s := named("paris")
	watch := s.Watch(t.Context(), "")
	add(t, s, "k", 1)
	require.Equal(t, []string{"k"}, first(1, watch))
	add(t, s, "k", 1)
	require.Empty(t, first(-1, watch))
}

func TestUpdatesYieldLocalDeltasInOrder(t *testing.T) {
	s, other := named("paris"), named("tokyo")
	updates := s.Updates(t.Context())
	x := add(t, s, "x", 1)
	merge(t, s, "remote", add(t, other, "remote", 1))
	y := add(t, s, "y", 2)
	del, err := sent(s.Delete("x"))
	require.NoError(t, err)
	joined, err := crdt.Standard().Join(x, del)
	require.NoError(t, err)

	require.Equal(t, []update{{"x", joined}, {"y", y}}, firstUpdates(2, updates))
}

type update struct {
	Key   string
	Delta []byte
}

func firstUpdates(n int, seq iter.Seq2[string, []byte]) []update {
	var got []update
	for key, delta := range seq {
		if got = append(got, update{key, delta}); len(got) == n {
			break
		}
	}
	return got
}

func TestUpdatesJoinWhatPilesUp(t *testing.T) {
	s, other := named("paris"), named("tokyo")
	updates := s.Updates(t.Context())
	for i := range 100 {
		insert(t, s, "set", strconv.Itoa(i))
	}
	got := firstUpdates(1, updates)
	merge(t, other, "set", got[0].Delta)
	require.Equal(t, load(t, s, "set"), load(t, other, "set"))
}

func TestUpdatesGiveUpDeltasPastTheirBound(t *testing.T) {
	s := store.New(store.Config{Replica: vclock.Named("paris"), MaxPending: 1 << 10})
	updates := s.Updates(t.Context())
	for i := range 100 {
		insert(t, s, "hot", strconv.Itoa(i))
	}
	small := insert(t, s, "small", "x")
	got := firstUpdates(2, updates)
	require.Equal(t, []update{{"hot", nil}, {"small", small}}, got)

	updates = s.Updates(t.Context())
	for i := range 1000 {
		insert(t, s, strconv.Itoa(i), "x")
	}
	held, given := 0, 0
	for i, u := range firstUpdates(1000, updates) {
		require.Equal(t, strconv.Itoa(i), u.Key)
		held += len(u.Delta)
		if u.Delta == nil {
			given++
		}
	}
	require.LessOrEqual(t, held, 1<<10)
	require.Positive(t, held)
	require.Positive(t, given)
}

func TestUpdatesRecoverTheirBoundOnceDrained(t *testing.T) {
	s := store.New(store.Config{Replica: vclock.Named("paris"), MaxPending: 1 << 10})
	updates := s.Updates(t.Context())
	for i := range 1000 {
		insert(t, s, strconv.Itoa(i%20), "x"+strconv.Itoa(i))
	}
	n := 0
	for _, delta := range updates {
		if n++; n == 20 {
			insert(t, s, "again", "x")
		}
		if n == 21 {
			require.NotEmpty(t, delta)
			break
		}
	}
}

func TestUpdatesDeltaIsACopy(t *testing.T) {
	s := named("paris")
	updates := s.Updates(t.Context())
	delta := add(t, s, "k", 1)
	want := slices.Clone(delta)
	clear(delta)
	require.Equal(t, []update{{"k", want}}, firstUpdates(1, updates))
}

func TestSlowRangesBlockNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := named("paris")
		watch, updates := s.Watch(t.Context(), ""), s.Updates(t.Context())
		release := make(chan struct{})
		go func() {
			for range watch {
				<-release
			}
		}()
		go func() {
			for range updates {
				<-release
			}
		}()
		for i := range 5000 {
			add(t, s, strconv.Itoa(i%500), 1)
		}
		synctest.Wait()
		close(release)
	})
}

// A watcher that is slow is told to read everything again, once, and then hears of what changes after that.
func TestASlowWatcherReadsAllAgain(t *testing.T) {
	s := store.New(store.Config{MaxWatched: 3})
	watch := s.Watch(t.Context(), "a/")
	for i := range 10 {
		add(t, s, fmt.Sprint("a/", i), 1)
		add(t, s, fmt.Sprint("b/", i), 1)
	}
	type change struct {
		key string
		all bool
	}
	var got []change
	for key, all := range watch {
		if got = append(got, change{key, all}); all {
			add(t, s, "a/after", 1)
		}
		if len(got) == 4 {
			break
		}
	}
	require.Equal(t, []change{{"a/", true}, {"a/8", false}, {"a/9", false}, {"a/after", false}}, got)
}
