package crdt_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func TestTrap01_ORMapBothSidesHaveItYetItWasRemoved(t *testing.T) {
	var a, b ormap
	a.Map("m").Flag("x").Enable(idA)
	b.Map("m").Flag("x").Enable(idB)
	c := a.Clone()
	a.Map("m").Remove("x")
	a.Merge(&b)
	b.Map("m").Remove("x")
	a.Merge(c)
	b.Merge(&a)
	assert.True(t, b.Empty())
}

func TestTrap02_ORMapRemovalNeedsNoLaterAddToTravel(t *testing.T) {
	var a, b ormap
	a.Counter("foo").Add(idA, 1)
	a.Map("bar").Counter("deep").Add(idA, 1)
	b.Set("baz").Add(idB, "x")
	a.Merge(&b)
	b.Merge(&a)
	assert.Equal(t, encoded(t, &a), encoded(t, &b))
	a.Remove("bar")
	assert.NotEqual(t, encoded(t, &a), encoded(t, &b), "the removal shows in the bytes")
	since := b.Clone()
	since.Merge(a.Delta(b.Context()))
	assert.False(t, since.Has("bar"), "a delta since what the peer has seen brings the removal")
	novel, changed := b.MergeNovel(&a)
	assert.True(t, changed)
	assert.False(t, b.Has("bar"))
	assert.True(t, novel.Empty(), "only the removal was new")
	assert.EqualValues(t, 1, novel.Context().Count())
}

func TestTrap03_ANestedRemovalSurvivesTheRemovalOfItsParent(t *testing.T) {
	var a, c ormap
	withB := a.Map("s").Set("b").Add(idA, "x")
	withC := a.Map("s").Counter("c").Add(idA, 1)
	removal := a.Map("s").Remove("b")

	c.Merge(removal) // of s.b, which is unseen here
	assert.True(t, c.Empty())
	c.Merge(withC)
	c.Remove("s") // the parent goes
	assert.True(t, c.Empty())
	c.Merge(withB)
	assert.True(t, c.Empty(), "b stays absent")
	a.Merge(&c)
	assert.True(t, a.Empty())

	o := ormapOracle(op{do: "counter", elem: "s.b", n: 3}, op{do: "remove", elem: "s.b"}, op{do: "remove", elem: "s"})
	t.Logf("%d histories, all merge orders of each", o.Exhaustive(t, 4, replicasOfFour()))
}

// replicasOfFour is on how many replicas all histories of four events are checked: on two unless more is asked for.
func replicasOfFour() int {
	if *bound > 3 {
		return 3
	}
	return 2
}

func TestTrap04_ORMapResetIsExact(t *testing.T) {
	for _, path := range [][]string{{"n"}, {"s", "n"}, {"s", "t", "n"}} {
		var a, b ormap
		at := func(m *ormap) fieldsOf {
			var at fieldsOf = m
			for _, key := range path[:len(path)-1] {
				at = at.Map(key)
			}
			return at
		}
		b.Merge(at(&a).Counter("n").Add(idA, 5))
		removal := a.Remove(path[0])
		added := at(&b).Counter("n").Add(idB, 3)
		a.Merge(added)
		b.Merge(removal)
		assert.EqualValues(t, 3, at(&a).Counter("n").Value())
		assert.EqualValues(t, 3, at(&b).Counter("n").Value())

		c := a.Clone()
		removal = a.Remove(path[0])
		for range 3 {
			at(c).Counter("n").Add(idC, -1)
		}
		c.Merge(removal)
		assert.EqualValues(t, -3, at(c).Counter("n").Value())
	}
	o := ormapOracle(op{do: "counter", elem: "x", n: 3}, op{do: "remove", elem: "x"})
	t.Logf("%d histories, all merge orders of each", o.Exhaustive(t, 4, replicasOfFour()))
}

