package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"
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
