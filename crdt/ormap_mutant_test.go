package crdt_test

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// Time is asked of those fields that have one, and events are named in order.
func TestORMapOfMixedKindsExplainsItself(t *testing.T) {
	late := vclock.Timestamp{Wall: 9, Replica: idA}
	var m ormap
	m.Set("k").Add(idB, "x")
	m.LWWRegister("k").Set(idA, late, "v")
	m.Counter("k").Add(idA, 5)
	m.LWWRegister("l").Set(idA, vclock.Timestamp{Wall: 3, Replica: idA}, "w")
	m.Set("k").Add(idC, "y")
	require.Equal(t, late, m.Latest())
	why := m.Explain("k")
	require.Equal(t, late, why.ForAt)
	require.Equal(t, []vclock.Dot{{Replica: idA, Seq: 1}, {Replica: idA, Seq: 2}, {Replica: idB, Seq: 1}, {Replica: idC, Seq: 1}}, why.For)
}

func TestORMapFieldsSayWhetherTheyAreThere(t *testing.T) {
	var m ormap
	require.True(t, m.Map("a").Empty())
	m.Map("a").Counter("b").Add(idA, 1)
	m.Map("a").Counter("c").Add(idA, 1)
	require.False(t, m.Map("a").Empty())
	n := 0
	for range m.Map("a").All() {
		n++
		break
	}
	for range m.All() {
		n++
	}
	require.Equal(t, 2, n)
}

// What a field forgets here it forgets wherever the delta is merged.
func TestORMapFieldsTellOfTheirReset(t *testing.T) {
	var m ormap
	m.Counter("k").Add(idA, 1)
	m.Set("k").Add(idA, "x")
	m.LWWRegister("k").Set(idA, vclock.Timestamp{Wall: 1, Replica: idA}, "v")
	m.MVRegister("k").Put(idA, nil, "v")
	m.Flag("k").Enable(idA)
	other := m.Clone()
	for _, reset := range []func() *ormap{
		m.Counter("k").Reset, m.Set("k").Reset, m.LWWRegister("k").Reset, m.MVRegister("k").Reset, m.Flag("k").Disable,
	} {
		require.False(t, other.Empty())
		require.True(t, other.Merge(reset()))
	}
	require.True(t, other.Empty())
	require.True(t, m.Empty())
}

// What was never delivered leaves a gap in the middle of a long lane. A delta claims none of the events behind it
// that live and that it does not carry.
func TestTrap08_ORMapDeltaOfManyEventsClaimsNoLiveOne(t *testing.T) {
	var all, m ormap
	for n := range 700 {
		delta := all.Counter("likes").Add(idA, 1)
		if n != 10 {
			m.Merge(delta)
		}
	}
	m.Merge(all.Set("tags").Add(idB, "x"))
	since := new(vclock.Context)
	since.AddSpan(vclock.Span{Replica: idA, Lo: 1, Hi: 700})
	require.Equal(t, "{b:1}", m.Delta(since).Context().String())
	require.Equal(t, int64(699), m.Counter("likes").Value())

	peer := m.Clone()
	peer.Merge(m.Delta(since))
	require.Equal(t, encoded(t, &m), encoded(t, peer))
}

// A fold is told of like any other event.
func TestORMapFoldIsADelta(t *testing.T) {
	var a ormap
	for range 3 {
		a.Counter("likes").Add(idA, 2)
	}
	b := a.Clone()
	delta := a.Fold(idA, b.Context())
	require.False(t, delta.Empty())
	require.True(t, b.Merge(delta))
	require.Equal(t, encoded(t, &a), encoded(t, b))
	require.Equal(t, int64(6), b.Counter("likes").Value())
}

// Events that were not seen cannot be settled.
func TestORMapFoldsNothingThatWasNotSeen(t *testing.T) {
	var m ormap
	m.Counter("likes").Add(idA, 1)
	m.Counter("likes").Add(idA, 1)
	unseen := m.Context()
	unseen.Add(vclock.Dot{Replica: idB, Seq: 1})
	delta := m.Fold(idA, unseen)
	require.NotNil(t, delta)
	require.Zero(t, delta.Context().Len())
	require.Equal(t, "{a:1-2}", m.Context().String())
}

// Folding is for counters: siblings of a register that one replica wrote stay apart.
func TestORMapFoldsOnlyCounters(t *testing.T) {
	var m ormap
	m.MVRegister("r").Put(idA, nil, "x")
	m.MVRegister("r").Put(idA, nil, "y")
	before := encoded(t, &m)
	require.True(t, m.Fold(idA, m.Context()).Empty())
	require.Equal(t, before, encoded(t, &m))
	require.Equal(t, []string{"x", "y"}, m.MVRegister("r").Values())
}

