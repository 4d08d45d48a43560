package store_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

type bans = crdt.RWSet[string]

func ban(t tester, s *store.Store, key, name string) {
	change(t, s, key, func(c *bans, by store.Writer) *bans { return c.Remove(by.Replica, name) })
}

func admit(t tester, s *store.Store, key, name string) {
	change(t, s, key, func(c *bans, by store.Writer) *bans { return c.Add(by.Replica, name) })
}

func admitted(t *testing.T, s *store.Store, key string) (names []string) {
	_, err := store.View(s, key, func(c *bans) { names = slices.Sorted(c.All()) })
	require.NoError(t, err)
	return names
}

// A replica that is no member has more in a key than what the members forget of it, and goes on with that. If it were a
// removal in force that they forget, it would come back and take away what was added since.
func TestTrap26_ARemovalInForceIsNotForgotten(t *testing.T) {
	all := cluster(t, 1<<20, "a", "b", "guest")
	a, b, guest := all[0], all[1], all[2]
	admit(t, a, "k", "x")
	ban(t, a, "k", "x")
	spread(t, "k", a, b, guest)
	admit(t, guest, "k", "z")
	require.Nil(t, a.Propose(1<<20, 0), "nothing is to be forgotten")
	admit(t, a, "k", "x")
	spread(t, "k", guest, a, b)
	spread(t, "k", a, b, guest)
	for _, s := range all {
		require.Equal(t, []string{"x", "z"}, admitted(t, s, "k"))
	}

	// A deletion ends the removals with all else. So it is forgotten, and what it forgot has no say any more.
	ban(t, a, "k", "x")
	spread(t, "k", a, guest)
	admit(t, guest, "k", "y")
	remove(t, a, "k")
	record := collect(t, a, b)
	require.Nil(t, load(t, a, "k"))
	admit(t, a, "k", "x")
	require.NoError(t, guest.Settle(t.Context(), record))
	spread(t, "k", guest, a)
	spread(t, "k", a, b, guest)
	for _, s := range all {
		require.Equal(t, []string{"x", "y"}, admitted(t, s, "k"))
	}
}

// What a guest remembers of a key that the members have forgotten does not keep it from taking part when others depart.
func TestTrap26_WhatAGuestStillRemembersDoesNotLockItOut(t *testing.T) {
	for _, forgotten := range []int64{3, -3, 30} {
		all := cluster(t, 1<<20, "a", "b", "guest", "first", "second")
		a, b, guest, first, second := all[0], all[1], all[2], all[3], all[4]
		add(t, first, "k", forgotten)
		spread(t, "k", first, a)
		remove(t, a, "k")
		spread(t, "k", a, b, guest)
		add(t, guest, "k", 5) // so it goes on with the key
		record := collect(t, a, b)
		require.Nil(t, load(t, a, "k"))
		for _, s := range []*store.Store{guest, second} {
			require.NoError(t, s.Settle(t.Context(), record))
		}

		add(t, second, "k", 7)
		spread(t, "k", second, a, b)
		a.Retire(first.Replica(), second.Replica())
		record = collect(t, a, b)
		require.NoError(t, guest.Settle(t.Context(), record))
		spread(t, "k", guest, a)
		spread(t, "k", a, b, guest)
		for _, s := range []*store.Store{a, b, guest} {
			require.EqualValues(t, 12, total(t, s, "k"))
		}
		for a.Propose(1<<20, 0) != nil {
			require.NoError(t, guest.Settle(t.Context(), collect(t, a, b)))
		}
		require.EqualValues(t, 12, total(t, guest, "k"))
		v, err := a.Decode(load(t, guest, "k"))
		require.NoError(t, err)
		for _, seen := range v.Contexts().All() {
			require.Zero(t, seen.Max(first.Replica()), "the name came again, and goes in the end")
		}
		require.Equal(t, a.Index().Root(), guest.Index().Root())
	}
}

// Names go from a key that shows nothing, too, if it is not to be forgotten.
func TestTrap16_TheDepartedGoFromWhatIsKeptThoughItIsEmpty(t *testing.T) {
	all := cluster(t, 1<<20, "a", "gone")
	a, gone := all[0], all[1]
	ban(t, gone, "k", "x")
	spread(t, "k", gone, a)
	require.Zero(t, a.Len())
	a.Retire(gone.Replica())
	collect(t, a)
	require.Empty(t, stillNamed(t, a, "k", gone.Replica()))
	require.Nil(t, a.Propose(1<<20, 0))
}
