package crdt_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// whole is what every type is.
type whole[P any] interface {
	crdt.State[P]
	crdt.Delta[P]
	crdt.Causal[P]
	json.Marshaler
	Empty() bool
}

// Whatever finds nothing, or nothing new, gives an empty state and not nil; a nil state reads as an empty one;
// and a state that merges itself stays as it is.
func TestNothingIsAnEmptyState(t *testing.T) {
	at := func(n int64) vclock.Timestamp { return vclock.Timestamp{Wall: n, Replica: idA} }
	var bounded crdt.BoundedCounter
	bounded.Increment(idA, 5)
	var m crdt.ORMap[string]
	m.Counter("likes").Add(idA, 5)
	m.Set("tags").Add(idA, "go")
	var two crdt.TwoPhaseSet[string]
	two.Add("x", "y")
	two.Remove("y")
	checkNothing(t, new(crdt.GCounter), new(crdt.GCounter).Add(idA, 5))
	checkNothing(t, new(pn), new(pn).Add(idA, -5))
	checkNothing(t, new(crdt.BoundedCounter), &bounded)
	checkNothing(t, new(crdt.MaxRegister[string]), new(crdt.MaxRegister[string]).Set("x"))
	checkNothing(t, new(crdt.MinRegister[string]), new(crdt.MinRegister[string]).Set("x"))
	checkNothing(t, new(crdt.LWWRegister[string]), new(crdt.LWWRegister[string]).Set(at(1), "x"))
	checkNothing(t, new(crdt.MVRegister[string]), new(crdt.MVRegister[string]).Set(idA, "x"))
	checkNothing(t, new(crdt.GSet[string]), new(crdt.GSet[string]).Add("x", "y"))
	checkNothing(t, new(crdt.TwoPhaseSet[string]), &two)
	checkNothing(t, new(crdt.ORSet[string]), new(crdt.ORSet[string]).Add(idA, "x", "y"))
	checkNothing(t, new(crdt.RWSet[string]), new(crdt.RWSet[string]).Add(idA, "x", "y"))
	checkNothing(t, new(timed), new(timed).Add(at(1), "x", "y"))
	checkNothing(t, new(crdt.EWFlag), new(crdt.EWFlag).Enable(idA))
	checkNothing(t, new(crdt.DWFlag), new(crdt.DWFlag).Enable(idA))
	checkNothing(t, new(crdt.LWWMap[string, string]), new(crdt.LWWMap[string, string]).Set(at(1), "k", "v"))
	checkNothing(t, new(crdt.Log[string]), new(crdt.Log[string]).Append(at(1), "x", "y"))
	checkNothing(t, new(crdt.ORMap[string]), &m)
	checkNothing(t, new(crdt.Expiry), new(crdt.Expiry).Set(time.UnixMilli(1), at(1)))
}

func checkNothing[P whole[P]](t *testing.T, empty, full P) {
	t.Helper()
	var none P
	bytes := func(s P) string {
		b, err := s.AppendBinary(nil)
		require.NoError(t, err)
		return string(b)
	}
	blank, before := bytes(empty), bytes(full)
	require.True(t, empty.Empty(), "%T", full)
	_, showsNothing := any(full).(*crdt.Expiry)
	require.Equal(t, showsNothing, full.Empty(), "%T", full)

	for _, nothing := range []P{none, empty, full, full.Clone()} {
		require.False(t, full.Merge(nothing), "%T", full)
		novel, changed := full.MergeNovel(nothing)
		require.False(t, changed, "%T", full)
		require.NotNil(t, novel, "%T", full)
		require.Equal(t, blank, bytes(novel), "%T", full)
		require.Equal(t, before, bytes(full), "%T", full)
	}

	require.True(t, none.Empty(), "%T", full)
	require.Equal(t, blank, bytes(none), "%T", full)
	want, _ := empty.MarshalJSON()
	text, err := none.MarshalJSON()
	require.NoError(t, err, "%T", full)
	require.Equal(t, string(want), string(text), "%T", full)
	require.NotNil(t, none.Context(), "%T", full)
	require.Zero(t, none.Context().Len(), "%T", full)
	require.NotNil(t, none.Delta(nil), "%T", full)
	require.Equal(t, blank, bytes(none.Delta(nil)), "%T", full)
	require.Equal(t, before, bytes(full.Delta(nil)), "%T", full)

	fresh := none.Clone()
	require.True(t, fresh.Merge(full), "%T: a clone of nil is ready to use", full)
	require.Equal(t, before, bytes(fresh), "%T", full)
}