// A replica that has used up its numbers folds nothing.
func TestORMapWithoutNumbersLeftFoldsNothing(t *testing.T) {
	var m ormap
	m.Counter("likes").Add(idA, 1)
	m.Counter("likes").Add(idA, 1)
	last := new(vclock.Context)
	last.Add(vclock.Dot{Replica: idA, Seq: math.MaxUint64})
	m.MVRegister("r").Put(idB, last, "v")
	before := encoded(t, &m)
	require.NotNil(t, m.Fold(idA, m.Context()))
	require.Equal(t, before, encoded(t, &m))
	require.Equal(t, int64(2), m.Counter("likes").Value())
	require.True(t, m.Counter("likes").Add(idA, 1).Empty(), "nor does it count on")
}

// oneWrite returns maps in which one event of a says something, each something else.
func oneWrite() (states []*ormap) {
	add := func(write func(m *crdt.ORMap[string])) {
		m := new(ormap)
		write(m)
		states = append(states, m)
	}
	for _, key := range []string{"k", ""} {
		add(func(m *ormap) { m.Counter(key).Add(idA, 1) })
		add(func(m *ormap) { m.Counter(key).Add(idA, 2) })
		add(func(m *ormap) { m.Set(key).Add(idA, "x") })
		add(func(m *ormap) { m.Set(key).Add(idA, "y") })
		add(func(m *ormap) { m.MVRegister(key).Set(idA, "x") })
		add(func(m *ormap) { m.MVRegister(key).Set(idA, "y") })
		add(func(m *ormap) { m.Flag(key).Enable(idA) })
		add(func(m *ormap) { m.Map("k").Flag(key).Enable(idA) })
		add(func(m *ormap) { m.Map("").Flag(key).Enable(idA) })
		for _, at := range stamps {
			add(func(m *ormap) { m.LWWRegister(key).Set(idA, at, "x") })
		}
	}
	return states
}

func TestPartsOfAMapTellStatesApart(t *testing.T) {
	var all []decomposable
	for _, m := range oneWrite() {
		all = append(all, m)
	}
	all = append(all, new(ormap).Counter("k").Add(idB, 1))
	tellsApart(t, all...)

	first, second := new(ormap), new(ormap) // the same field, the same events seen, another one of them lives
	first.Flag("k").Enable(idA)
	first.Flag("l").Enable(idA)
	first.Remove("l")
	second.Flag("l").Enable(idA)
	second.Flag("k").Enable(idA)
	second.Remove("l")
	tellsApart(t, first, second)
}

// Where an identity was used twice, and one event says two things, both orders of merging have one outcome.
func TestORMapTwinsAgreeWhateverTheyWrote(t *testing.T) {
	states := oneWrite()
	parts := new(ormap)
	for range 4 {
		parts.Counter("k").Add(idA, 1)
	}
	for _, seqs := range [][2]uint64{{1, 2}, {3, 4}} { // each twin folds others of them
		settled, twin := new(vclock.Context), parts.Clone()
		settled.AddSpan(vclock.Span{Replica: idA, Lo: seqs[0], Hi: seqs[1]})
		require.False(t, twin.Fold(idA, settled).Empty())
		states = append(states, twin)
	}
	for _, x := range states {
		for _, y := range states {
			one, other := x.Clone(), y.Clone()
			one.Merge(y)
			other.Merge(x)
			require.Equal(t, encoded(t, one), encoded(t, other), "%x and %x", encoded(t, x), encoded(t, y))
			require.False(t, one.Merge(other))
		}
	}
}

// One twin folds; the other, before folding the same, writes and takes back something under the number of that fold.
// His fold is the one that is left, since the first one's number is dead for him.
func TestORMapTwinsWhoFoldUnderDifferentNumbers(t *testing.T) {
	var one ormap
	one.Counter("likes").Add(idA, 2)
	one.Counter("likes").Add(idA, 3)
	settled := one.Context()
	other := one.Clone()
	one.Fold(idA, settled)
	other.Flag("f").Enable(idA)
	other.Flag("f").Disable()
	other.Fold(idA, settled)
	x, y := one.Clone(), other.Clone()
	x.Merge(other)
	y.Merge(&one)
	require.Equal(t, int64(5), x.Counter("likes").Value())
	require.Equal(t, encoded(t, x), encoded(t, y))
}

// fussy is a key that cannot be written if it is bad.
type fussy string

func (f fussy) MarshalBinary() ([]byte, error) {
	if f == "bad" {
		return nil, errors.New("bad")
	}
	return []byte(f), nil
}

func (f *fussy) UnmarshalBinary(b []byte) error {
	*f = fussy(b)
	return nil
}

// What stands under a key that cannot be written has no parts, wherever on the way the key is.
func TestPartsUnderABadKey(t *testing.T) {
	for _, path := range [][2]fussy{{"bad", "good"}, {"good", "bad"}} {
		var m crdt.ORMap[fussy]
		m.Map(path[0]).Counter(path[1]).Add(idA, 1)
		require.Error(t, m.Decompose(func([]byte, int) {}))
	}
}

