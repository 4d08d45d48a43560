package crdt_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// handsOver does it, and says whether anything changed.
func handsOver[P inheritable[P]](t *testing.T, s, at P, from ...vclock.ReplicaID) bool {
	t.Helper()
	changed, err := s.Handover(at, idEstate, from...)
	require.NoError(t, err)
	return changed
}

// It is said once that something was handed over: where there was something.
func TestHandoverTellsWhetherItChangedAnything(t *testing.T) {
	at := new(crdt.GCounter).Add(idA, 3)
	g := at.Clone()
	require.True(t, handsOver(t, g, at, idA))
	require.False(t, handsOver(t, g, at, idA), "again")
	require.False(t, handsOver(t, new(crdt.GCounter).Add(idB, 3), at, idA), "none of it here")
	require.Equal(t, uint64(3), g.Value())

	for _, n := range []int64{3, -3} {
		c := new(pn).Add(idA, n)
		require.True(t, handsOver(t, c, c.Clone(), idA))
		require.Equal(t, n, c.Value())
	}
	m := new(crdt.MVRegister[string]).Set(idA, "x")
	require.True(t, handsOver(t, m, m.Clone(), idA))
	require.Equal(t, []string{"x"}, m.Values())
}

func TestGCounterHandoverRefuses(t *testing.T) {
	at := new(crdt.GCounter).Add(idA, 3)
	x := at.Clone()
	x.Add(idA, 1)
	refuses(t, "not in the cut", idA, x, at, idEstate, idA)

	used := at.Clone()
	used.Add(idEstate, 1)
	refuses(t, "has events of its own", idEstate, at.Clone(), used, idEstate, idA)

	// The successor's entry counts what it should, and somebody reset a part of it: so it was in use.
	part := at.Clone()
	part.Add(idEstate, 1)
	part.Reset()
	part.Merge(at)
	part.Add(idEstate, 2)
	refuses(t, "has events of its own", idEstate, part, at, idEstate, idA)

	// One departed, and nothing reset of it; another was reset in part.
	both := new(crdt.GCounter).Add(idA, 3)
	both.Add(idB, 2)
	torn := both.Clone()
	torn.Merge(new(crdt.GCounter).Add(idB, 2).Reset())
	refuses(t, "reset in part", idA, torn, both, idEstate, idA, idB)
}

// A reset after the handover stays, when the old entry comes up again.
func TestCounterHandoverKeepsTheResetOfWhatWasHandedOver(t *testing.T) {
	old := new(crdt.GCounter).Add(idA, 3)
	c := old.Clone()
	handsOver(t, c, old, idA)
	c.Reset()
	c.Merge(old)
	handsOver(t, c, old, idA)
	require.Zero(t, c.Value())
}

// The successor's events are told apart: each is there under its old name, its new one, or both.
func TestMVRegisterHandoverMeetsOldAndNewNames(t *testing.T) {
	type register = crdt.MVRegister[string]
	x, y := new(register).Set(idA, "x"), new(register).Set(idB, "y")
	at := x.Clone()
	at.Merge(y)
	early := vclock.Named("0") // comes before all others

	// Who has seen only one of the two has only that one handed over.
	one := y.Clone()
	require.True(t, handsOver(t, one, at, idA, idB))
	require.Equal(t, []string{"y"}, one.Values())
	require.Equal(t, "{estate:2}", one.Context().String())

	// The one under its new name already, the other under the old one.
	half := x.Clone()
	handsOver(t, half, at, idA, idB)
	half.Merge(y)
	require.True(t, handsOver(t, half, at, idA, idB))
	require.Equal(t, []string{"x", "y"}, half.Values())
	require.Equal(t, "{estate:1-2}", half.Context().String())

	// Overwritten under the new name, and still there under the old one; and the reverse.
	dead := x.Clone()
	handsOver(t, dead, at, idA, idB)
	dead.Reset()
	dead.Merge(x)
	handsOver(t, dead, at, idA, idB)
	require.Empty(t, dead.Values())
	handed := x.Clone()
	handsOver(t, handed, at, idA, idB)
	dead = x.Clone()
	dead.Reset()
	dead.Merge(handed)
	handsOver(t, dead, at, idA, idB)
	require.Empty(t, dead.Values())

	// A successor that comes before those who stay: what is handed over comes first.
	mixed := at.Clone()
	mixed.Merge(new(register).Set(idC, "z"))
	_, err := mixed.Handover(at, early, idA, idB)
	require.NoError(t, err)
	require.NoError(t, new(register).UnmarshalBinary(encoded(t, mixed)), "in order")
	require.Equal(t, []string{"x", "y", "z"}, mixed.Values())
}

func TestValueHandoverIsAllOrNothing(t *testing.T) {
	fill := func(a, b uint64) *crdt.Value {
		v := new(crdt.Value)
		g, err := crdt.Ensure[*crdt.GCounter](crdt.Standard(), v)
		require.NoError(t, err)
		g.Add(idA, a)
		c, err := crdt.Ensure[*pn](crdt.Standard(), v)
		require.NoError(t, err)
		c.Add(idB, int64(b))
		return v
	}
	counter := func(v *crdt.Value) *crdt.GCounter {
		g, ok := crdt.Component[*crdt.GCounter](crdt.Standard(), v)
		require.True(t, ok)
		return g
	}

	v := fill(3, 4)
	changed, err := v.Handover(fill(3, 4), idEstate, idA)
	require.NoError(t, err)
	require.True(t, changed, "the first kind did, the last did not")
	require.Equal(t, "{estate:1-3}", counter(v).Context().String())

	v = fill(3, 4)
	before := encodedValue(t, v)
	changed, err = v.Handover(fill(3, 1), idEstate, idA, idB)
	require.Error(t, err, "the last kind refuses")
	require.False(t, changed)
	require.Equal(t, before, encodedValue(t, v))

	held := counter(v)
	changed, err = v.Handover(fill(3, 4), idEstate, idC)
	require.NoError(t, err)
	require.False(t, changed)
	require.Same(t, held, counter(v), "where nothing changes, states stay the same ones")
}

// What the departed had counted and all have forgotten since, a reset count, may still be in a state with more in it. It
// stays there: what others that depart have left is no part of that reset.
func TestCounterHandoverOfWhatWasForgotten(t *testing.T) {
	var at, g crdt.GCounter
	at.Add(idB, 2)
	g.Add(idA, 3)
	g.Reset()
	require.False(t, handsOver(t, &g, &at, idA, idB), "of the others it has nothing")
	g.Merge(&at)
	require.True(t, handsOver(t, &g, &at, idA, idB))
	require.EqualValues(t, 2, g.Value())
	require.Equal(t, "{a:1-3 estate:1-2}", g.Context().String())
	require.False(t, handsOver(t, &g, &at, idA, idB), "again")
	require.True(t, handsOver(t, &at, at.Clone(), idA, idB))
	at.Merge(&g)
	require.EqualValues(t, 2, at.Value())

	for _, n := range []int64{3, -3} {
		var at pn
		at.Add(idB, 7)
		c := new(pn).Add(idA, n)
		c.Reset()
		c.Merge(&at)
		require.True(t, handsOver(t, c, &at, idA, idB))
		require.EqualValues(t, 7, c.Value())
		require.NoError(t, new(pn).UnmarshalBinary(encoded(t, c)))
	}
}
