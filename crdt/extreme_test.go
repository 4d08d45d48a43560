package crdt_test

import (
	"cmp"
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
)

func maxregisters() crdttest.Suite[*crdt.MaxRegister[string]] {
	return crdttest.Suite[*crdt.MaxRegister[string]]{
		New:   func() *crdt.MaxRegister[string] { return new(crdt.MaxRegister[string]) },
		Parts: (*crdt.MaxRegister[string]).Parts,
		Mutate: func(t *rapid.T, r *crdt.MaxRegister[string], _ crdttest.Writer) *crdt.MaxRegister[string] {
			return r.Set(words.Draw(t, "word"))
		},
	}
}

func minregisters() crdttest.Suite[*crdt.MinRegister[int8]] {
	return crdttest.Suite[*crdt.MinRegister[int8]]{
		New:   func() *crdt.MinRegister[int8] { return new(crdt.MinRegister[int8]) },
		Parts: (*crdt.MinRegister[int8]).Parts,
		Mutate: func(t *rapid.T, r *crdt.MinRegister[int8], _ crdttest.Writer) *crdt.MinRegister[int8] {
			return r.Set(rapid.Int8().Draw(t, "n"))
		},
	}
}

func TestMaxRegisterLaws(t *testing.T) { crdttest.Laws(t, maxregisters()) }
func TestMinRegisterLaws(t *testing.T) { crdttest.Laws(t, minregisters()) }

func TestMaxRegisterDeltaSince(t *testing.T) { checkSince(t, maxregisters(), nil) }
func TestMinRegisterDeltaSince(t *testing.T) { checkSince(t, minregisters(), nil) }

// The value is the outermost of those written. A write that is not further out than all it saw leaves no trace.

func outermost(h history, seen events, to int) (n int64, ok bool) {
	for e := range seen.All() {
		v := h[e].Op.n
		if known, any := outermost(h, h[e].Saw, to); any && to*cmp.Compare(v, known) <= 0 {
			continue
		}
		if !ok || to*cmp.Compare(v, n) > 0 {
			n, ok = v, true
		}
	}
	return n, ok
}

func wantOutermost(to int) func(h history, seen events) string {
	return func(h history, seen events) string { return fmt.Sprint(outermost(h, seen, to)) }
}

func TestMaxRegisterSpecification(t *testing.T) {
	exhaust(t, crdttest.Oracle[*crdt.MaxRegister[int64], op]{
		New: func() *crdt.MaxRegister[int64] { return new(crdt.MaxRegister[int64]) },
		Ops: []op{{n: -1}, {n: 0}, {n: 7}},
		Apply: func(r *crdt.MaxRegister[int64], o op, _ crdttest.Writer) *crdt.MaxRegister[int64] {
			return r.Set(o.n)
		},
		Got:  func(r *crdt.MaxRegister[int64]) string { return fmt.Sprint(r.Value()) },
		Want: wantOutermost(+1),
	})
}

func TestMinRegisterSpecification(t *testing.T) {
	exhaust(t, crdttest.Oracle[*crdt.MinRegister[int64], op]{
		New: func() *crdt.MinRegister[int64] { return new(crdt.MinRegister[int64]) },
		Ops: []op{{n: -1}, {n: 0}, {n: 7}},
		Apply: func(r *crdt.MinRegister[int64], o op, _ crdttest.Writer) *crdt.MinRegister[int64] {
			return r.Set(o.n)
		},
		Got:  func(r *crdt.MinRegister[int64]) string { return fmt.Sprint(r.Value()) },
		Want: wantOutermost(-1),
	})
}

// The order is the canonical one of each type.
func TestExtremesFollowTheCanonicalOrder(t *testing.T) {
	extremes(t, math.MinInt64, math.MaxInt64, int64(0), -1, 200)
	extremes(t, "", "\xff", "a", "aa", "B")
	extremes(t, math.Inf(-1), math.NaN(), 0, math.Inf(1), -0.5)
	extremes(t, false, true)
	extremes(t, []byte{}, []byte{2}, []byte{1, 200})
}

func extremes[T any](t *testing.T, least, greatest T, others ...T) {
	t.Helper()
	var low, back crdt.MinRegister[T]
	var high, again crdt.MaxRegister[T]
	for _, v := range append(others, least, greatest) {
		low.Set(v)
		high.Set(v)
	}
	for _, v := range append(others, least, greatest) {
		assert.True(t, low.Set(v).Empty())
		assert.True(t, high.Set(v).Empty())
	}
	require.NoError(t, back.UnmarshalBinary(encoded(t, &low)))
	require.NoError(t, again.UnmarshalBinary(encoded(t, &high)))
	v, ok := back.Value()
	assert.True(t, ok)
	assert.Equal(t, fmt.Sprint(least), fmt.Sprint(v))
	v, ok = again.Value()
	assert.True(t, ok)
	assert.Equal(t, fmt.Sprint(greatest), fmt.Sprint(v))
}

func TestExtremesOfTypesThatCannotBeEncoded(t *testing.T) {
	var r crdt.MaxRegister[point]
	var refusal *crdt.TypeError
	r.Set(point{1, 2})
	assert.True(t, r.Set(point{2, 2}).Empty(), "there is no order")
	_, err := r.AppendBinary(nil)
	assert.ErrorAs(t, err, &refusal)
	assert.ErrorAs(t, r.UnmarshalBinary(nil), &refusal)
}

func TestExtremesCannotBeReset(t *testing.T) {
	kinds, err := crdt.NewKinds(crdt.NewKind[crdt.MaxRegister[string]](64, "maxregister"))
	require.NoError(t, err)
	var v crdt.Value
	r, err := crdt.Ensure[*crdt.MaxRegister[string]](kinds, &v)
	require.NoError(t, err)
	r.Set("x")
	_, err = v.Reset()
	assert.ErrorIs(t, err, crdt.ErrGrowOnly)
}

