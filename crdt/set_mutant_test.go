package crdt_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// Elements that are added together are each added anew, whoever added them before; one that is named twice, once.
func TestORSetAddsManyAnew(t *testing.T) {
	for _, by := range []vclock.ReplicaID{idA, idB} {
		var s set
		s.Add(idA, "x")
		s.Add(idA, "y")
		other := s.Clone()
		delta := s.Add(by, "x", "y", "z", "x")
		require.Equal(t, uint64(2+3), delta.Context().Count(), "two that are replaced, and three new ones")
		other.Remove("x", "y")
		other.Merge(delta)
		require.Equal(t, []string{"x", "y", "z"}, sorted(other))
		require.Len(t, s.Explain("x").For, 1)
	}
}

// handed is what two sets with handovers are asked: the elements x and y were added by a and by b, who departed.
type handed[S inheritable[S]] struct {
	x, y, at S
	reset    func(S)
	elems    func(S) []string
}

func (h handed[S]) over(t *testing.T, s S) S {
	t.Helper()
	_, err := s.Handover(h.at, idEstate, idA, idB)
	require.NoError(t, err)
	return s
}

// check goes through what may have become of an addition under its old name and its new one.
func (h handed[S]) check(t *testing.T) {
	one := h.over(t, h.y.Clone())
	require.Equal(t, []string{"y"}, h.elems(one), "only what was seen")
	require.Equal(t, "{estate:2}", one.Context().String())

	half := h.over(t, h.x.Clone())
	half.Merge(h.y)
	require.Equal(t, []string{"x", "y"}, h.elems(h.over(t, half)))
	require.Equal(t, "{estate:1-2}", half.Context().String())

	dead := h.over(t, h.x.Clone())
	h.reset(dead)
	dead.Merge(h.x)
	require.Empty(t, h.elems(h.over(t, dead)), "taken out under its new name, still in under the old one")

	dead = h.x.Clone()
	h.reset(dead)
	dead.Merge(h.over(t, h.x.Clone()))
	require.Empty(t, h.elems(h.over(t, dead)), "taken out under its old name, still in under the new one")

	dead = h.x.Clone()
	h.reset(dead)
	require.Empty(t, h.elems(h.over(t, dead)))
	require.Equal(t, "{estate:1}", dead.Context().String(), "its end is handed over as well")
	require.True(t, dead.Merge(h.over(t, h.y.Clone())))
	require.Equal(t, []string{"y"}, h.elems(dead))
}

// together is what a cut of both is.
func together[S crdt.Lattice[S]](x, y S) S {
	at := x.Clone()
	at.Merge(y)
	return at
}

func TestSetHandoverMeetsOldAndNewNames(t *testing.T) {
	x, y := new(set).Add(idA, "x"), new(set).Add(idB, "y")
	handed[*set]{x, y, together(x, y), func(s *set) { s.Reset() },
		func(s *set) []string { s.CheckInvariants(); return sorted(s) }}.check(t)

	in, too := new(rwset).Add(idA, "x"), new(rwset).Add(idB, "y")
	handed[*rwset]{in, too, together(in, too), func(s *rwset) { s.Reset() },
		func(s *rwset) []string { return slices.Sorted(s.All()) }}.check(t)
	out, either := new(rwset).Remove(idA, "x"), new(rwset).Remove(idB, "y")
	handed[*rwset]{out, either, together(out, either), func(s *rwset) { s.Reset() },
		func(s *rwset) (removed []string) {
			for _, e := range []string{"x", "y"} {
				if s.Explain(e).Against != nil {
					removed = append(removed, e)
				}
			}
			return removed
		}}.check(t)

	m, n := new(ormap).Set("s").Add(idA, "x"), new(ormap).Set("s").Add(idB, "y")
	handed[*ormap]{m, n, together(m, n), func(m *ormap) { m.Reset() },
		func(m *ormap) []string { return slices.Sorted(m.Set("s").All()) }}.check(t)
}

// Several events of one replica in one place are handed over one by one; only those of a counter are added up.
func TestORMapHandsOverWhatOnePlaceHolds(t *testing.T) {
	var m ormap
	m.Set("s").Add(idA, "x", "y")
	m.MVRegister("r").Put(idA, nil, "v")
	m.MVRegister("r").Put(idA, nil, "w")
	m.Counter("c").Add(idA, 2)
	m.Counter("c").Add(idA, -2)
	m.Fold(idA, m.Context())
	m.Counter("c").Add(idA, 5)
	require.True(t, handsOver(t, &m, m.Clone(), idA))
	require.Equal(t, []string{"x", "y"}, slices.Sorted(m.Set("s").All()))
	require.Equal(t, []string{"v", "w"}, m.MVRegister("r").Values())
	require.Equal(t, int64(5), m.Counter("c").Value())
	require.Equal(t, "{estate:1-5}", m.Context().String())
}

// A counter that comes to nothing adds nothing to the sum, and no event of its own.
func TestORMapHandsOverWhatComesToNothing(t *testing.T) {
	var m ormap
	m.Counter("c").Add(idA, 5)
	m.Counter("c").Add(idB, 2)
	m.Counter("c").Add(idB, -2)
	m.Fold(idB, m.Context())
	require.True(t, handsOver(t, &m, m.Clone(), idA, idB))
	require.Equal(t, int64(5), m.Counter("c").Value())
	require.Equal(t, "{estate:1}", m.Context().String())
}

func TestRWSetOfNobodyAndNothing(t *testing.T) {
	var s rwset
	for _, delta := range []*rwset{s.Add(vclock.ReplicaID{}, "x"), s.Remove(vclock.ReplicaID{}, "x"), s.Add(idA)} {
		require.NotNil(t, delta)
		require.Zero(t, delta.Context().Len())
	}
	require.Zero(t, s.Context().Len())
	require.False(t, s.Has("x"), "it was never added")
	s.Add(idA, "x", "y")
	s.Remove(idA, "z")
	before := encoded(t, &s)
	s.Add(vclock.ReplicaID{}, "x", "new", "z")
	s.Remove(vclock.ReplicaID{}, "x", "new", "z")
	require.Equal(t, before, encoded(t, &s))
	require.Equal(t, 2, s.Len())
	for range s.All() {
		break
	}
}

// Hearing only of an end is a change, whichever of the two has ended.
func TestRWSetMergeTellsOfAnEnd(t *testing.T) {
	var s rwset
	added, removed := s.Add(idA, "x"), s.Remove(idA, "y")
	require.True(t, s.Merge(added.Reset()))
	require.False(t, s.Has("x"))
	require.True(t, s.Merge(removed.Reset()))
	require.Empty(t, s.Explain("y").Against)
}
