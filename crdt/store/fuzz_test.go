package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// FuzzMerge gives a store bytes that claim to be a state: either they are refused
// and nothing changes, or they are merged and all that the store promises holds.
func FuzzMerge(f *testing.F) {
	s := named("seed")
	f.Add(add(f, s, "k", -3))
	f.Add(insert(f, s, "k", "x", "y"))
	f.Add(erase(f, s, "k", "x"))
	f.Add(assign(f, s, "k", "value"))
	f.Add(load(f, s, "k"))
	f.Add(remove(f, s, "k"))
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, state []byte) {
		s := named("s")
		insert(t, s, "k", "x")
		before := load(t, s, "k")
		novel, err := s.Merge(t.Context(), "k", state)
		after := load(t, s, "k")
		if err != nil || len(novel) == 0 {
			require.Equal(t, before, after)
			return
		}
		require.NotEqual(t, before, after)
		require.Empty(t, merge(t, s, "k", state))
		requireRebuilt(t, s, []string{"k"})
		other := named("other")
		merge(t, other, "k", before)
		merge(t, other, "k", novel)
		require.Equal(t, after, load(t, other, "k"), "the novelty is as good as the state")
	})
}

// FuzzSettle gives a store records and proposals from outside. They may be refused; they neither panic nor take
// anything away that shows.
func FuzzSettle(f *testing.F) {
	a := store.New(store.Config{Replica: vclock.Named("a")})
	_, err := a.Adopt(f.Context(), "")
	require.NoError(f, err)
	for _, key := range []string{"k", "l"} {
		_, err := store.Update(a, key, func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
			return c.Add(by.Replica, "x")
		})
		require.NoError(f, err)
		_, err = a.Delete(key)
		require.NoError(f, err)
		proposal := a.Propose(1<<20, 0)
		f.Add(proposal)
		reply, err := a.Prepare(f.Context(), proposal)
		require.NoError(f, err)
		record, err := a.Conclude(f.Context(), proposal, [][]byte{reply})
		require.NoError(f, err)
		f.Add(record)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := named("s")
		add(t, s, "mine", 5)
		_, err := s.Adopt(t.Context(), "")
		require.NoError(t, err)
		for range 2 {
			if reply, err := s.Prepare(t.Context(), b); err == nil {
				_, _ = s.Conclude(t.Context(), b, [][]byte{reply, b})
			}
			_ = s.Settle(t.Context(), b)
			_, _ = s.Merge(t.Context(), "l", b)
		}
		require.Equal(t, int64(5), total(t, s, "mine"))
	})
}
