package crdt_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// What departed replicas left is as good a cut as the whole, and no larger than it must be.
func TestTrap16_WhatTheDepartedLeftIsACut(t *testing.T) {
	a, b, heir := vclock.Named("a"), vclock.Named("b"), vclock.Named("heir")
	kinds := crdt.Standard()
	v := new(crdt.Value)
	require.Empty(t, encodeValue(t, v.Left(a)))

	set, err := crdt.Ensure[*crdt.ORSet[string]](kinds, v)
	require.NoError(t, err)
	for _, e := range []string{"p", "q", "r"} {
		set.Add(b, e)
	}
	require.Empty(t, encodeValue(t, v.Left(a)))
	set.Add(a, "x")
	count, err := crdt.Ensure[*crdt.PNCounter](kinds, v)
	require.NoError(t, err)
	count.Add(a, 5)
	count.Add(b, 7)
	words, err := crdt.Ensure[*crdt.GSet[string]](kinds, v)
	require.NoError(t, err)
	words.Add("a word that nobody can inherit")

	left := v.Left(a)
	require.Less(t, len(encodeValue(t, left)), len(encodeValue(t, v)))
	slim, err := crdt.Ensure[*crdt.ORSet[string]](kinds, left.Clone())
	require.NoError(t, err)
	require.Equal(t, []string{"x"}, slices.Collect(slim.All()))
	one, other := v.Clone(), v.Clone()
	changed, err := one.Handover(v, heir, a)
	require.NoError(t, err)
	require.True(t, changed)
	_, err = other.Handover(left, heir, a)
	require.NoError(t, err)
	require.Equal(t, encodeValue(t, one), encodeValue(t, other))
	for _, seen := range other.Contexts().All() {
		require.Zero(t, seen.Max(a))
	}
	require.Empty(t, encodeValue(t, other.Left(a)))
}

// What others removed or reset is not what these have left.
func TestWhoWroteNothingLeavesNothing(t *testing.T) {
	a, b := vclock.Named("a"), vclock.Named("b")
	kinds := crdt.Standard()
	v := new(crdt.Value)
	set, err := crdt.Ensure[*crdt.ORSet[string]](kinds, v)
	require.NoError(t, err)
	set.Add(b, "x")
	set.Remove("x")
	count, err := crdt.Ensure[*crdt.PNCounter](kinds, v)
	require.NoError(t, err)
	count.Add(b, 3)
	count.Reset()
	stock, err := crdt.Ensure[*crdt.BoundedCounter](kinds, v)
	require.NoError(t, err)
	stock.Increment(b, 5)
	require.Empty(t, encodeValue(t, v.Left(a)))
	require.NotEmpty(t, encodeValue(t, v.Left(b)))
}

// Rights on their way to a departed replica stand in the row of who gave them. They are left too.
func TestTrap12_RightsUnderWayAreLeft(t *testing.T) {
	a, b, c, heir := vclock.Named("a"), vclock.Named("b"), vclock.Named("c"), vclock.Named("heir")
	for _, wrote := range []bool{false, true} {
		v := new(crdt.Value)
		stock, err := crdt.Ensure[*crdt.BoundedCounter](crdt.Standard(), v)
		require.NoError(t, err)
		if wrote {
			stock.Increment(a, 1)
		}
		stock.Increment(b, 10)
		stock.Increment(c, 10)
		_, err = stock.Transfer(b, a, 4)
		require.NoError(t, err)

		left := v.Left(a)
		require.Less(t, len(encodeValue(t, left)), len(encodeValue(t, v)))
		one, other := v.Clone(), v.Clone()
		_, err = one.Handover(v, heir, a)
		require.NoError(t, err)
		_, err = other.Handover(left, heir, a)
		require.NoError(t, err)
		require.Equal(t, encodeValue(t, one), encodeValue(t, other))
		after, ok := crdt.Component[*crdt.BoundedCounter](crdt.Standard(), other)
		require.True(t, ok)
		require.Zero(t, after.Rights(a))
		require.GreaterOrEqual(t, after.Rights(heir), uint64(4))
	}
}

