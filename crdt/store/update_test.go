package store_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

func TestUpdateReturnsTheDeltaAlone(t *testing.T) {
	s, other := named("s"), named("other")
	insert(t, s, "k", "a", "b")
	add(t, s, "k", 1)
	merge(t, other, "k", insert(t, s, "k", "c"))
	require.Equal(t, []string{"c"}, members(t, other, "k"))
	require.Zero(t, total(t, other, "k"))
}

func TestUpdateWithoutADeltaIsNothing(t *testing.T) {
	s := named("s")
	for _, delta := range []*crdt.ORSet[string]{nil, new(crdt.ORSet[string])} {
		got, err := sent(store.Update(s, "k", func(*crdt.ORSet[string], store.Writer) *crdt.ORSet[string] { return delta }))
		require.NoError(t, err)
		require.Nil(t, got)
	}
	require.Nil(t, erase(t, s, "k", "absent"))
	require.Nil(t, load(t, s, "k"))
	require.Zero(t, s.Len())
	require.Zero(t, s.Index().Len())
}

// A delta may be the value itself: it is encoded before the key is unlocked.
func TestUpdateMayReturnTheWholeValue(t *testing.T) {
	s := named("s")
	insert(t, s, "k", "a")
	delta, err := sent(store.Update(s, "k", func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		c.Add(by.Replica, "b")
		return c
	}))
	require.NoError(t, err)
	require.Equal(t, load(t, s, "k"), delta)
}

func TestUpdateOfAnUnknownKind(t *testing.T) {
	s := named("s")
	_, err := raise(s, "k", 1)
	var unknown *crdt.UnknownKindError
	require.ErrorAs(t, err, &unknown)
	require.ErrorContains(t, err, `store: update "k"`)
	for range 2 {
		_, err = store.View(s, "k", func(*probe) { t.Error("called") })
		require.ErrorAs(t, err, &unknown)
		add(t, s, "k", 1)
	}
	merged := probing(t, "other")
	state, err := raise(merged, "k", 1)
	require.NoError(t, err)
	_, err = s.Merge(t.Context(), "k", state)
	require.ErrorAs(t, err, &unknown)
}

func TestUpdateThatPanicsLeavesTheStoreUsable(t *testing.T) {
	s := named("s")
	insert(t, s, "k", "a")
	before := s.Index().Root()
	watch, updates := s.Watch(t.Context(), ""), s.Updates(t.Context())
	require.PanicsWithValue(t, "mine", func() {
		_, _ = store.Update(s, "k", func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
			c.Add(by.Replica, "b")
			panic("mine")
		})
	})
	// What the mutator did has happened, and everybody learns of it.
	require.ElementsMatch(t, []string{"a", "b"}, members(t, s, "k"))
	require.Equal(t, []string{"k"}, first(1, watch))
	require.Equal(t, []update{{"k", nil}}, firstUpdates(1, updates))
	require.NotEqual(t, before, s.Index().Root())
	requireRebuilt(t, s, []string{"k"})
	insert(t, s, "k", "c")
	require.ElementsMatch(t, []string{"a", "b", "c"}, members(t, s, "k"))
}

func TestUpdateThatPanicsAtOnceLeavesNoKey(t *testing.T) {
	s := named("s")
	require.Panics(t, func() {
		_, _ = store.Update(s, "k", func(*crdt.ORSet[string], store.Writer) *crdt.ORSet[string] { panic("mine") })
	})
	require.Nil(t, load(t, s, "k"))
	require.Zero(t, s.Len())
	require.Zero(t, s.Index().Len())
}

func TestUpdateThatExitsItsGoroutineUnlocksTheKey(t *testing.T) {
	s := named("s")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = store.Update(s, "k", func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
			c.Add(by.Replica, 1)
			runtime.Goexit()
			return nil
		})
	}()
	<-done
	require.Equal(t, int64(1), total(t, s, "k"))
	requireRebuilt(t, s, []string{"k"})
}

