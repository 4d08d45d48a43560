package crdt_test

import (
	"encoding"
	"errors"
	"maps"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

type decomposable interface {
	encoding.BinaryAppender
	Decompose(report func(part []byte, n int)) error
}

func partsIn(s decomposable) map[string]int {
	all := make(map[string]int)
	if err := s.Decompose(func(part []byte, n int) { all[string(part)] += n }); err != nil {
		return nil
	}
	return all
}

// tellsApart checks that states which differ in one respect have parts that do.
func tellsApart(t *testing.T, states ...decomposable) {
	t.Helper()
	for i, x := range states {
		for j, y := range states[:i] {
			a, err := x.AppendBinary(nil)
			require.NoError(t, err)
			b, err := y.AppendBinary(nil)
			require.NoError(t, err)
			require.NotEqual(t, a, b, "%T: states %d and %d are one", x, i, j)
			require.False(t, maps.Equal(partsIn(x), partsIn(y)), "%T: states %d and %d have one set of parts", x, i, j)
		}
	}
}

// stamps differ from one another in one field each.
var stamps = []vclock.Timestamp{
	{Wall: 1, Logical: 1, Replica: idA}, {Wall: 2, Logical: 1, Replica: idA},
	{Wall: 1, Logical: 2, Replica: idA}, {Wall: 1, Logical: 1, Replica: idB},
}

func TestPartsTellStatesApart(t *testing.T) {
	var two, none crdt.TwoPhaseSet[string]
	two.Add("x")
	none.Remove("x")
	tellsApart(t, new(crdt.TwoPhaseSet[string]), new(crdt.TwoPhaseSet[string]).Add("y"), &two, &none)

	tellsApart(t, new(crdt.GSet[string]), new(crdt.GSet[string]).Add("x"), new(crdt.GSet[string]).Add("y"))

	var sets, bindings, logs []decomposable
	for _, at := range stamps {
		sets = append(sets, new(timed).Add(at, "x"), new(timed).Add(at, "y"), new(timed).Remove(at, "x"))
		reset := new(lwwmap).Set(at, "k", "v")
		reset.Reset()
		bindings = append(bindings, new(lwwmap).Set(at, "k", "v"), new(lwwmap).Set(at, "k", ""), new(lwwmap).Set(at, "l", "v"),
			new(lwwmap).Remove(at, "k"), reset)
		logs = append(logs, new(wordlog).Append(at, "x"), new(wordlog).Append(at, "y"))
	}
	before := new(wordlog) // the same entry as the first of them, under another number
	before.Append(vclock.Timestamp{Wall: 0, Replica: idA}, "early")
	delta := before.Append(stamps[0], "x")
	tellsApart(t, sets...)
	tellsApart(t, bindings...)
	tellsApart(t, append(logs, delta, before)...)
}

// The dots of what is in belong to its parts: also where the events that were seen, and the elements, are the same.
func TestPartsOfASetNameTheDots(t *testing.T) {
	first, second := new(set), new(set)
	first.Add(idA, "x")
	first.Add(idA, "y")
	first.Remove("y")
	second.Add(idA, "y")
	second.Add(idA, "x")
	second.Remove("y")
	tellsApart(t, first, second)

	// One of two events ends, the other one stays.
	early, late := new(rwset), new(rwset)
	early.Add(idA, "x")
	early.Merge(early.Add(idA, "y").Reset())
	late.Merge(late.Add(idA, "y").Reset())
	late.Add(idA, "x")
	soon, later := new(rwset), new(rwset)
	soon.Remove(idA, "x")
	soon.Merge(soon.Add(idA, "y").Reset())
	later.Merge(later.Add(idA, "y").Reset())
	later.Remove(idA, "x")
	require.Equal(t, early.Context(), later.Context())
	tellsApart(t, early, late, soon, later)
}

// Who has seen all events of a replica, from the first on, has one part to show for it.
func TestPartsOfARunFromTheFirstEvent(t *testing.T) {
	var s crdt.ORMap[string]
	s.Set("tags").Add(idA, "x")
	s.Remove("tags")
	s.Set("tags").Add(idA, "y")
	s.Remove("tags")
	require.Len(t, partsIn(&s), 1)
}

func TestPartsOfWhatCannotBeEncoded(t *testing.T) {
	at := vclock.Timestamp{Wall: 1, Replica: idA}
	for _, s := range []decomposable{
		new(crdt.GSet[unwritable]).Add(unwritable{}),
		new(crdt.TwoPhaseSet[unwritable]).Add(unwritable{}),
		new(crdt.ORSet[unwritable]).Add(idA, unwritable{}),
		new(crdt.RWSet[unwritable]).Remove(idA, unwritable{}),
		new(crdt.LWWSet[unwritable]).Add(at, unwritable{}),
		new(crdt.LWWMap[string, unwritable]).Set(at, "k", unwritable{}),
		new(crdt.LWWMap[unwritable, string]).Set(at, unwritable{}, "v"),
		new(crdt.Log[unwritable]).Append(at, unwritable{}),
		new(crdt.ORMap[unwritable]).Flag(unwritable{}).Enable(idA),
		new(crdt.GSet[float64]).Add(math.Pi),
		new(crdt.TwoPhaseSet[float64]).Remove(math.Pi),
		new(crdt.ORSet[float64]).Add(idA, math.Pi),
		new(crdt.RWSet[float64]).Add(idA, math.Pi),
		new(crdt.ORMap[float64]).Flag(math.Pi).Enable(idA),
		new(crdt.LWWSet[float64]).Add(at, math.Pi),
		new(crdt.LWWMap[float64, string]).Set(at, math.Pi, "v"),
		new(crdt.LWWMap[string, opaque]).Set(at, "k", opaque{}),
		new(crdt.Log[opaque]).Append(at, opaque{}),
		(*crdt.Log[opaque])(nil),
	} {
		require.Error(t, s.Decompose(func(part []byte, _ int) {
			require.Zero(t, part[0], "%T tells of more than its context", s)
		}), "%T", s)
	}
}

// What a type of one's own tells a tracker arrives, and the first loss is the one that counts.
func TestTrackerPassesOnWhatItIsTold(t *testing.T) {
	told := make(map[string]int)
	tracker := crdt.NewTracker[*set](func(part []byte, n int) { told[string(part)] += n })
	tracker.Report([]byte("x"), 1)
	tracker.Report([]byte("y"), -1)
	require.Equal(t, map[string]int{"x": 1, "y": -1}, told)
	require.NoError(t, tracker.Lost())
	first := errors.New("first")
	tracker.Lose(first)
	tracker.Lose(errors.New("second"))
	require.Equal(t, first, tracker.Lost())
}
