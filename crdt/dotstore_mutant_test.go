package crdt_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
)

// Elements that stay when most go, and a set moves its dots together, keep all events that brought them.
func TestORSetMovesElementsOfManyEvents(t *testing.T) {
	all := elems("e", 300)
	a, b, c := new(set).Add(idA, all...), new(set).Add(idB, all...), new(set).Add(idC, all...)
	s := together(together(a, b), c)
	s.Remove(all[10:]...)
	s.CheckInvariants()
	for _, e := range all[:10] {
		require.Len(t, s.Explain(e).For, 3)
	}
	for left, end := range []*set{c.Reset(), b.Reset(), a.Reset()} {
		require.Equal(t, 10, s.Len())
		require.True(t, s.Merge(end))
		s.CheckInvariants()
		require.Equal(t, left == 2, s.Empty())
	}
}

// Events are found by a run that begins long before them, where the first half of their numbers is another one.
func TestORSetMergesHighSequenceNumbersFromTheFirstOn(t *testing.T) {
	var s, other set
	require.NoError(t, s.UnmarshalBinary(claiming(idA, math.MaxUint64-20)))
	other.Add(idB, "y")
	s.Add(idA, "x")
	other.Merge(&s)
	other.CheckInvariants()
	require.Equal(t, []string{"x", "y"}, sorted(&other))
	s.Remove("x")
	other.Merge(&s)
	require.Equal(t, []string{"y"}, sorted(&other))
}

// A run that begins behind the last that lives below 2^32 goes on with what lives above.
func TestORSetMergesAcrossTheHalvesOfNumbers(t *testing.T) {
	var s set
	require.NoError(t, s.UnmarshalBinary(claiming(idA, math.MaxUint32-3)))
	s.Add(idA, "low")
	other := s.Clone()
	s.Add(idA, "went", "too")
	s.Remove("went", "too")
	s.Add(idA, "high")
	require.Equal(t, uint64(1<<32), s.Explain("high").For[0].Seq)
	other.Merge(&s)
	other.CheckInvariants()
	require.Equal(t, []string{"high", "low"}, sorted(other))
}

// What is never found again leaves nothing behind when it goes.
func TestORSetForgetsWhatDiffersFromItself(t *testing.T) {
	var s crdt.ORSet[float64]
	for i := range 20 {
		s.Add(idA, float64(i))
	}
	var writer crdt.ORSet[float64]
	for range 1000 {
		added := writer.Add(idB, math.NaN())
		s.Merge(added)
		s.Merge(added.Reset())
	}
	require.Equal(t, 20, s.Len())
	require.True(t, s.Has(7))
}

// An event that brought one thing at the cut and another one here brought neither: its identity was used twice.
func TestHandoverOfAnIdentityUsedTwice(t *testing.T) {
	s := new(set).Add(idA, "x")
	require.True(t, handsOver(t, s, new(set).Add(idA, "y"), idA))
	require.True(t, s.Empty())
	r := new(rwset).Add(idA, "x")
	require.True(t, handsOver(t, r, new(rwset).Add(idA, "y"), idA))
	require.True(t, r.Empty())
}