func TestTrap05_ORMapReaddingDoesNotResurrect(t *testing.T) {
	o := ormapOracle(op{do: "set", elem: "s.x", n: 1}, op{do: "remove", elem: "s"})
	t.Logf("%d histories, all merge orders of each", o.Exhaustive(t, 4, 3))
}

func TestTrap06_ORMapDeltasEqualStates(t *testing.T) {
	var x ormap
	x.Map("m").Counter("kept").Add(idA, 2)
	x.Map("m").Counter("gone").Add(idA, 2)
	before := x.Clone()
	deltas := []*ormap{
		x.Map("m").Remove("gone"), x.Map("m").Counter("gone").Add(idA, 9), x.Remove("m"),
		x.Map("m").Map("deep").Flag("up").Enable(idB), x.Map("m").Counter("kept").Add(idB, 1),
	}
	for shift := range deltas {
		left, right := before.Clone(), new(ormap)
		for _, d := range append(slices.Clone(deltas[shift:]), deltas[:shift]...) {
			left.Merge(d)
			right.Merge(d)
		}
		right.Merge(before)
		assert.Equal(t, encoded(t, &x), encoded(t, left))
		assert.Equal(t, encoded(t, &x), encoded(t, right))
	}
}

func TestTrap07_ORMapGapIsNotClaimed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var writer, reader ormap
		var deltas []*ormap
		for i := range 10 {
			key := fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "key"))
			if i%3 == 2 {
				deltas = append(deltas, writer.Map("m").Remove(key))
			} else {
				deltas = append(deltas, writer.Map("m").Counter(key).Add(idA, 1))
			}
		}
		got := new(vclock.Context)
		for _, i := range rapid.SliceOf(rapid.IntRange(0, 9)).Draw(t, "arriving") {
			reader.Merge(deltas[i])
			got.Merge(deltas[i].Context())
			if reader.Context().Compare(got) != vclock.Equal {
				t.Fatalf("claims %v, was told %v", reader.Context(), got)
			}
		}
		reader.Merge(&writer)
		if ormapGot(&reader) != ormapGot(&writer) {
			t.Fatalf("got %v, want %v", ormapGot(&reader), ormapGot(&writer))
		}
	})
}

func TestTrap08_ORMapPartialAnswerNeverOverClaims(t *testing.T) {
	var m ormap
	for i := range 6 {
		m.Counter(fmt.Sprint(i)).Add(idA, int64(i+1))
	}
	m.Remove("3")
	// One who has seen some fields gets the others, and loses none in between.
	for has := range 1 << 6 {
		var part ormap
		since := new(vclock.Context)
		for i := range 6 {
			if has>>i&1 == 1 {
				since.Add(vclock.Dot{Replica: idA, Seq: uint64(i + 1)})
			}
		}
		part.Merge(m.Delta(since))
		for i := range 6 {
			d := vclock.Dot{Replica: idA, Seq: uint64(i + 1)}
			assert.Equal(t, i == 3 || !since.Has(d), part.Context().Has(d))
			assert.Equal(t, i != 3 && !since.Has(d), part.Has(fmt.Sprint(i)))
		}
		part.Merge(&m)
		assert.Equal(t, encoded(t, &m), encoded(t, &part))
	}
	assert.Zero(t, m.Remove("never", "3").Context().Count())
}

func TestTrap40_ORMapTwoKindsUnderOneField(t *testing.T) {
	var a, b ormap
	a.Map("s").Counter("f").Add(idA, 4)
	b.Map("s").Set("f").Add(idB, "x")
	b.Map("s").Map("f").Flag("deep").Enable(idB)
	ab, ba := a.Clone(), b.Clone()
	ab.Merge(&b)
	ba.Merge(&a)
	assert.Equal(t, encoded(t, ab), encoded(t, ba))
	var back ormap
	require.NoError(t, back.UnmarshalBinary(encoded(t, ab)))
	at := back.Map("s")
	assert.EqualValues(t, 4, at.Counter("f").Value())
	assert.True(t, at.Set("f").Has("x") && at.Map("f").Flag("deep").Enabled())
	assert.Equal(t, 1, at.Len())
	var kinds []crdt.FieldKind
	for _, kind := range at.All() {
		kinds = append(kinds, kind)
	}
	assert.Equal(t, []crdt.FieldKind{crdt.FieldCounter, crdt.FieldSet, crdt.FieldMap}, kinds)
	at.Map("f").Reset()
	assert.False(t, at.Map("f").Flag("deep").Enabled())
	at.Set("f").Reset()
	assert.EqualValues(t, 4, at.Counter("f").Value(), "each kind goes by itself")
	back.Map("s").Remove("f")
	assert.True(t, back.Empty())
}