// Reading from a nil state finds nothing.
func TestNilReadsAsEmpty(t *testing.T) {
	var counter *pn
	require.Zero(t, counter.Value())
	require.Zero(t, (*crdt.GCounter)(nil).Value())
	require.Zero(t, (*crdt.BoundedCounter)(nil).Value())
	require.Zero(t, (*crdt.BoundedCounter)(nil).Rights(idA))

	v, ok := (*crdt.LWWRegister[string])(nil).Value()
	require.False(t, ok || v != "")
	require.True(t, (*crdt.LWWRegister[string])(nil).Latest().IsZero())
	_, ok = (*crdt.MaxRegister[string])(nil).Value()
	require.False(t, ok)
	_, ok = (*crdt.MinRegister[string])(nil).Value()
	require.False(t, ok)
	require.Nil(t, (*crdt.MVRegister[string])(nil).Values())

	var two *crdt.TwoPhaseSet[string]
	require.False(t, two.Has("x") || two.Removed("x"))
	require.Zero(t, two.Len())
	require.False(t, (*set)(nil).Has("x"))
	for range (*set)(nil).All() {
		t.Fatal("an element in nothing")
	}
	for range (*rwset)(nil).All() {
		t.Fatal("an element in nothing")
	}
	require.False(t, (*rwset)(nil).Has("x"))
	require.Empty(t, partsIn((*set)(nil)))
	require.Empty(t, partsIn((*rwset)(nil)))
	require.Empty(t, partsIn((*ormap)(nil)))
	require.Equal(t, crdt.Explanation{}, (*set)(nil).Explain("x"))
	require.Equal(t, crdt.Explanation{}, (*rwset)(nil).Explain("x"))
	require.Zero(t, (*set)(nil).Len()+(*rwset)(nil).Len())
	var last *timed
	require.False(t, last.Has("x"))
	require.Zero(t, last.Len())
	require.True(t, last.Latest().IsZero())
	var bindings *crdt.LWWMap[string, string]
	_, ok = bindings.Value("k")
	require.False(t, ok)
	require.Zero(t, bindings.Len())
	require.True(t, bindings.Latest().IsZero())
	require.True(t, bindings.Timestamp("k").IsZero())
	var log *crdt.Log[string]
	require.Zero(t, log.Len())
	require.True(t, log.Latest().IsZero())
	for range log.All() {
		t.Fatal("an entry in nothing")
	}
}

// A loop that is left early ends there.
func TestLoopsEndEarly(t *testing.T) {
	at := vclock.Timestamp{Wall: 1, Replica: idA}
	once := func(name string, seq func(yield func(string) bool)) {
		t.Helper()
		n := 0
		for range seq {
			n++
			break
		}
		require.Equal(t, 1, n, name)
	}
	once("TwoPhaseSet", new(crdt.TwoPhaseSet[string]).Add("x", "y").All())
	once("LWWSet", new(timed).Add(at, "x", "y").All())
	for range new(crdt.Log[string]).Append(at, "x", "y").All() {
		break
	}
	for range new(crdt.Log[string]).Append(at, "x", "y").Range(at, vclock.Timestamp{}) {
		break
	}
	m := new(crdt.LWWMap[string, string])
	m.Set(at, "k", "v")
	m.Set(at, "l", "w")
	for range m.All() {
		break
	}
	var c crdt.BoundedCounter
	c.Request(idA, 5)
	c.Request(idB, 5)
	for range c.Requests() {
		break
	}
}
