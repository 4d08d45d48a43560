package crdt_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// What is well-formed and yet no map is refused, each for its own reason.
func TestORMapDecoderChecksTheMeaning(t *testing.T) {
	a := id(idA)
	one := raw(0x91, 0x93, a, 0, 0)   // a:1
	three := raw(0x91, 0x93, a, 0, 2) // a:1-3
	x, y := raw(0xa1, 'x'), raw(0xa1, 'y')
	const counter, set, lww, mv, flag, sub = 1, 2, 3, 4, 5, 6
	plain := raw(0x94, 0, 1, 5, 0x90)
	deep := raw(0x93, x, flag, raw(0x92, 0, 1))
	for range crdt.MapDepth - 1 {
		deep = raw(0x93, x, sub, deep)
	}
	for _, c := range []struct {
		reason string
		ctx    []byte
		fields []byte
	}{
		{"", one, raw(0x93, x, counter, plain)},
		{"", one, deep},
		{"", three, raw(0x96, x, counter, plain, y, set, raw(0x92, x, raw(0x94, 0, 2, 0, 3)))},
		{"", three, raw(0x93, x, counter, raw(0x94, 0, 3, 0, 0x92, 1, 1))},
		{"", one, raw(0x93, x, lww, raw(0x96, 0, 1, 0, 0, 0xc0, x))},
		{"maps nested too deep", one, raw(0x93, x, sub, deep)},
		{"incomplete record", one, raw(0x92, x, counter)},
		{"no such kind of field", one, raw(0x93, x, 0, plain)},
		{"no such kind of field", one, raw(0x93, x, 7, plain)},
		{"fields out of order", three, raw(0x96, y, counter, plain, x, flag, raw(0x92, 0, 2))},
		{"fields out of order", three, raw(0x96, x, flag, raw(0x92, 0, 2), x, counter, plain)},
		{"fields out of order", three, raw(0x96, x, counter, plain, x, counter, raw(0x94, 0, 2, 1, 0x90))},
		{"field with nothing in it", one, raw(0x93, x, counter, 0x90)},
		{"field with nothing in it", one, raw(0x93, x, set, 0x90)},
		{"field with nothing in it", one, raw(0x93, x, sub, 0x90)},
		{"element without dots", one, raw(0x93, x, set, raw(0x92, x, 0x90))},
		{"elements out of order", three, raw(0x93, x, set, raw(0x94, y, raw(0x92, 0, 1), x, raw(0x92, 0, 2)))},
		{"elements out of order", three, raw(0x93, x, set, raw(0x94, x, raw(0x92, 0, 1), x, raw(0x92, 0, 2)))},
		{"incomplete record", one, raw(0x93, x, set, raw(0x91, x))},
		{"incomplete record", one, raw(0x93, x, counter, raw(0x93, 0, 1, 5))},
		{"entry without a count", one, raw(0x93, x, counter, raw(0x94, 0, 1, 0, 0x90))},
		{"dot outside of the context", one, raw(0x93, x, flag, raw(0x92, 0, 2))},
		{"no such replica", one, raw(0x93, x, flag, raw(0x92, 1, 1))},
		{"dots out of order", three, raw(0x93, x, flag, raw(0x94, 0, 2, 0, 1))},
		{"dots out of order", three, raw(0x93, x, flag, raw(0x94, 0, 2, 0, 2))},
		{"dot lives twice", three, raw(0x96, x, counter, plain, y, flag, raw(0x92, 0, 1))},
		{"dot lives twice", three, raw(0x96, x, counter, raw(0x94, 0, 3, 1, 0x92, 1, 1), y, flag, raw(0x92, 0, 2))},
		{"folded events out of order", three, raw(0x93, x, counter, raw(0x94, 0, 3, 1, 0x91, 0))},
		{"folded events out of order", three, raw(0x93, x, counter, raw(0x94, 0, 3, 1, 0x92, 1, 0))},
		{"folded events out of order", three, raw(0x93, x, counter, raw(0x94, 0, 3, 1, 0x91, 3))},
		{"folded events out of order", three, raw(0x93, x, counter, raw(0x94, 0, 3, 1, 0x92, 2, []byte{0xcf, 255, 255, 255, 255, 255, 255, 255, 255}))},
		{"dot outside of the context", raw(0x91, 0x93, a, 1, 1), raw(0x93, x, counter, raw(0x94, 0, 3, 1, 0x91, 1))},
		{"replica of the dot written out", one, raw(0x93, x, lww, raw(0x96, 0, 1, 0, 0, a, x))},
		{"integer out of range", one, raw(0x93, x, lww, raw(0x96, 0, 1, 0, []byte{0xcf, 0, 0, 0, 1, 0, 0, 0, 0}, 0xc0, x))},
		{"expected a string", one, raw(0x93, x, mv, raw(0x93, 0, 1, 5))},
	} {
		input := raw(0x94, 17, 1, c.ctx, c.fields)
		var m ormap
		err := m.UnmarshalBinary(input)
		if c.reason == "" {
			if assert.NoError(t, err, "%x", input) {
				m.CheckInvariants()
				assert.Equal(t, input, encoded(t, &m))
			}
			continue
		}
		var corrupt *crdt.CorruptError
		if assert.ErrorAs(t, err, &corrupt, c.reason) {
			assert.Equal(t, c.reason, corrupt.Reason, "%x", input)
		}
	}
}