// One identity used by two writers loses what both wrote under one dot, but on all replicas alike.
func TestORMapWithAnIdentityUsedTwice(t *testing.T) {
	writes := []func(m *ormap){
		func(m *ormap) { m.Counter("x").Add(idA, 1) },
		func(m *ormap) { m.Counter("x").Add(idA, 2) },
		func(m *ormap) { m.Counter("y").Add(idA, 1) },
		func(m *ormap) { m.Map("x").Counter("x").Add(idA, 1) },
		func(m *ormap) { m.Flag("x").Enable(idA) },
		func(m *ormap) { m.LWWRegister("x").Set(idA, vclock.Timestamp{Wall: 1}, "") },
		func(m *ormap) { m.LWWRegister("x").Set(idA, vclock.Timestamp{Wall: 2}, "") },
	}
	for i, one := range writes {
		for _, another := range writes[i+1:] {
			var a, b ormap
			one(&a)
			another(&b)
			assertContradict(t, &a, &b)
		}
	}
}

// assertContradict checks that nothing remains of a and b, whichever comes first.
func assertContradict(t *testing.T, a, b *ormap) {
	t.Helper()
	ab, ba := a.Clone(), b.Clone()
	ab.Merge(b)
	novel, _ := ba.MergeNovel(a)
	ab.CheckInvariants()
	ba.CheckInvariants()
	assert.Equal(t, encoded(t, ab), encoded(t, ba))
	assert.True(t, ab.Empty())
	assert.False(t, a.Clone().Merge(novel), "the novelty was in the argument")
}

// Nor do two folds of the same events count both.
func TestORMapFoldedTwiceByOneIdentity(t *testing.T) {
	var a ormap
	a.Counter("n").Add(idA, 5)
	a.Counter("n").Add(idA, 3)
	b := a.Clone()
	b.Flag("other").Enable(idA)
	assertContradict(t, a.Fold(idA, a.Context()), b.Fold(idA, b.Context()))
}

func TestORMapRegisters(t *testing.T) {
	var a, b ormap
	late, early := vclock.Timestamp{Wall: 9, Replica: idA}, vclock.Timestamp{Wall: 5, Replica: idB}
	b.LWWRegister("r").Set(idB, early, "early")
	only := b.Clone()
	only.Merge(a.LWWRegister("r").Set(idA, late, "late"))
	assert.Equal(t, late, only.Latest())
	assert.Equal(t, late, only.LWWRegister("r").Timestamp())
	v, _ := only.LWWRegister("r").Value()
	assert.Equal(t, "late", v)
	why := only.Explain("r")
	assert.Equal(t, "here: for a:1 b:1 "+late.String(), why.String())
	assert.False(t, only.Explain("r", "deeper").Present)
	assert.Len(t, only.Explain().For, 2)

	removed := only.Clone()
	removed.Merge(a.Remove("r")) // by one who knew of the late one only
	v, _ = removed.LWWRegister("r").Value()
	assert.Equal(t, "early", v)

	only.LWWRegister("r").Set(idB, early, "after both")
	v, _ = only.LWWRegister("r").Value()
	assert.Equal(t, "after both", v)
	assert.Positive(t, only.Latest().Compare(late))
	only.Merge(&a)
	assert.Equal(t, 1, only.Entries())
}
