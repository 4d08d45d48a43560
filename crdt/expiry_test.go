package crdt_test

import (
	"fmt"
	"maps"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

func expiries() crdttest.Suite[*crdt.Expiry] {
	return crdttest.Suite[*crdt.Expiry]{
		New:   func() *crdt.Expiry { return new(crdt.Expiry) },
		Parts: (*crdt.Expiry).Parts,
		Mutate: func(t *rapid.T, e *crdt.Expiry, by crdttest.Writer) *crdt.Expiry {
			if rapid.IntRange(0, 3).Draw(t, "reset") == 0 {
				return e.Reset()
			}
			return e.Set(time.Unix(rapid.OneOf(rapid.Int64Range(-2, 2), rapid.Int64()).Draw(t, "seconds"), 0), by.Stamp)
		},
	}
}

func TestExpiryLaws(t *testing.T)               { crdttest.Laws(t, expiries()) }
func TestExpiryDeltaSince(t *testing.T)         { checkSince(t, expiries(), nil) }
func TestExpiryLawsAtTheEndOfTime(t *testing.T) { crdttest.Laws(t, atTheEnd(expiries())) }

// The deadline is that of the latest setting, unless it was reset where that was the latest.
func TestExpirySpecification(t *testing.T) {
	deadline := func(o op) time.Time { return time.UnixMilli(o.n) }
	exhaust(t, crdttest.Oracle[*crdt.Expiry, op]{
		New: func() *crdt.Expiry { return new(crdt.Expiry) },
		Ops: []op{{do: "set", n: 1}, {do: "set", n: -1}, {do: "reset"}},
		Apply: func(e *crdt.Expiry, o op, by crdttest.Writer) *crdt.Expiry {
			if o.do == "reset" {
				return e.Reset()
			}
			return e.Set(deadline(o), by.Stamp)
		},
		Got: func(e *crdt.Expiry) string {
			at, ok := e.At()
			return fmt.Sprint(at, ok)
		},
		Want: func(h history, seen events) string {
			if e := shown(h, seen); e >= 0 {
				return fmt.Sprint(deadline(h[e].Op).UTC(), true)
			}
			return fmt.Sprint(time.Time{}, false)
		},
	})
}

// Whatever time it is given, a deadline is a millisecond of the years 1 to 9999.
func TestDeadlinesAreInRange(t *testing.T) {
	first, last := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_000_000, time.UTC)
	for _, c := range []struct{ given, want time.Time }{
		{time.Time{}, first},
		{first.Add(-1), first},
		{first.Add(time.Millisecond), first.Add(time.Millisecond)},
		{time.Date(-3_000_000, 1, 1, 0, 0, 0, 0, time.UTC), first},
		{time.UnixMilli(-1).Add(999_999), time.UnixMilli(-1)},
		{time.UnixMilli(0).Add(-1), time.UnixMilli(-1)},
		{time.UnixMilli(7).Add(999_999), time.UnixMilli(7)},
		{time.Date(2030, 1, 1, 12, 0, 0, 5_000_000, time.FixedZone("", 3600)), time.Date(2030, 1, 1, 11, 0, 0, 5_000_000, time.UTC)},
		{last.Add(-time.Millisecond), last.Add(-time.Millisecond)},
		{last.Add(1), last},
		{last.Add(time.Millisecond), last},
		{time.Date(300_000_000, 1, 1, 0, 0, 0, 0, time.UTC), last},
	} {
		var e, back crdt.Expiry
		e.Set(c.given, stampOf(1, idA))
		at, ok := e.At()
		require.True(t, ok)
		assert.Equal(t, c.want.UTC(), at, "%v", c.given)
		require.NoError(t, back.UnmarshalBinary(encoded(t, &e)))
		at, _ = back.At()
		assert.Equal(t, c.want.UTC(), at, "%v", c.given)
	}
}

// A deadline that was prolonged while somebody took the one before away is there. One that was set at the same moment
// is settled by the order of replicas, and of equal stamps the later one stays.
func TestAnExpiryThatIsProlongedOutlivesTheReset(t *testing.T) {
	var a, b crdt.Expiry
	soon, late := time.UnixMilli(1000), time.UnixMilli(2000)
	b.Merge(a.Set(soon, stampOf(1, idA)))
	reset := a.Reset()
	b.Set(late, stampOf(2, idB))
	assert.True(t, a.Merge(&b))
	assert.False(t, b.Merge(reset))
	at, ok := a.At()
	assert.Equal(t, late.UTC(), at)
	assert.True(t, ok)
	assert.Equal(t, stampOf(2, idB), a.Latest())
	assert.Equal(t, crdt.Explanation{Present: true, ForAt: stampOf(2, idB)}, a.Explain())

	b.Set(soon, stampOf(1, idA)) // its clock is behind, and yet it has seen the other
	at, _ = b.At()
	assert.Equal(t, soon.UTC(), at)
	assert.Equal(t, vclock.Timestamp{Wall: 2, Logical: 1, Replica: idA}, b.Latest())

	var x, y crdt.Expiry
	x.Set(soon, stampOf(5, idC))
	y.Set(late, stampOf(5, idC))
	assert.False(t, y.Merge(&x))
	assert.True(t, x.Merge(&y))
	assert.Equal(t, encoded(t, &x), encoded(t, &y))
}