// Maps go as deep as can be decoded, and no deeper.
func TestORMapDepth(t *testing.T) {
	var m, back ormap
	at := m.Map("1")
	for i := 2; i < crdt.MapDepth; i++ {
		at = at.Map(fmt.Sprint(i))
	}
	at.Set("13").Add(idA, "x")
	at.Counter("13").Add(idA, 1)
	at.Counter("13").Add(idA, 1)
	m.Fold(idA, m.Context())
	assert.Zero(t, at.Map("13").Flag("14").Enable(idA).Context().Count(), "too deep")
	assert.False(t, at.Map("13").Flag("14").Enabled())
	require.NoError(t, back.UnmarshalBinary(encoded(t, &m)))
	assert.Equal(t, encoded(t, &m), encoded(t, &back))
	assert.EqualValues(t, 2, back.Map("1").Map("2").Map("3").Map("4").Map("5").Map("6").Map("7").Map("8").Map("9").
		Map("10").Map("11").Map("12").Counter("13").Value())
}

// Keys may be of any type that sets may hold.
func TestORMapKeyTypes(t *testing.T) {
	withKeys(t, `{"-5":1,"7":{"9":["x"]}}`, int8(-5), int8(7), int8(9))
	withKeys(t, `{"[1,0]":1,"[2,0]":{"[3,0]":["x"]}}`, [2]byte{1}, [2]byte{2}, [2]byte{3})
	withKeys(t, `{"a":1,"b":{"c":["x"]}}`, name("a"), name("b"), name("c"))
	var refused *crdt.TypeError
	var m crdt.ORMap[point]
	m.Counter(point{1, 2}).Add(idA, 1)
	assert.EqualValues(t, 1, m.Counter(point{1, 2}).Value(), "works in memory")
	_, err := m.AppendBinary(nil)
	assert.ErrorAs(t, err, &refused)
	_, err = m.MarshalJSON()
	assert.ErrorAs(t, err, &refused)
	assert.ErrorAs(t, m.UnmarshalBinary(nil), &refused)
}

func withKeys[K comparable](t *testing.T, json string, x, y, z K) {
	t.Helper()
	var m, back crdt.ORMap[K]
	m.Map(y).Set(z).Add(idA, "x")
	m.Counter(x).Add(idA, 1)
	b := encoded(t, &m)
	require.NoError(t, back.UnmarshalBinary(b))
	assert.Equal(t, b, encoded(t, &back))
	text, err := back.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, json, string(text))
}

func TestORMapJSON(t *testing.T) {
	var m ormap
	m.Map("profile").LWWRegister("name").Set(idA, vclock.Timestamp{Wall: 1}, "Ann")
	m.Map("profile").Set("tags").Add(idA, "b", "a")
	m.MVRegister("draft").Set(idA, "v")
	m.Flag("on").Enable(idA)
	m.Counter("both").Add(idA, 4)
	m.Flag("both").Enable(idA)
	text, err := m.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, `{"both":{"counter":4,"flag":true},"draft":["v"],"on":true,"profile":{"name":"Ann","tags":["a","b"]}}`, string(text))
	text, err = new(ormap).MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, "{}", string(text))
}

func TestORMapNilIsEmpty(t *testing.T) {
	var m *ormap
	assert.True(t, m.Empty() && !m.Has("x") && m.Len() == 0 && m.Counter("x").Empty() && m.Map("x").Empty())
	assert.True(t, m.Set("x").Empty() && m.LWWRegister("x").Empty() && m.MVRegister("x").Empty() && !m.Flag("x").Enabled())
	assert.Zero(t, m.Counter("x").Value())
	assert.Zero(t, m.Set("x").Len())
	assert.Empty(t, m.MVRegister("x").Values())
	assert.Zero(t, m.LWWRegister("x").Timestamp())
	assert.Zero(t, m.Latest())
	assert.Zero(t, m.Context().Count())
	assert.Zero(t, m.Delta(nil).Context().Count())
	assert.False(t, m.Explain("x").Present)
	assert.True(t, m.Clone().Empty())
	assert.False(t, new(ormap).Merge(m))
	for range m.All() {
		t.Fatal("nothing to yield")
	}
	for range m.Set("x").All() {
		t.Fatal("nothing to yield")
	}
	assert.Equal(t, encoded(t, new(ormap)), encoded(t, m))
	text, err := m.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, "{}", string(text))
	assert.Zero(t, new(ormap).Counter("x").Add(vclock.ReplicaID{}, 1).Context().Count(), "the zero replica writes nothing")
}

