package store_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

func TestLoadOfAnAbsentKey(t *testing.T) {
	s := named("s")
	require.Nil(t, load(t, s, "k"))
	merge(t, s, "k", nil)
	merge(t, s, "k", []byte{})
	require.Nil(t, load(t, s, "k"))
	require.Nil(t, remove(t, s, "k"))
}

func TestMergeReturnsExactlyTheNovelty(t *testing.T) {
	a, b, c := named("a"), named("b"), named("c")
	merge(t, b, "k", insert(t, a, "k", "x"))
	merge(t, c, "k", insert(t, a, "k", "x2"))
	y := insert(t, a, "k", "y")
	merge(t, c, "k", load(t, b, "k"))
	require.Equal(t, y, merge(t, c, "k", load(t, a, "k")))
	require.Empty(t, merge(t, c, "k", load(t, a, "k")))
	require.Equal(t, load(t, a, "k"), load(t, c, "k"))
}

func TestMergeKeepsNothingOfItsInput(t *testing.T) {
	a, b := named("a"), named("b")
	insert(t, a, "k", "a long element that is not kept inline")
	assign(t, a, "k", "value")
	state := load(t, a, "k")
	in := slices.Clone(state)
	novel := merge(t, b, "k", in)
	clear(in)
	require.Equal(t, state, load(t, b, "k"))
	clear(novel)
	require.Equal(t, state, load(t, b, "k"))
	clear(load(t, b, "k"))
	require.Equal(t, state, load(t, b, "k"))
}

func TestMergeRefusesWhatDoesNotDecode(t *testing.T) {
	s := named("s")
	state := insert(t, s, "k", "x")
	root := s.Index().Root()
	for n := 1; n < len(state); n++ {
		_, err := s.Merge(t.Context(), "k", state[:n])
		require.Error(t, err)
		_, err = s.Merge(t.Context(), "other", state[n:])
		require.Error(t, err)
	}
	_, err := s.Merge(t.Context(), "k", []byte{0xc1})
	var corrupt *crdt.CorruptError
	require.ErrorAs(t, err, &corrupt)
	require.ErrorContains(t, err, `store: merge "k"`)
	require.Equal(t, root, s.Index().Root())
	require.Equal(t, 1, s.Len())
}

func TestContextErrorsPassUntouched(t *testing.T) {
	s := named("s")
	state := add(t, s, "k", 1)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Load(ctx, "k")
	require.Equal(t, context.Canceled, err)
	_, err = s.Merge(ctx, "other", state)
	require.Equal(t, context.Canceled, err)
	require.Equal(t, 1, s.Len())
}

func TestDeleteTravelsAndConverges(t *testing.T) {
	a, b := named("a"), named("b")
	insert(t, a, "k", "x")
	exchange(t, a, b)
	delta := remove(t, a, "k")
	require.NotEmpty(t, delta)
	require.NotEmpty(t, load(t, a, "k"), "its history stays")
	require.Equal(t, 1, a.Index().Len())
	require.Nil(t, remove(t, a, "k"), "a second time there is nothing to delete")

	require.Equal(t, delta, merge(t, b, "k", delta))
	require.Empty(t, slices.Collect(b.Keys("")))
	require.Zero(t, b.Len())
	require.Equal(t, a.Index().Root(), b.Index().Root())
}

func TestDeleteLosesToWhatItDidNotSee(t *testing.T) {
	a, b := named("a"), named("b")
	insert(t, a, "k", "x")
	exchange(t, a, b)
	insert(t, b, "k", "y")
	merge(t, b, "k", remove(t, a, "k"))
	require.Equal(t, []string{"y"}, members(t, b, "k"))
}

func TestDeleteOfWhatOnlyGrowsChangesNothing(t *testing.T) {
	s := named("s")
	_, err := store.Update(s, "k", func(c *crdt.GSet[string], _ store.Writer) *crdt.GSet[string] { return c.Add("x") })
	require.NoError(t, err)
	insert(t, s, "k", "y")
	before := load(t, s, "k")
	watch := s.Watch(t.Context(), "")
	_, err = s.Delete("k")
	require.ErrorIs(t, err, crdt.ErrGrowOnly)
	require.ErrorContains(t, err, `store: delete "k"`)
	require.Equal(t, before, load(t, s, "k"))
	add(t, s, "last", 1)
	require.Equal(t, []string{"last"}, first(1, watch))
}

func TestKeysAreSortedLiveAndUnderTheirPrefix(t *testing.T) {
	s := named("s")
	for _, key := range []string{"b/2", "a/10", "", "b/1", "a/1", "\xff", "b"} {
		add(t, s, key, 1)
	}
	remove(t, s, "b/2")
	require.Equal(t, []string{"", "a/1", "a/10", "b", "b/1", "\xff"}, slices.Collect(s.Keys("")))
	require.Equal(t, []string{"b", "b/1"}, slices.Collect(s.Keys("b")))
	for key := range s.Keys("a") {
		require.Equal(t, "a/1", key)
		break
	}
	require.Equal(t, 6, s.Len())
	for key := range s.Keys("a") { // the body may call the store
		remove(t, s, key)
	}
	require.Equal(t, 4, s.Len())
}

func TestIndexIsASnapshot(t *testing.T) {
	s := named("s")
	add(t, s, "k", 1)
	old := s.Index()
	root := old.Root()
	add(t, s, "k", 1)
	add(t, s, "other", 1)
	require.Equal(t, root, old.Root())
	require.Equal(t, 1, old.Len())
	require.Equal(t, 2, s.Index().Len())
	old.Delete("k")
	requireRebuilt(t, s, []string{"k", "other"})
}

func TestIndexIsKeyedByTheSecret(t *testing.T) {
	root := func(secret string) any {
		s := store.New(store.Config{Replica: vclock.Named("s"), Secret: []byte(secret)})
		add(t, s, "k", 1)
		return s.Index().Root()
	}
	require.Equal(t, root("one"), root("one"))
	require.NotEqual(t, root("one"), root("two"))
}

// What an encoder that panics left undone is done by the next call.
func TestIndexSurvivesAPanickingEncoder(t *testing.T) {
	s := probing(t, "s")
	for _, key := range []string{"a", "b", "c", "d"} {
		add(t, s, key, 1)
	}
	require.Panics(t, func() { _, _ = raise(s, "b", panicking) })
	require.Panics(t, func() { s.Index() })
	require.Equal(t, 3, s.Index().Len())
	_, err := raise(s, "b", panicking+1)
	require.NoError(t, err)
	requireRebuilt(t, s, []string{"a", "b", "c", "d"})
}