// A deadline shows nothing, and yet it is not forgotten.
func TestAKeyWithADeadlineAloneIsEmptyAndNotSpent(t *testing.T) {
	var v crdt.Value
	e := ensured[*crdt.Expiry](t, &v)
	assert.True(t, v.Empty() && v.Spent())
	e.Set(time.UnixMilli(5), stampOf(1, idA))
	assert.True(t, v.Empty() && e.Empty())
	assert.False(t, v.Spent())
	assert.Equal(t, stampOf(1, idA), v.Latest())
	assert.NotEmpty(t, encodedValue(t, &v))
	text, err := v.MarshalJSON()
	require.NoError(t, err)
	assert.Equal(t, "{}", string(text))
	assert.Empty(t, maps.Collect(v.Contexts().All()))

	ensured[*crdt.PNCounter](t, &v).Add(idA, 5)
	copied := v.Clone()
	delta, err := v.Reset()
	require.NoError(t, err)
	assert.True(t, v.Empty() && v.Spent())
	_, ok := e.At()
	assert.False(t, ok)
	copied.Merge(delta)
	assert.True(t, copied.Spent())
	assert.Equal(t, encodedValue(t, &v), encodedValue(t, copied))
}

func TestExpiryAsText(t *testing.T) {
	for _, c := range []struct {
		e    *crdt.Expiry
		want string
	}{
		{nil, `null`},
		{new(crdt.Expiry), `null`},
		{new(crdt.Expiry).Set(time.UnixMilli(1_700_000_000_007), stampOf(1, idA)), `"2023-11-14T22:13:20.007Z"`},
		{new(crdt.Expiry).Set(time.Time{}, stampOf(1, idA)), `"0001-01-01T00:00:00Z"`},
		{new(crdt.Expiry).Set(time.UnixMilli(math.MaxInt64), stampOf(1, idA)), `"9999-12-31T23:59:59.999Z"`},
		{new(crdt.Expiry).Set(time.UnixMilli(1), stampOf(1, idA)).Reset(), `null`},
	} {
		text, err := c.e.MarshalJSON()
		assert.NoError(t, err)
		assert.Equal(t, c.want, string(text))
	}
}

func TestExpiryDecoder(t *testing.T) {
	var e crdt.Expiry
	e.Set(time.UnixMilli(7), stampOf(1, idA))
	decode, a := e.UnmarshalBinary, id(idA)
	refused(t, decode, "deadline out of range", raw(0x96, 18, 1, 1, 0, a, 0xcf, 0x00, 0x00, 0xe6, 0x77, 0xd2, 0x1f, 0xdc, 0x00))
	refused(t, decode, "deadline out of range", raw(0x96, 18, 1, 1, 0, a, 0xd3, 0xff, 0xff, 0xc7, 0x7c, 0xed, 0xd3, 0x27, 0xff))
	refused(t, decode, "integer out of range", raw(0x96, 18, 1, 1, 0, a, 0xcf, 0x80, make([]byte, 7)))
	refused(t, decode, "expected an integer", raw(0x96, 18, 1, 1, 0, a, 0xa1, 'x'))
	refused(t, decode, "wrong number of fields", raw(0x93, 18, 1, 0))
	refused(t, decode, "format version 0", raw(0x92, 18, 0))
	assert.ErrorAs(t, decode(raw(0x92, 5, 1)), new(*crdt.MismatchError))
	assert.ErrorIs(t, decode(raw(0x92, 18, 2)), crdt.ErrVersion)
	claimsCostNothing(t, 18, decode)
	at, _ := e.At()
	assert.Equal(t, time.UnixMilli(7).UTC(), at, "refused bytes change nothing")
}

func TestExpiryNil(t *testing.T) {
	var none *crdt.Expiry
	_, ok := none.At()
	assert.False(t, ok)
	assert.True(t, none.Empty() && none.Latest().IsZero())
	assert.Equal(t, crdt.Explanation{}, none.Explain())
	assert.False(t, new(crdt.Expiry).Merge(none))
	assert.Equal(t, encoded(t, new(crdt.Expiry)), encoded(t, none))
	v, err := crdt.Wrap(crdt.Standard(), none)
	require.NoError(t, err)
	assert.True(t, v.Spent())
}

func FuzzDecodeExpiry(f *testing.F) {
	var e crdt.Expiry
	seed(f, &e, e.Set(time.UnixMilli(1_700_000_000_000), stampOf(1<<60, idA)), e.Reset(), e.Set(time.Time{}, stampOf(-1, idB)))
	f.Fuzz(func(t *testing.T, b []byte) { roundTrip[crdt.Expiry](t, b) })
}

func ExampleExpiry() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	var a, b crdt.Expiry
	b.Merge(a.Set(noon, vclock.Timestamp{Wall: 1, Replica: paris}))
	reset := a.Reset()
	prolonged := b.Set(noon.Add(time.Hour), vclock.Timestamp{Wall: 2, Replica: tokyo}) // at the same time
	a.Merge(prolonged)
	b.Merge(reset)
	fmt.Println(a.At())
	fmt.Println(b.At())
	// Output:
	// 2030-01-01 13:00:00 +0000 UTC true
	// 2030-01-01 13:00:00 +0000 UTC true
}
