package crdt_test

import (
	"encoding/json"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

type (
	name   string
	grade  int8
	digest [4]byte
	point  struct{ X, Y int }
)

// asElements sends elements through a set.
func asElements[E comparable](t *testing.T, json string, elems ...E) {
	t.Helper()
	var s, back crdt.ORSet[E]
	s.Add(idA, elems...)
	b := encoded(t, &s)
	require.NoError(t, back.UnmarshalBinary(b))
	assert.Equal(t, b, encoded(t, &back))
	for _, e := range elems {
		assert.True(t, back.Has(e), "%v", e)
	}
	text, err := back.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, json, string(text))
	var grown crdt.GSet[E]
	grown.Add(elems...)
	text, err = grown.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, json, string(text))
}

// asValue sends a value through both registers.
func asValue[T any](t *testing.T, v T) {
	t.Helper()
	var r, back crdt.LWWRegister[T]
	r.Set(vclock.Timestamp{Wall: 1}, v)
	require.NoError(t, back.UnmarshalBinary(encoded(t, &r)))
	got, ok := back.Value()
	assert.True(t, ok)
	assert.Equal(t, v, got)
	var m, again crdt.MVRegister[T]
	m.Set(idA, v)
	require.NoError(t, again.UnmarshalBinary(encoded(t, &m)))
	assert.Equal(t, []T{v}, again.Values())
}

func TestElementTypes(t *testing.T) {
	asElements(t, `["","a","aa","b"]`, "b", "aa", "a", "")
	asElements(t, `["x","y"]`, name("y"), name("x"))
	asElements(t, `[-128,-1,0,127]`, grade(127), grade(-1), grade(-128), grade(0))
	asElements(t, `[-9223372036854775808,9223372036854775807]`, math.MaxInt64, math.MinInt64)
	asElements(t, `[0,18446744073709551615]`, uint64(math.MaxUint64), uint64(0))
	asElements(t, `[1,200]`, byte(200), byte(1))
	asElements(t, `[false,true]`, true, false)
	asElements(t, `[[0,0,0,1],[9,0,0,0]]`, digest{9}, digest{3: 1})
	asElements(t, `["::1","1.2.3.4"]`, netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("::1"))
}

func TestValueTypes(t *testing.T) {
	asValue(t, "text")
	asValue(t, name("named"))
	asValue(t, []byte{1, 2, 3})
	asValue(t, json.RawMessage(`{"a":1}`))
	asValue(t, float32(1)/3)
	asValue(t, math.Inf(-1))
	asValue(t, math.Copysign(0, -1))
	asValue(t, time.Unix(1_700_000_000, 5).UTC())
	asValue(t, uint16(65535))
	asValue(t, false)
}

func TestUnsupportedTypes(t *testing.T) {
	var s crdt.ORSet[point]
	s.Add(idA, point{1, 2})
	assert.True(t, s.Has(point{1, 2}), "works in memory")
	var refused *crdt.TypeError
	_, err := s.AppendBinary(nil)
	assert.ErrorAs(t, err, &refused)
	assert.ErrorAs(t, s.UnmarshalBinary(nil), &refused)
	_, err = new(crdt.GSet[float64]).AppendBinary(nil)
	assert.ErrorAs(t, err, &refused)
	_, err = crdt.NewKinds(crdt.NewKind[crdt.ORSet[point]](64, "points"))
	assert.ErrorAs(t, err, &refused)
}

// Equal numbers have equal bytes, and all NaNs are one.
func TestFloatsAreCanonical(t *testing.T) {
	payload := math.Float64frombits(0x7ff8000000000abc)
	var a, b crdt.LWWRegister[float64]
	a.Set(vclock.Timestamp{Wall: 1}, math.NaN())
	b.Set(vclock.Timestamp{Wall: 1}, payload)
	assert.Equal(t, encoded(t, &a), encoded(t, &b))
	assert.False(t, a.Merge(&b))
	b.Set(vclock.Timestamp{Wall: 2}, 0)
	a.Set(vclock.Timestamp{Wall: 2}, math.Copysign(0, -1))
	assert.True(t, a.Merge(&b), "0 comes after -0")
}

func TestCountersSaturate(t *testing.T) {
	var c crdt.GCounter
	c.Add(idA, math.MaxUint64)
	assert.Zero(t, len(new(crdt.GCounter).Add(idA, 0).Parts()))
	c.Add(idA, 5)
	c.Add(idB, 5)
	assert.EqualValues(t, uint64(math.MaxUint64), c.Value())

	var p crdt.PNCounter
	p.Add(idA, math.MinInt64)
	p.Add(idB, -1)
	assert.EqualValues(t, math.MinInt64, p.Value())
	p.Add(idA, math.MaxInt64)
	p.Add(idB, math.MaxInt64)
	assert.EqualValues(t, math.MaxInt64-2, p.Value())
	p.Add(idC, math.MaxInt64)
	assert.EqualValues(t, math.MaxInt64, p.Value())
	p.Reset()
	assert.Zero(t, p.Value())
	assert.True(t, p.Empty())
}

// The zero replica is no writer: nothing happens.
func TestTheZeroReplicaWritesNothing(t *testing.T) {
	var nobody vclock.ReplicaID
	var c crdt.PNCounter
	var s crdt.ORSet[string]
	var m crdt.MVRegister[string]
	c.Add(nobody, 1)
	s.Add(nobody, "x")
	m.Set(nobody, "x")
	assert.True(t, c.Empty() && s.Empty() && m.Empty())
}

// A nil state reads as an empty one.
func TestNilIsEmpty(t *testing.T) {
	var (
		g *crdt.GCounter
		p *crdt.PNCounter
		e *crdt.GSet[string]
		o *crdt.ORSet[string]
		l *crdt.LWWRegister[string]
		m *crdt.MVRegister[string]
	)
	assert.False(t, new(crdt.GCounter).Merge(g) || new(crdt.PNCounter).Merge(p) || new(crdt.GSet[string]).Merge(e))
	assert.False(t, new(set).Merge(o) || new(crdt.LWWRegister[string]).Merge(l) || new(crdt.MVRegister[string]).Merge(m))
	assert.True(t, g.Empty() && p.Empty() && e.Empty() && o.Empty() && l.Empty() && m.Empty())
	for _, v := range []json.Marshaler{g.Clone(), p.Clone(), e.Clone(), o.Clone(), l.Clone(), m.Clone()} {
		_, err := v.MarshalJSON()
		assert.NoError(t, err)
	}
}