// Whatever array or text claims to be long, and whether there are bytes that could be its content: that costs nothing
// before it is there.
func TestORMapClaimsCostNothing(t *testing.T) {
	const counter, set, lww, mv, flag, sub = 1, 2, 3, 4, 5, 6
	x := raw(0xa1, 'x')
	ctx := raw(0x91, 0x93, id(idA), 0, 8) // a:1-9
	field := func(kind int, rest ...any) []byte {
		return raw(append([]any{0x94, 17, 1, ctx, 0x93, x, kind}, rest...)...)
	}
	for where, head := range map[string][]byte{
		"envelope":         {},
		"context":          raw(0x94, 17, 1),
		"runs":             raw(0x94, 17, 1, 0x91),
		"replica":          raw(0x94, 17, 1, 0x91, 0x93),
		"fields":           raw(0x94, 17, 1, ctx),
		"key":              raw(0x94, 17, 1, ctx, 0x93),
		"counter":          field(counter),
		"folded":           field(counter, 0x94, 0, 9, 1),
		"set":              field(set),
		"element":          field(set, 0x92),
		"dots":             field(set, 0x92, x),
		"lwwregister":      field(lww),
		"timestamp":        field(lww, 0x96, 0, 1, 0, 0),
		"value":            field(lww, 0x96, 0, 1, 0, 0, 0xc0),
		"mvregister":       field(mv),
		"concurrent value": field(mv, 0x93, 0, 1),
		"flag":             field(flag),
		"map":              field(sub),
		"map in a map":     field(sub, 0x93, x, sub),
	} {
		limit := 1<<20 + 1<<16
		for _, code := range []byte{0xdd, 0xdb, 0xc6} { // array, text, binary
			claimed := slices.Concat(head, []byte{code}, binary.BigEndian.AppendUint32(nil, 1<<30))
			got := allocated(func() { assert.Error(t, new(ormap).UnmarshalBinary(claimed), where) })
			assert.Less(t, got, uint64(1<<14), where)

			for after := range 6 { // with so many values after it the input is whole
				zeros := slices.Concat(head, []byte{code}, binary.BigEndian.AppendUint32(nil, 1<<20), make([]byte, 1<<20+after))
				got = allocated(func() { _ = new(ormap).UnmarshalBinary(zeros) }) // which may be a long value
				assert.Less(t, got, uint64(limit), "%s, %d after it", where, after)
			}
		}
	}
	deep := append(raw(0x94, 17, 1, 0x90), bytes.Repeat([]byte{0x91}, 1<<16)...)
	assert.Less(t, allocated(func() { assert.Error(t, new(ormap).UnmarshalBinary(deep)) }), uint64(1<<14))
}

func FuzzORMap(f *testing.F) {
	var m ormap
	var n crdt.ORMap[[4]byte]
	ts := vclock.Timestamp{Wall: 1 << 60, Logical: 3, Replica: idA}
	seed(f, &m, m.Counter("a").Add(idA, 300), m.Counter("a").Add(idA, -7), m.Map("b").Set("a").Add(idB, "x", "\xff"), &m,
		m.Map("b").LWWRegister("a").Set(idA, ts, "v"), m.Map("b").MVRegister("c").Set(idA, "v"), m.Flag("a").Enable(idC), &m,
		m.Fold(idA, m.Context()), &m, m.Remove("b"), &m, n.Flag([4]byte{1}).Enable(idA))
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[ormap](t, b)
		roundTrip[crdt.ORMap[[4]byte]](t, b)
		var x, y ormap
		if x.UnmarshalBinary(b) != nil {
			return
		}
		y.Merge(&m)
		y.Merge(&x)
		x.CheckInvariants()
		y.CheckInvariants()
		x.Merge(&m)
		if !bytes.Equal(encoded(t, &x), encoded(t, &y)) {
			t.Fatalf("merging %x is not commutative", b)
		}
		x.Merge(y.Delta(nil))
		x.Fold(idA, x.Context())
		x.Reset()
		x.CheckInvariants()
	})
}