func TestViewThatPanicsUnlocksTheKey(t *testing.T) {
	s := named("s")
	add(t, s, "k", 1)
	require.Panics(t, func() { _, _ = store.View(s, "k", func(*crdt.PNCounter) { panic("mine") }) })
	add(t, s, "k", 1)
	require.Equal(t, int64(2), total(t, s, "k"))
}

func TestViewFindsWhatHasSomethingToShow(t *testing.T) {
	s := named("s")
	found := func() bool {
		found, err := store.View(s, "k", func(*crdt.PNCounter) {})
		require.NoError(t, err)
		return found
	}
	require.False(t, found(), "absent")
	insert(t, s, "k", "x")
	require.False(t, found(), "another type")
	add(t, s, "k", 1)
	require.True(t, found())
	add(t, s, "k", -1)
	require.True(t, found(), "zero is a value")
	remove(t, s, "k")
	require.False(t, found(), "deleted")
	add(t, s, "k", 1)
	require.True(t, found(), "made again")
}

func TestEncodeError(t *testing.T) {
	s := probing(t, "s")
	_, err := raise(s, "k", 1)
	require.NoError(t, err)
	before := s.Index().Root()
	updates := s.Updates(t.Context())

	_, err = raise(s, "k", refusing)
	var encode *store.EncodeError
	require.ErrorAs(t, err, &encode)
	require.Equal(t, "k", encode.Key)
	require.ErrorIs(t, err, errRefused)
	require.EqualError(t, err, `store: encode "k": probe: refused`)
	require.Equal(t, []update{{"k", nil}}, firstUpdates(1, updates))
	_, err = s.Load(t.Context(), "k")
	require.ErrorAs(t, err, &encode)
	found, err := store.View(s, "k", func(p *probe) { require.Equal(t, uint64(refusing), p.n) })
	require.True(t, found)
	require.NoError(t, err)
	require.Equal(t, before, s.Index().Root(), "the last state that could be encoded")

	_, err = raise(s, "k", refusing+1)
	require.NoError(t, err)
	requireRebuilt(t, s, []string{"k"})
}

// A type without MergeNovel, Reset and Empty is stored and merged all the same.
func TestTypeWithTheLeastMethods(t *testing.T) {
	a, b := probing(t, "a"), probing(t, "b")
	delta, err := sent(store.Update(a, "k", func(p *bare, _ store.Writer) *bare { return p.raise(5) }))
	require.NoError(t, err)
	require.Equal(t, delta, merge(t, b, "k", delta))
	require.Empty(t, merge(t, b, "k", delta))
	_, err = b.Delete("k")
	require.ErrorIs(t, err, crdt.ErrGrowOnly)
	require.Equal(t, a.Index().Root(), b.Index().Root())

	var n uint64
	found, err := store.View(b, "k", func(p *bare) { n = p.n })
	require.True(t, found)
	require.NoError(t, err)
	require.Equal(t, uint64(5), n)
	_, err = store.Update(a, "nothing", func(*bare, store.Writer) *bare { return nil })
	require.NoError(t, err)
	require.Equal(t, 1, a.Len())
}

func TestZeroWriter(t *testing.T) {
	require.True(t, store.Writer{}.Stamp().IsZero())
}

func TestWriterStampsLaterThanWhatWasMerged(t *testing.T) {
	a, b := named("a"), named("b")
	for range 5 {
		assign(t, a, "k", "theirs")
	}
	merge(t, b, "k", load(t, a, "k"))
	_, err := store.Update(b, "other", func(_ *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
		require.Equal(t, b.Replica(), by.Replica)
		require.Positive(t, by.Stamp().Compare(a.Clock().Last()))
		return nil
	})
	require.NoError(t, err)
}

func TestConfigDefaults(t *testing.T) {
	a, b := store.New(store.Config{}), store.New(store.Config{})
	require.NotEqual(t, a.Replica(), b.Replica())
	require.Equal(t, a.Replica(), a.Clock().Replica)
	require.Equal(t, vclock.Named("mine"), store.New(store.Config{Replica: vclock.Named("mine")}).Replica())
}
