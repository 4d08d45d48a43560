package crdt_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func TestAddingAgainIsNoNews(t *testing.T) {
	var s crdt.GSet[string]
	s.Add("x")
	require.True(t, s.Add("x").Empty())
	require.Equal(t, 1, s.Add("x", "y").Len())
}

// A write comes after what it saw also where the counter within one moment is used up.
func TestWriteCarriesIntoTheNextMoment(t *testing.T) {
	full := vclock.Timestamp{Wall: 7, Logical: math.MaxUint32, Replica: idB}
	next := vclock.Timestamp{Wall: 8, Replica: idA}
	var r crdt.LWWRegister[string]
	r.Set(full, "x")
	r.Set(vclock.Timestamp{Wall: 1, Replica: idA}, "y")
	require.Equal(t, next, r.Timestamp())
	v, _ := r.Value()
	require.Equal(t, "y", v)
}

// At the end of time nothing comes after: a write there has no effect and an empty delta.
func TestAWriteAtTheEndOfTimeHasNoEffect(t *testing.T) {
	end := vclock.Timestamp{Wall: math.MaxInt64, Logical: math.MaxUint32, Replica: idA}
	var r crdt.LWWRegister[string]
	r.Set(end, "x")
	require.True(t, r.Set(end, "y").Empty(), "greater, so it would win if it were written")
	v, _ := r.Value()
	require.Equal(t, "x", v)

	var m lwwmap
	m.Set(end, "k", "x")
	for _, delta := range []*lwwmap{m.Set(end, "k", "y"), m.Remove(end, "k")} {
		require.NotNil(t, delta)
		require.Zero(t, delta.Latest())
	}
	v, _ = m.Value("k")
	require.Equal(t, "x", v)
}

// Times before 1970 are times as well: a value written then wins over a register that was never written.
func TestUnsetComesBeforeTheRemotestPast(t *testing.T) {
	var r, never crdt.LWWRegister[string]
	r.Set(vclock.Timestamp{Wall: -5, Replica: idA}, "x")
	require.False(t, r.Merge(&never))
	require.False(t, r.Empty())
	require.True(t, never.Merge(&r))
	v, _ := never.Value()
	require.Equal(t, "x", v)
}

func TestResetOfNothingIsAnEmptyDelta(t *testing.T) {
	reset := new(crdt.LWWRegister[string]).Reset()
	require.NotNil(t, reset)
	require.True(t, reset.Empty())
	written := new(crdt.MVRegister[string]).Put(vclock.ReplicaID{}, nil, "x")
	require.NotNil(t, written, "nor does nobody write")
	require.True(t, written.Empty())
}

// opaque cannot be encoded.
type opaque struct{ n *int }

// Values that cannot be encoded have no order; in memory they work all the same.
func TestOpaqueValuesWorkInMemory(t *testing.T) {
	at := vclock.Timestamp{Wall: 1, Replica: idA}
	one, two := opaque{new(int)}, opaque{new(int)}

	var r, s crdt.LWWRegister[opaque]
	r.Set(at, one)
	s.Set(at, two)
	require.False(t, r.Merge(&s), "one timestamp, and no order")
	v, _ := r.Value()
	require.Equal(t, one, v)

	var m, n crdt.MVRegister[opaque]
	m.Set(idA, one)
	n.Set(idA, two)
	require.False(t, m.Merge(&n), "one dot, and no order")
	require.Equal(t, []opaque{one}, m.Values())
	m.Merge(new(crdt.MVRegister[opaque]).Set(idB, two))
	require.Len(t, m.Values(), 2)

	var x, y crdt.LWWMap[string, opaque]
	x.Set(at, "k", one)
	y.Set(at, "k", two)
	require.False(t, x.Merge(&y))

	var l, k crdt.Log[opaque]
	l.Append(at, one)
	k.Append(at, two)
	require.False(t, l.Merge(&k))
	require.Equal(t, 1, l.Len())
}

// Where an identity was used twice, the greater value is news to whoever has the other, and not the other way.
func TestTheGreaterOfTwoValuesUnderOneDotIsNews(t *testing.T) {
	write := func(v string) *crdt.MVRegister[string] { return new(crdt.MVRegister[string]).Set(idA, v) }
	low, high := write("a"), write("b")
	require.False(t, high.Merge(low))
	require.True(t, low.Clone().Merge(high))
	novel, changed := low.MergeNovel(high)
	require.True(t, changed)
	require.Equal(t, []string{"b"}, novel.Values())
	require.Equal(t, []string{"b"}, low.Values())
	require.Equal(t, []string{"b"}, high.Values())
}

// That the first of two siblings was taken away is a change, although all of it had been seen and the second stays.
func TestATakenSiblingIsAChange(t *testing.T) {
	var m crdt.MVRegister[string]
	first := m.Put(idA, nil, "x")
	m.Put(idB, nil, "y")
	require.True(t, m.Merge(first.Reset()))
	require.Equal(t, []string{"y"}, m.Values())
	require.False(t, m.Merge(first))
}