// What a merge brought is a state of its own, also if all of the argument was new.
func TestExtremesNoveltyStandsAlone(t *testing.T) {
	var low, argument crdt.MinRegister[int]
	var high, other crdt.MaxRegister[int]
	argument.Set(5)
	other.Set(5)
	few, _ := low.MergeNovel(&argument)
	many, _ := high.MergeNovel(&other)
	argument.Set(3)
	other.Set(7)
	n, _ := few.Value()
	assert.Equal(t, 5, n)
	n, _ = many.Value()
	assert.Equal(t, 5, n)
}

func TestExtremesNil(t *testing.T) {
	var high *crdt.MaxRegister[string]
	var low *crdt.MinRegister[string]
	assert.True(t, high.Empty() && low.Empty())
	assert.False(t, new(crdt.MaxRegister[string]).Merge(high) || new(crdt.MinRegister[string]).Merge(low))
	assert.Equal(t, encoded(t, high), encoded(t, high.Delta(high.Context())))
	assert.Equal(t, encoded(t, low), encoded(t, low.Delta(low.Context())))
	text, err := high.MarshalJSON()
	assert.NoError(t, err)
	assert.Equal(t, "null", string(text))
}

func TestExtremeDecoders(t *testing.T) {
	low, high := new(crdt.MinRegister[int8]).UnmarshalBinary, new(crdt.MaxRegister[string]).UnmarshalBinary
	refused(t, high, "wrong number of fields", raw(0x94, 7, 1, 0xa1, 'a', 0xa1, 'b'))
	refused(t, high, "format version 0", raw(0x92, 7, 0))
	refused(t, low, "integer out of range", raw(0x93, 8, 1, 0xcc, 200))
	assert.ErrorAs(t, low(raw(0x92, 7, 1)), new(*crdt.MismatchError))
	assert.ErrorIs(t, high(raw(0x92, 7, 2)), crdt.ErrVersion)
	claimsCostNothing(t, 7, high)
	claimsCostNothing(t, 8, low)
}

func FuzzDecodeMaxRegister(f *testing.F) {
	var s crdt.MaxRegister[string]
	var n crdt.MaxRegister[float32]
	seed(f, &s, s.Set("value"), n.Set(-0.5))
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[crdt.MaxRegister[string]](t, b)
		roundTrip[crdt.MaxRegister[float32]](t, b)
	})
}

func FuzzDecodeMinRegister(f *testing.F) {
	var s crdt.MinRegister[bool]
	var n crdt.MinRegister[int16]
	seed(f, &s, s.Set(true), n.Set(-300))
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[crdt.MinRegister[bool]](t, b)
		roundTrip[crdt.MinRegister[int16]](t, b)
	})
}

func ExampleMaxRegister() {
	var here, there crdt.MaxRegister[int]
	here.Set(120)
	there.Set(150) // at the same time
	here.Set(110)  // has seen 120
	here.Merge(&there)
	fmt.Println(here.Value())
	// Output: 150 true
}

func ExampleMinRegister() {
	var here, there crdt.MinRegister[string]
	here.Set("2026-03-02")
	there.Set("2026-03-01")
	here.Merge(&there)
	fmt.Println(here.Value())
	// Output: 2026-03-01 true
}

// route is a type of a user's that has a slice inside, and keeps what it reads.
type route struct{ stops []byte }

func (r route) MarshalBinary() ([]byte, error)     { return r.stops, nil }
func (r *route) UnmarshalBinary(b []byte) error    { r.stops = b; return nil }
func routeTo(stops ...byte) route                  { return route{stops} }
func sharesStops(a, b route, at int) (shared bool) { return &a.stops[at] == &b.stops[at] }

// A register passes values on as they are, and reads them into memory of their own.
func TestExtremesOfTypesWithSlices(t *testing.T) {
	var low crdt.MinRegister[route]
	var high, here crdt.MaxRegister[route]
	given := routeTo(2, 5)
	for _, r := range []route{routeTo(2, 7), given, routeTo(3)} {
		low.Set(r)
		high.Set(r)
	}
	least, _ := low.Value()
	assert.True(t, sharesStops(least, given, 1))
	greatest, _ := high.Value()
	assert.Equal(t, []byte{3}, greatest.stops)
	novel, _ := here.MergeNovel(&high)
	for _, r := range []*crdt.MaxRegister[route]{&here, novel, high.Clone(), high.Delta(nil)} {
		v, _ := r.Value()
		assert.True(t, sharesStops(v, greatest, 0), "it is the same value")
	}

	input := encoded(t, &low)
	var once, twice crdt.MinRegister[route]
	require.NoError(t, once.UnmarshalBinary(input))
	require.NoError(t, twice.UnmarshalBinary(input))
	clear(input)
	a, _ := once.Value()
	b, _ := twice.Value()
	assert.Equal(t, []byte{2, 5}, a.stops)
	assert.False(t, sharesStops(a, b, 0) || sharesStops(a, least, 0))
}

// Pointers have no order and no encoding: the first one stays.
func TestExtremesOfPointers(t *testing.T) {
	one, two := 1, 2
	var low crdt.MinRegister[*int]
	var high crdt.MaxRegister[*int]
	low.Set(&two)
	high.Set(&one)
	assert.True(t, low.Set(&one).Empty() && high.Set(&two).Empty())
	var refusal *crdt.TypeError
	_, err := high.AppendBinary(nil)
	assert.ErrorAs(t, err, &refusal)
	assert.ErrorAs(t, low.UnmarshalBinary(nil), &refusal)
}
