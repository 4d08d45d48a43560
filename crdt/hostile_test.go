package crdt_test

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// Nobody but r numbers events of r, so a context that claims more of them is wrong,
// and believing it would use up the numbers or kill writes to come.
func TestPutDoesNotBelieveClaimsAboutItsOwnReplica(t *testing.T) {
	var m crdt.MVRegister[string]
	m.Set(idA, "first")
	forged := new(vclock.Context)
	forged.AddSpan(vclock.Span{Replica: idA, Lo: 1, Hi: math.MaxUint64})
	delta := m.Put(idA, forged, "second")
	assert.Equal(t, []string{"second"}, m.Values())
	assert.EqualValues(t, 2, delta.Context().Max(idA))
	m.Put(idA, nil, "third")
	assert.Len(t, m.Values(), 2, "the register can still be written")
}

// A replica that hears of its own element again must know it for its own.
func TestElementsComeBackEqualOrAreRefused(t *testing.T) {
	var s crdt.ORSet[time.Time]
	s.Add(idA, time.Now())
	_, err := s.AppendBinary(nil)
	var typeErr *crdt.TypeError
	require.ErrorAs(t, err, &typeErr)

	var g crdt.GSet[time.Time]
	g.Add(time.Now())
	_, err = g.AppendBinary(nil)
	require.ErrorAs(t, err, &typeErr)

	at := time.Unix(1_700_000_000, 0).UTC()
	var ok, back crdt.GSet[time.Time]
	ok.Add(at)
	require.NoError(t, back.UnmarshalBinary(encoded(t, &ok)))
	assert.False(t, ok.Merge(&back))
}

// fraction is equal to itself unless it is no number.
type fraction struct{ f float64 }

func (x fraction) MarshalBinary() ([]byte, error) {
	return binary.BigEndian.AppendUint64(nil, math.Float64bits(x.f)), nil
}

func (x *fraction) UnmarshalBinary(b []byte) error {
	if len(b) != 8 {
		return errors.New("not a fraction")
	}
	x.f = math.Float64frombits(binary.BigEndian.Uint64(b))
	return nil
}

// What cannot be written is not read either: it would be in the state for good, which could not be passed on.
func TestElementsThatDoNotComeBackEqualAreNotRead(t *testing.T) {
	var corrupt *crdt.CorruptError
	nan, err := fraction{math.NaN()}.MarshalBinary()
	require.NoError(t, err)
	var bits crdt.ORSet[[8]byte]
	bits.Add(idA, [8]byte(nan))
	require.ErrorAs(t, new(crdt.ORSet[fraction]).UnmarshalBinary(encoded(t, &bits)), &corrupt)
	half, err := fraction{0.5}.MarshalBinary()
	require.NoError(t, err)
	bits.Remove([8]byte(nan))
	bits.Add(idA, [8]byte(half))
	require.NoError(t, new(crdt.ORSet[fraction]).UnmarshalBinary(encoded(t, &bits)))

	when, err := time.Unix(0, 0).In(time.FixedZone("", 90*60)).MarshalBinary()
	require.NoError(t, err)
	var moments crdt.GSet[[15]byte]
	moments.Add([15]byte(when))
	require.ErrorAs(t, new(crdt.GSet[time.Time]).UnmarshalBinary(encoded(t, &moments)), &corrupt)
}

func TestALaterVersionMayUseMoreOfMsgpack(t *testing.T) {
	var s crdt.ORSet[string]
	for _, b := range [][]byte{
		{0x94, 4, 2, 0x80, 0x90}, // an empty map
		{0x93, 4, 2, 0xca, 0, 0, 0, 0},
	} {
		require.ErrorIs(t, s.UnmarshalBinary(b), crdt.ErrVersion)
	}
	var corrupt *crdt.CorruptError
	require.ErrorAs(t, s.UnmarshalBinary([]byte{0x94, 4, 1, 0x80, 0x90}), &corrupt)
}

func TestNoWriteAfterTheEndOfTime(t *testing.T) {
	var r, peer crdt.LWWRegister[string]
	end := vclock.Timestamp{Wall: math.MaxInt64, Logical: math.MaxUint32, Replica: idB}
	r.Set(end, "last")
	delta := r.Set(vclock.Timestamp{Wall: 1, Replica: idA}, "too late")
	v, _ := r.Value()
	assert.Equal(t, "last", v)
	assert.False(t, peer.Merge(delta), "what did not happen here has no delta")
}

func TestClaimedElementsAreNotPaidFor(t *testing.T) {
	b := []byte{0x93, 3, 1, 0xdd, 0, 0x10, 0, 0}
	b = append(b, make([]byte, 1<<20)...) // a million zeros, which are no strings
	var s crdt.GSet[string]
	got := allocated(func() { require.Error(t, s.UnmarshalBinary(b)) })
	assert.Less(t, got, uint64(1<<20))
}

// Sets that are large enough for what small ones do without.
func TestLargeORSetLaws(t *testing.T) {
	suite := orsets()
	suite.Mutate = func(t *rapid.T, s *crdt.ORSet[string], by crdttest.Writer) *crdt.ORSet[string] {
		defer s.CheckInvariants()
		var elems []string
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			elems = append(elems, fmt.Sprint(rapid.IntRange(0, 40).Draw(t, "e")))
		}
		if rapid.IntRange(0, 3).Draw(t, "op") == 0 {
			return s.Remove(elems...)
		}
		return s.Add(by.Replica, elems...)
	}
	crdttest.Laws(t, suite)
}

// lax is written in one way and read in two, and keeps the bytes that it is given.
type lax struct{ b *[]byte }

func (l lax) MarshalBinary() ([]byte, error) {
	if l.b == nil {
		return nil, nil
	}
	return *l.b, nil
}

func (l *lax) UnmarshalBinary(b []byte) error {
	if len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	l.b = &b
	return nil
}

// lwwWith returns an LWWRegister on the wire with this value.
func lwwWith(t *testing.T, value ...byte) []byte {
	var r crdt.LWWRegister[[]byte]
	r.Set(vclock.Timestamp{Wall: 1, Replica: idA}, value)
	return encoded(t, &r)
}

func TestValuesHaveOneForm(t *testing.T) {
	var r crdt.LWWRegister[lax]
	require.NoError(t, r.UnmarshalBinary(lwwWith(t, 'x')))
	var corrupt *crdt.CorruptError
	require.ErrorAs(t, r.UnmarshalBinary(lwwWith(t, ' ', 'x')), &corrupt)

	var a crdt.LWWRegister[[4]byte]
	require.NoError(t, a.UnmarshalBinary(lwwWith(t, 1, 2, 3, 4)))
	require.ErrorAs(t, a.UnmarshalBinary(lwwWith(t, 1, 2, 3, 4, 5)), &corrupt)
	require.ErrorAs(t, a.UnmarshalBinary(lwwWith(t, 1, 2, 3)), &corrupt)
}

func TestDecodingKeepsNothingOfItsInput(t *testing.T) {
	input := lwwWith(t, 'x', 'y')
	var r crdt.LWWRegister[[]byte]
	var l crdt.LWWRegister[lax]
	require.NoError(t, r.UnmarshalBinary(input))
	require.NoError(t, l.UnmarshalBinary(input))
	clear(input)
	v, _ := r.Value()
	assert.Equal(t, "xy", string(v))
	kept, _ := l.Value()
	assert.Equal(t, "xy", string(*kept.b))
}
