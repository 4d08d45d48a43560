package crdt_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/internal/large"
	"github.com/eventual-go/eventual/vclock"
)

// highest is a type of one's own without contexts.
type highest struct{ crdt.GSet[string] }

func (h *highest) Merge(o *highest) bool { return h.GSet.Merge(&o.GSet) }
func (h *highest) Clone() *highest       { return &highest{*h.GSet.Clone()} }

// mixed makes one random change to a value, in one of its kinds.
func mixed(t *rapid.T, v *anyValue, by crdttest.Writer) *anyValue {
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		return mutateIn(t, v, by, gcounters())
	case 1:
		return mutateIn(t, v, by, pncounters())
	case 2:
		return mutateIn(t, v, by, orsets())
	case 3:
		return mutateIn(t, v, by, lwwregisters())
	}
	return mutateIn(t, v, by, mvregisters())
}

func TestValueDeltaIsWhatThePeerLacks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := reached(t, crdttest.Suite[*anyValue]{
			New:    func() *anyValue { return new(anyValue) },
			Mutate: mixed,
		})
		b, _ := y.Contexts().AppendBinary(nil)
		var since crdt.Contexts
		if err := since.UnmarshalBinary(b); err != nil {
			t.Fatal(err)
		}
		delta := &anyValue{*x.Value.Delta(&since)}
		want, got := y.Clone(), y.Clone()
		want.Merge(x)
		got.Merge(delta)
		w, _ := want.AppendBinary(nil)
		g, _ := got.AppendBinary(nil)
		if string(w) != string(g) {
			t.Fatalf("got %x, want %x", g, w)
		}
		if x.Clone().Merge(delta) {
			t.Fatalf("the delta claims what the value does not have")
		}
	})
}

func TestValueDeltaIsEmptyForAPeerThatHasAll(t *testing.T) {
	var v crdt.Value
	c, err := crdt.Ensure[*pn](crdt.Standard(), &v)
	require.NoError(t, err)
	c.Add(idA, 5)
	s, err := crdt.Ensure[*set](crdt.Standard(), &v)
	require.NoError(t, err)
	s.Add(idA, "x")
	assert.Empty(t, encodedValue(t, v.Delta(v.Contexts())))
	assert.Equal(t, encodedValue(t, &v), encodedValue(t, v.Delta(nil)))
	assert.Empty(t, encodedValue(t, (*crdt.Value)(nil).Delta(v.Contexts())))
	text, err := v.Contexts().MarshalJSON()
	require.NoError(t, err)
	assert.JSONEq(t, `{"2":"{a:1-5}","4":"{a:1}"}`, string(text))
	for tag := range v.Contexts().All() {
		assert.EqualValues(t, 2, tag)
		break
	}
}

// A kind that the sender of the contexts knows and the idOther does not is passed over, and a type without contexts is
// sent whole.
func TestContextsOfUnknownKinds(t *testing.T) {
	kinds, err := crdt.Standard().With(
		crdt.NewKind[crdt.ORSet[int64]](100, "numbers"), crdt.NewKind[highest](101, "highest"))
	require.NoError(t, err)
	var mine, theirs crdt.Value
	numbers, err := crdt.Ensure[*crdt.ORSet[int64]](kinds, &mine)
	require.NoError(t, err)
	numbers.Add(idA, 1)
	own, err := crdt.Ensure[*highest](kinds, &theirs)
	require.NoError(t, err)
	own.Add("whole")
	b, err := mine.Contexts().AppendBinary(nil)
	require.NoError(t, err)
	var since crdt.Contexts
	require.NoError(t, since.UnmarshalBinary(b))
	delta := theirs.Delta(&since)
	assert.Equal(t, encodedValue(t, &theirs), encodedValue(t, delta))
	own.Add("more")
	assert.NotEqual(t, encodedValue(t, &theirs), encodedValue(t, delta), "the delta is a copy")
	changed, err := theirs.Handover(&mine, idEstate, idA)
	require.NoError(t, err)
	assert.False(t, changed)
}