// What others took from who forgot that it gave stands in their rows. Without these it would be handed over once more.
func TestTrap12_WhatWasTakenIsLeftWithThoseWhoTookIt(t *testing.T) {
	a, b, heir := vclock.Named("a"), vclock.Named("b"), vclock.Named("heir")
	var before, now crdt.BoundedCounter
	before.Merge(now.Increment(a, 5))
	_, err := now.Transfer(a, b, 3)
	require.NoError(t, err)
	before.Merge(now.Increment(b, 1))
	require.EqualValues(t, 2, before.Rights(a))

	v, err := crdt.Wrap(crdt.Standard(), &before)
	require.NoError(t, err)
	left, ok := crdt.Component[*crdt.BoundedCounter](crdt.Standard(), v.Left(a))
	require.True(t, ok)
	_, err = before.Handover(left, heir, a)
	require.NoError(t, err)
	require.EqualValues(t, 2, before.Rights(heir))
	require.EqualValues(t, 6, before.Value())
}

// A type of one's own that hands over and cannot tell what it has seen is left whole.
func TestATypeWithoutAContextIsLeftWhole(t *testing.T) {
	kinds, err := crdt.NewKinds(crdt.NewKind[fickle](100, "fickle"))
	require.NoError(t, err)
	words := new(fickle)
	words.Add("x")
	v, err := crdt.Wrap(kinds, words)
	require.NoError(t, err)
	require.Equal(t, encodeValue(t, v), encodeValue(t, v.Left(vclock.Named("a"))))
}

func TestALogHasNothingToLeave(t *testing.T) {
	v := new(crdt.Value)
	story, err := crdt.Ensure[*crdt.Log[string]](crdt.Standard(), v)
	require.NoError(t, err)
	a := vclock.Named("a")
	story.Append(vclock.Timestamp{Wall: 1, Replica: a}, "said")
	require.NotZero(t, story.Context().Max(a))
	require.Empty(t, encodeValue(t, v.Left(a)))
}

func encodeValue(t *testing.T, v *crdt.Value) []byte {
	t.Helper()
	b, err := v.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

// A replica may know of an event of a departed one that ended before anybody else heard of it. Nobody can hold it any
// more, so the handover forgets it.
func TestTrap16_WhatEndedBeyondTheCutIsForgotten(t *testing.T) {
	a, heir := vclock.Named("a"), vclock.Named("heir")
	var set, cut crdt.ORSet[string]
	cut.Merge(set.Add(a, "x"))
	set.Add(a, "gone")
	set.Remove("gone")
	changed, err := set.Handover(&cut, heir, a)
	require.NoError(t, err)
	require.True(t, changed)
	require.Zero(t, set.Context().Max(a))
	require.True(t, set.Has("x"))

	var count, before crdt.PNCounter
	before.Merge(count.Add(a, 3))
	count.Add(a, 4)
	count.Reset()
	changed, err = count.Handover(&before, heir, a)
	require.NoError(t, err)
	require.True(t, changed)
	require.Zero(t, count.Value())

	var reg, old crdt.MVRegister[string]
	old.Merge(reg.Put(a, nil, "x"))
	reg.Put(a, reg.Context(), "y")
	reg.Reset()
	_, err = reg.Handover(&old, heir, a)
	require.NoError(t, err)
	require.True(t, reg.Empty())

	var m, first crdt.ORMap[string]
	first.Merge(m.Counter("n").Add(a, 1))
	m.Counter("n").Add(a, 1)
	m.Remove("n")
	_, err = m.Handover(&first, heir, a)
	require.NoError(t, err)
	require.True(t, m.Empty())
}

// What lives in the cut does not make what ended beyond it live, nor does what others wrote.
func TestTrap16_OnlyWhatLivesBeyondTheCutContradicts(t *testing.T) {
	a, b, heir := vclock.Named("a"), vclock.Named("b"), vclock.Named("heir")
	var reg, cut, second crdt.MVRegister[string]
	cut.Merge(reg.Put(a, nil, "one"))
	second.Merge(reg.Put(a, nil, "two"))
	cut.Merge(reg.Put(a, nil, "three"))
	cut.Merge(reg.Put(b, nil, "b's first"))
	reg.Put(b, second.Context(), "in place of two")
	require.Len(t, reg.Values(), 4)

	changed, err := reg.Handover(&cut, heir, a)
	require.NoError(t, err)
	require.True(t, changed)
	require.ElementsMatch(t, []string{"one", "three", "b's first", "in place of two"}, reg.Values())

	reg.Merge(&second)
	_, err = reg.Handover(&cut, heir, a)
	require.ErrorAs(t, err, new(*crdt.HandoverError))
}