func TestORMapExplainsWhatIsUnderAPath(t *testing.T) {
	var m ormap
	m.Map("p").Counter("c").Add(idA, 1)
	m.Map("p").Flag("f").Enable(idA)
	m.Counter("c").Add(idA, 1)
	seqs := func(path ...string) (all []uint64) {
		for _, d := range m.Explain(path...).For {
			all = append(all, d.Seq)
		}
		return all
	}
	require.Equal(t, []uint64{1, 2, 3}, seqs())
	require.Equal(t, []uint64{1, 2}, seqs("p"))
	require.Equal(t, []uint64{1}, seqs("p", "c"))
	require.Equal(t, []uint64{3}, seqs("c"))
	require.Empty(t, seqs("p", "none"))
	require.Empty(t, seqs("none", "c"))
}

func TestORMapRegistersSayWhatTheyHold(t *testing.T) {
	at := vclock.Timestamp{Wall: 5, Replica: idA}
	var m ormap
	last := m.LWWRegister("r")
	_, ok := last.Value()
	require.False(t, ok)
	require.True(t, last.Empty())
	last.Set(idA, at, "x")
	last.Set(idA, at, "y")
	v, ok := last.Value()
	require.True(t, ok)
	require.Equal(t, "y", v)
	require.Positive(t, last.Timestamp().Compare(at), "it comes after what it saw")
	require.False(t, last.Empty())

	many := m.MVRegister("m")
	require.True(t, many.Empty())
	nobody := many.Put(vclock.ReplicaID{}, nil, "x")
	require.NotNil(t, nobody)
	require.True(t, nobody.Empty())
	many.Set(idA, "x")
	require.False(t, many.Empty())
	other := m.Clone()
	require.True(t, other.Merge(many.Reset()))
	require.True(t, other.MVRegister("m").Empty() && many.Empty())

	flag := m.Flag("f")
	flag.Enable(idA)
	other = m.Clone()
	require.True(t, other.Merge(flag.Disable()))
	require.False(t, other.Flag("f").Enabled() || flag.Enabled())
	require.Equal(t, "map", crdt.FieldMap.String())
	require.Equal(t, "unknown", (crdt.FieldMap + 1).String())
}

// However many events of one replica there were, and in whatever order they are removed: those that remain are there.
func TestORMapFindsWhatRemainsOfMany(t *testing.T) {
	const many = 1500
	for name, removed := range map[string]func(i int) bool{
		"the first":           func(i int) bool { return i < 700 },
		"the last":            func(i int) bool { return i >= 700 },
		"most":                func(i int) bool { return i%50 != 7 },
		"most, from the end":  func(i int) bool { return (many-1-i)%40 != 3 },
		"those in the middle": func(i int) bool { return i >= 200 && i < 1300 },
	} {
		var m ormap
		for i := range many {
			m.Set("s").Add(idA, elemName(i))
		}
		other := m.Clone()
		var gone, left []string
		for i := range many {
			if removed(i) {
				gone = append(gone, elemName(i))
			} else {
				left = append(left, elemName(i))
			}
		}
		for i := range gone {
			e := gone[i]
			if name == "most, from the end" {
				e = gone[len(gone)-1-i]
			}
			other.Merge(m.Set("s").Remove(e))
		}
		for _, x := range []*ormap{&m, other} {
			require.Equal(t, len(left), x.Set("s").Len(), name)
			require.Len(t, x.Explain("s").For, len(left), name)
			back := new(ormap)
			require.NoError(t, back.UnmarshalBinary(encoded(t, x)), name)
			require.Equal(t, len(left), back.Set("s").Len(), name)
		}
		m.Set("s").Remove(left...)
		require.True(t, m.Empty(), name)
		require.Empty(t, m.Explain().For, name)
		require.True(t, other.Merge(&m), name)
		require.True(t, other.Empty(), name)
	}
}

func elemName(i int) string {
	return string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))
}

func TestORMapFieldsThatDoNothingGiveAnEmptyDelta(t *testing.T) {
	var m ormap
	require.True(t, m.Counter("c").Empty())
	delta := m.Counter("c").Add(idA, 0)
	require.NotNil(t, delta)
	require.Zero(t, delta.Context().Len())
	m.Counter("c").Add(idA, 1)
	require.False(t, m.Counter("c").Empty())
	delta = m.Counter("c").Add(vclock.ReplicaID{}, 1)
	require.NotNil(t, delta)
	require.Zero(t, delta.Context().Len())
	require.Equal(t, int64(1), m.Counter("c").Value())
}

func TestORMapSetRemovesWhatItSaw(t *testing.T) {
	var m ormap
	require.Zero(t, m.Set("s").Len())
	m.Set("s").Add(idA, "x", "y", "z")
	other := m.Clone()
	delta := m.Set("s").Remove("x", "z", "never")
	require.Equal(t, 1, m.Set("s").Len())
	require.True(t, m.Set("s").Has("y") && !m.Set("s").Has("x"))
	require.Equal(t, "{a:1,3}", delta.Context().String())
	require.True(t, other.Merge(delta))
	require.Equal(t, encoded(t, &m), encoded(t, other))
	require.False(t, m.Set("s").Empty())
	m.Set("s").Add(idA, "w")
	n := 0
	for range m.Set("s").All() {
		n++
		break
	}
	require.Equal(t, 1, n)
	m.Set("s").Remove("y", "w")
	require.True(t, m.Set("s").Empty())
}
