package crdt_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
)

// degrees is a float with a name.
type degrees float32

// JSON has no word for floats that are no numbers. They are text then, wherever values of the user's type are, so that
// one of them does not hide all that a key holds.
func TestFloatsThatAreNoNumbersAsText(t *testing.T) {
	nan, up, down := math.NaN(), math.Inf(1), math.Inf(-1)
	var sheet crdt.LWWMap[string, float64]
	sheet.Set(stampOf(1, idA), "x<y", nan)
	sheet.Set(stampOf(1, idA), "b", 1.5)
	var byKey crdt.LWWMap[bool, float64]
	byKey.Set(stampOf(1, idA), true, down)
	byKey.Set(stampOf(1, idA), false, 2)
	var siblings crdt.MVRegister[float64]
	siblings.Set(idA, nan)
	siblings.Merge(new(crdt.MVRegister[float64]).Set(idB, up))
	var warm crdt.LWWRegister[degrees]
	warm.Set(stampOf(1, idA), degrees(up))
	var anything crdt.LWWRegister[any]
	anything.Set(stampOf(1, idA), nan)
	for _, c := range []struct {
		state json.Marshaler
		want  string
	}{
		{new(crdt.LWWRegister[float64]).Set(stampOf(1, idA), nan), `"NaN"`},
		{&warm, `"+Inf"`},
		{&anything, `"NaN"`},
		{new(crdt.MinRegister[float32]).Set(float32(down)), `"-Inf"`},
		{new(crdt.MaxRegister[float64]).Set(nan), `"NaN"`},
		{&siblings, `["+Inf","NaN"]`},
		{new(crdt.Log[float64]).Append(stampOf(1, idA), nan, math.Copysign(0, -1), 1e21, up), `["NaN",-0,1e21,"+Inf"]`},
		{&sheet, `{"b":1.5,"x<y":"NaN"}`},
		{&byKey, `[[false,2],[true,"-Inf"]]`},
	} {
		got, err := json.Marshal(c.state)
		require.NoError(t, err, c.want)
		assert.JSONEq(t, c.want, string(got))
	}
	_, err := new(crdt.GSet[float64]).Add(nan).MarshalJSON()
	assert.ErrorAs(t, err, new(*crdt.TypeError), "floats are no elements, whatever they are")
}

func TestAKeyWithAFloatThatIsNoNumberAsText(t *testing.T) {
	kinds, err := crdt.Standard().With(crdt.NewKind[crdt.LWWRegister[float64]](100, "temperature"))
	require.NoError(t, err)
	var v crdt.Value
	r, err := crdt.Ensure[*crdt.LWWRegister[float64]](kinds, &v)
	require.NoError(t, err)
	r.Set(stampOf(1, idA), math.NaN())
	ensured[*set](t, &v).Add(idA, "x")
	text, err := json.Marshal(&v)
	require.NoError(t, err)
	assert.JSONEq(t, `{"orset":["x"],"temperature":"NaN"}`, string(text))
}

// taciturn is a type that can be encoded, but not as text: its author refused, or has a NaN in it.
type taciturn struct{ Depth float64 }

var errTaciturn = errors.New("no comment")

func (m taciturn) MarshalBinary() ([]byte, error)     { return []byte{byte(m.Depth)}, nil }
func (m *taciturn) UnmarshalBinary(data []byte) error { *m = taciturn{float64(data[0])}; return nil }
func (m taciturn) MarshalText() ([]byte, error)       { return nil, errTaciturn }

// hollow is another, which package json writes field by field.
type hollow struct{ Depth float64 }

func (m hollow) MarshalBinary() ([]byte, error)     { return []byte{1}, nil }
func (m *hollow) UnmarshalBinary(data []byte) error { *m = hollow{math.NaN()}; return nil }

// stubborn is a float that writes itself.
type stubborn float64

func (stubborn) MarshalJSON() ([]byte, error) { return nil, &json.UnsupportedValueError{Str: "mine"} }

// What a user's own type refuses fails, with its error and with the names of the type and of the kind.
func TestTypesThatRefuseToBeText(t *testing.T) {
	at := stampOf(1, idA)
	for _, state := range []json.Marshaler{
		new(crdt.LWWRegister[taciturn]).Set(at, taciturn{}),
		new(crdt.MVRegister[taciturn]).Set(idA, taciturn{}),
		new(crdt.MaxRegister[taciturn]).Set(taciturn{}),
		new(crdt.Log[taciturn]).Append(at, taciturn{}),
		new(crdt.LWWMap[string, taciturn]).Set(at, "k", taciturn{}),
		new(crdt.LWWMap[bool, taciturn]).Set(at, true, taciturn{}),
		new(crdt.GSet[taciturn]).Add(taciturn{}),
		new(crdt.ORSet[taciturn]).Add(idA, taciturn{}),
		new(crdt.ORMap[taciturn]).Counter(taciturn{}).Add(idA, 1),
	} {
		_, err := state.MarshalJSON()
		assert.ErrorIs(t, err, errTaciturn, "%T", state)
		assert.ErrorContains(t, err, "crdt_test.taciturn", "%T", state)
	}
	_, err := new(crdt.LWWMap[taciturn, string]).Set(at, taciturn{}, "v").MarshalJSON()
	assert.ErrorContains(t, err, errTaciturn.Error())
	_, err = new(crdt.LWWRegister[stubborn]).Set(at, 1).MarshalJSON()
	assert.ErrorContains(t, err, "mine", "it writes itself, so it is asked and not replaced")

	kinds, err := crdt.Standard().With(crdt.NewKind[crdt.LWWRegister[hollow]](100, "depths"))
	require.NoError(t, err)
	var v crdt.Value
	ensured[*set](t, &v).Add(idA, "x")
	r, err := crdt.Ensure[*crdt.LWWRegister[hollow]](kinds, &v)
	require.NoError(t, err)
	r.Set(at, hollow{math.NaN()})
	_, err = v.MarshalJSON()
	assert.ErrorContains(t, err, "crdt: kind depths: ")
	assert.ErrorAs(t, err, new(*json.UnsupportedValueError))
}
