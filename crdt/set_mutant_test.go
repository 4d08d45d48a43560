package crdt_test

import (
	"testing"

	"github.com/stretchr/testify/require"

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

func TestORSetHandoverMeetsOldAndNewNames(t *testing.T) {
	x, y := new(set).Add(idA, "x"), new(set).Add(idB, "y")
	at := x.Clone()
	at.Merge(y)
	handed[*set]{x, y, at, func(s *set) { s.Reset() }, func(s *set) []string { s.CheckInvariants(); return sorted(s) }}.check(t)
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