func TestContextsDecoderChecksTheMeaning(t *testing.T) {
	a := id(idA)
	one := raw(0x91, 0x93, a, 0, 0)
	for _, c := range []struct {
		reason string
		input  []byte
	}{
		{"wrong number of fields", raw(0x92, 63, 1)},
		{"wrong number of fields", raw(0x93, 63, 1, 4)},
		{"kinds out of order", raw(0x94, 63, 1, 0, one)},
		{"kinds out of order", raw(0x96, 63, 1, 4, one, 4, one)},
		{"empty context", raw(0x94, 63, 1, 4, 0x90)},
		{"runs of events overlap", raw(0x94, 63, 1, 4, 0x91, 0x95, a, 0, 0, 0, 0)},
		{"format version 0", raw(0x94, 63, 0, 4, one)},
	} {
		var into crdt.Contexts
		err := into.UnmarshalBinary(c.input)
		var corrupt *crdt.CorruptError
		if assert.ErrorAs(t, err, &corrupt, c.reason) {
			assert.Equal(t, c.reason, corrupt.Reason)
		}
	}
	var newer *crdt.VersionError
	assert.ErrorAs(t, new(crdt.Contexts).UnmarshalBinary(raw(0x94, 63, 2, 4, one)), &newer)
	var mismatch *crdt.MismatchError
	assert.ErrorAs(t, new(crdt.Contexts).UnmarshalBinary(raw(0x94, 4, 1, 4, one)), &mismatch)
	bomb := raw(0x94, 63, 1, 4, 0xdd, 0x40, 0, 0, 0)
	assert.Less(t, allocated(func() { assert.Error(t, new(crdt.Contexts).UnmarshalBinary(bomb)) }), uint64(1<<20))
}

func FuzzContexts(f *testing.F) {
	var v crdt.Value
	s, _ := crdt.Ensure[*set](crdt.Standard(), &v)
	s.Add(idA, "x", "y")
	m, _ := crdt.Ensure[*crdt.MVRegister[string]](crdt.Standard(), &v)
	m.Put(idB, &vclock.Context{}, "v")
	seed(f, v.Contexts(), new(crdt.Contexts))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c crdt.Contexts
		if err := c.UnmarshalBinary(b); err != nil {
			expected(t, err)
			return
		}
		if again, _ := c.AppendBinary(nil); string(again) != string(b) {
			t.Fatalf("%x came back as %x", b, again)
		}
		v.Delta(&c)
	})
}

// A value is large from when on the sum of its fingerprint is kept, if it has seen events.
func TestLargeIsWhatIsKept(t *testing.T) {
	hash := func(part []byte) (hi, lo uint64) { return uint64(len(part)), 1 }
	var v crdt.Value
	s, err := crdt.Ensure[*set](crdt.Standard(), &v)
	require.NoError(t, err)
	g, err := crdt.Ensure[*crdt.GSet[string]](crdt.Standard(), &v)
	require.NoError(t, err)
	for i := range 1000 {
		g.Add(strconv.Itoa(i))
	}
	for i := range large.Parts - 2 { // and one of its context
		s.Add(idA, strconv.Itoa(i))
	}
	_, _, err = v.Fingerprint(hash)
	require.NoError(t, err)
	assert.Zero(t, v.Large(), "the one has seen nothing, the other is small")
	s.Add(idA, "one more")
	assert.Zero(t, v.Large(), "not looked at yet")
	_, _, err = v.Fingerprint(hash)
	require.NoError(t, err)
	assert.Equal(t, large.Parts, v.Large())
	s.Add(idA, "another")
	assert.Equal(t, large.Parts+1, v.Large())
	assert.Zero(t, v.Clone().Large())
	s.Remove(slices.Collect(s.All())...)
	assert.LessOrEqual(t, v.Large(), 1)
	assert.Zero(t, (*crdt.Value)(nil).Large())
}
