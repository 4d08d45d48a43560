package crdt_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// A set with many elements stays in order through additions, removals and deltas that come late: its lanes then
// split and join chunks, which the small sets of the laws never do.
func TestORSetWithManyElements(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var writer, reader set
	var deltas []*set
	model := make(map[string]bool)
	for range 6000 {
		elem := fmt.Sprint(rnd.IntN(3000))
		if rnd.IntN(3) == 0 {
			deltas = append(deltas, writer.Remove(elem))
			delete(model, elem)
		} else {
			deltas = append(deltas, writer.Add(idA, elem))
			model[elem] = true
		}
	}
	writer.CheckInvariants()
	require.Equal(t, len(model), writer.Len())
	for e := range writer.All() {
		require.True(t, model[e])
	}
	for n, i := range rnd.Perm(len(deltas)) {
		reader.Merge(deltas[i])
		if n%500 == 0 {
			reader.CheckInvariants()
		}
	}
	reader.CheckInvariants()
	assert.Equal(t, encoded(t, &writer), encoded(t, &reader))

	var back set
	require.NoError(t, back.UnmarshalBinary(encoded(t, &reader)))
	back.CheckInvariants()
	for _, elem := range sorted(&writer)[10:] {
		writer.Remove(elem)
	}
	writer.CheckInvariants()
	novel, changed := back.MergeNovel(&writer)
	back.CheckInvariants()
	assert.True(t, changed)
	assert.Zero(t, novel.Len())
	assert.Equal(t, 10, back.Len())
	reader.Merge(novel)
	assert.Equal(t, encoded(t, &back), encoded(t, &reader))
}

// An element with several dots, from concurrent additions, keeps those that a removal has not seen.
func TestORSetKeepsConcurrentAdditionsApart(t *testing.T) {
	var a, b, c set
	a.Add(idA, "x")
	b.Add(idB, "x")
	c.Add(idC, "x")
	a.Merge(&b)
	removal := a.Clone().Remove("x")
	a.Merge(&c)
	a.CheckInvariants()
	a.Merge(removal)
	a.CheckInvariants()
	assert.True(t, a.Has("x"), "c's addition was not seen by the removal")
	assert.Equal(t, 1, a.Len())
	a.Remove("x")
	assert.True(t, a.Empty())
	assert.EqualValues(t, 3, a.Context().Count())
}

// An element may have very many dots; each of them goes at the same cost.
func TestORSetElementWithManyDots(t *testing.T) {
	var s set
	for i := range 20_000 {
		s.Merge(new(set).Add(vclock.Named(strconv.Itoa(i)), "x"))
	}
	s.CheckInvariants()
	some := s.Clone()
	removal := s.Remove("x")
	assert.True(t, s.Empty())
	some.Add(idA, "y")
	some.Merge(new(set).Add(idB, "x"))
	some.Merge(removal)
	some.CheckInvariants()
	assert.Equal(t, []string{"x", "y"}, sorted(some))
}

// One identity used by two writers loses the element, but on all replicas alike.
func TestORSetWithAnIdentityUsedTwice(t *testing.T) {
	var a, b set
	a.Add(idA, "x")
	b.Add(idA, "y")
	ab, ba := a.Clone(), b.Clone()
	ab.Merge(&b)
	ba.Merge(&a)
	assert.Equal(t, encoded(t, ab), encoded(t, ba))
}

func TestMVRegisterWithAnIdentityUsedTwice(t *testing.T) {
	var a, b crdt.MVRegister[string]
	a.Set(idA, "x")
	b.Set(idA, "y")
	ab, ba := a.Clone(), b.Clone()
	ab.Merge(&b)
	ba.Merge(&a)
	assert.Equal(t, encoded(t, ab), encoded(t, ba))
	assert.Equal(t, []string{"y"}, ab.Values())
}

func TestAllMayStopEarly(t *testing.T) {
	var s set
	var g crdt.GSet[string]
	words := []string{"a", "b", "c"}
	s.Add(idA, words...)
	g.Add(words...)
	for range s.All() {
		break
	}
	for range g.All() {
		break
	}
	assert.Equal(t, words, slices.Sorted(s.All()))
}

// Merging what is known already allocates nothing.
func TestMergingNothingNewAllocatesNothing(t *testing.T) {
	var s set
	s.Add(idA, elems("e", 1000)...)
	delta := s.Add(idB, "e1", "e2")
	same := s.Clone()
	var c crdt.PNCounter
	c.Add(idA, 1)
	c.Add(idB, -1)
	counter := c.Clone()
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		s.Merge(delta)
		s.Merge(same)
		c.Merge(counter)
	}))
}
