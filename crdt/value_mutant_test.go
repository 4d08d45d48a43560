package crdt_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// Two tables may have different types under one tag. Values of both do not belong together: nothing is merged.
func TestValuesOfDifferentTablesDoNotMerge(t *testing.T) {
	words, err := crdt.NewKinds(crdt.NewKind[crdt.GSet[string]](64, "words"))
	require.NoError(t, err)
	numbers, err := crdt.NewKinds(crdt.NewKind[crdt.GSet[int]](64, "numbers"))
	require.NoError(t, err)
	v, err := crdt.Wrap(words, new(crdt.GSet[string]).Add("x"))
	require.NoError(t, err)
	w, err := crdt.Wrap(numbers, new(crdt.GSet[int]).Add(7))
	require.NoError(t, err)
	before := encodedValue(t, v)
	require.False(t, v.Merge(w))
	novel, changed := v.MergeNovel(w)
	require.False(t, changed)
	require.Empty(t, encodedValue(t, novel))
	require.Equal(t, before, encodedValue(t, v))
}

func TestContextsYieldsEachKind(t *testing.T) {
	var v crdt.Value
	c, err := crdt.Ensure[*crdt.GCounter](crdt.Standard(), &v)
	require.NoError(t, err)
	c.Add(idA, 2)
	f, err := crdt.Ensure[*crdt.EWFlag](crdt.Standard(), &v)
	require.NoError(t, err)
	f.Enable(idB)
	seen := make(map[uint64]string)
	for tag, context := range v.Contexts().All() {
		seen[tag] = context.String()
	}
	require.Equal(t, map[uint64]string{1: "{a:1-2}", 12: "{b:1}"}, seen)
	for range v.Contexts().All() {
		break
	}
}

func TestFlagResetIsADelta(t *testing.T) {
	var f crdt.EWFlag
	f.Enable(idA)
	o := f.Clone()
	o.Merge(f.Reset())
	require.False(t, o.Value() || f.Value())
}

// hasher counts what it hashes.
type hasher struct{ calls int }

func (h *hasher) hash(part []byte) (hi, lo uint64) {
	h.calls++
	sum := sha256.Sum256(part)
	return binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])
}

// of is the sum of the hashes, for comparison.
func (h *hasher) of(parts ...string) [2]uint64 {
	var hi, lo, carry uint64
	for _, p := range parts {
		x, y := h.hash([]byte(p))
		lo, carry = bits.Add64(lo, y, 0)
		hi += x + carry
	}
	return [2]uint64{hi, lo}
}

func (h *hasher) fingerprint(t *testing.T, v *crdt.Value) [2]uint64 {
	t.Helper()
	hi, lo, err := v.Fingerprint(h.hash)
	require.NoError(t, err)
	return [2]uint64{hi, lo}
}

// tagged is a part as it is hashed, behind the version of parts.
func tagged(tag uint64, part []byte) string {
	return "\x01" + string(binary.BigEndian.AppendUint64(nil, tag)) + string(part)
}

// A component of no parts is one: its encoding. One of parts is their sum.
func TestFingerprintIsTheSumOfTheParts(t *testing.T) {
	var h hasher
	var v crdt.Value
	require.Zero(t, h.fingerprint(t, &v))
	c, err := crdt.Ensure[*crdt.GCounter](crdt.Standard(), &v)
	require.NoError(t, err)
	require.Zero(t, h.fingerprint(t, &v), "nothing in it")
	c.Add(idA, 2)
	s, err := crdt.Ensure[*crdt.GSet[string]](crdt.Standard(), &v)
	require.NoError(t, err)
	s.Add("x", "y", "z")

	want := []string{tagged(1, encoded(t, c))}
	err = s.Decompose(func(part []byte, n int) {
		require.Equal(t, 1, n)
		want = append(want, tagged(3, part))
	})
	require.NoError(t, err)
	require.Len(t, want, 4)
	require.Equal(t, h.of(want...), h.fingerprint(t, &v))
}

// A component of many parts is hashed once; then only what changes is.
func TestFingerprintOfManyPartsIsKept(t *testing.T) {
	for n, kept := range map[int]bool{63: false, 64: true, 65: true} {
		var h hasher
		var v crdt.Value
		s, err := crdt.Ensure[*crdt.TwoPhaseSet[string]](crdt.Standard(), &v)
		require.NoError(t, err)
		for i := range n {
			s.Add(fmt.Sprint(i))
		}
		first := h.fingerprint(t, &v)
		require.Equal(t, n, h.calls)
		require.Equal(t, first, h.fingerprint(t, &v))
		if !kept {
			require.Equal(t, 2*n, h.calls)
			continue
		}
		require.Equal(t, n, h.calls)
		s.Remove("7")
		require.NotEqual(t, first, h.fingerprint(t, &v))
		require.Equal(t, n+2, h.calls, "one part went, one came")
		require.Equal(t, h.fingerprint(t, v.Clone()), h.fingerprint(t, &v))
	}
}

// picky cannot always be encoded; it has no parts.
type picky struct{ crdt.GCounter }

func (p *picky) Merge(o *picky) bool { return p.GCounter.Merge(&o.GCounter) }
func (p *picky) Clone() *picky       { return &picky{*p.GCounter.Clone()} }
func (p *picky) AppendBinary(b []byte) ([]byte, error) {
	if n := p.Value(); n > 0 {
		b, _ = new(crdt.GCounter).AppendBinary(b)
		return append(b, make([]byte, n-1)...), errors.New("too much")
	}
	return p.GCounter.AppendBinary(b)
}

func TestFingerprintOfWhatCannotBeEncoded(t *testing.T) {
	kinds, err := crdt.NewKinds(crdt.NewKind[picky](64, "picky"))
	require.NoError(t, err)
	var v crdt.Value
	p, err := crdt.Ensure[*picky](kinds, &v)
	require.NoError(t, err)
	var h hasher
	require.Zero(t, h.fingerprint(t, &v))
	for range 2 { // as far as it was written it is like an empty one, and then longer
		p.Add(idA, 1)
		_, _, err = v.Fingerprint(h.hash)
		require.ErrorContains(t, err, "too much")
		require.Zero(t, h.calls, "half an encoding")
	}
}

// moody has n parts. While it is away it tells its tracker of no change.
type moody struct {
	n    int
	away bool
	by   *crdt.Tracker[*moody]
}

func (m *moody) Merge(o *moody) bool {
	changed := o.n > m.n
	m.n = max(m.n, o.n)
	return changed
}

func (m *moody) Clone() *moody { return &moody{n: m.n} }
func (m *moody) AppendBinary(b []byte) ([]byte, error) {
	return binary.AppendUvarint(b, uint64(m.n)), nil
}
func (m *moody) UnmarshalBinary([]byte) error            { return errors.New("not needed") }
func (m *moody) Track(by *crdt.Tracker[*moody])          { m.by = by }
func (m *moody) TrackedBy(by *crdt.Tracker[*moody]) bool { return m.by == by && !m.away }
func (m *moody) Decompose(report func(part []byte, n int)) error {
	for i := range m.n {
		report([]byte(fmt.Sprint(i)), 1)
	}
	return nil
}

// A sum that missed a change is not taken up again, though the state says then that it tells of changes once more.
func TestFingerprintForgetsWhoWasNotTold(t *testing.T) {
	kinds, err := crdt.NewKinds(crdt.NewKind[moody](64, "moody"))
	require.NoError(t, err)
	m := &moody{n: 100}
	v, err := crdt.Wrap(kinds, m)
	require.NoError(t, err)
	var h hasher
	h.fingerprint(t, v)
	require.NotNil(t, m.by)
	m.away, m.n = true, 3
	few := h.fingerprint(t, v)
	m.away = false
	require.Equal(t, few, h.fingerprint(t, v))
}

// A type without Empty is not empty while it cannot be encoded, whatever it wrote so far.
func TestWhatCannotBeEncodedIsNotEmpty(t *testing.T) {
	kinds, err := crdt.NewKinds(crdt.NewKind[mute](64, "mute"))
	require.NoError(t, err)
	var v crdt.Value
	m, err := crdt.Ensure[*mute](kinds, &v)
	require.NoError(t, err)
	require.True(t, v.Empty())
	m.p.Add(idA, 1)
	require.False(t, v.Empty())
}

// mute is picky without a word on whether it is empty, and without contexts.
type mute struct{ p picky }

func (m *mute) Merge(o *mute) bool                    { return m.p.Merge(&o.p) }
func (m *mute) Clone() *mute                          { return &mute{*m.p.Clone()} }
func (m *mute) AppendBinary(b []byte) ([]byte, error) { return m.p.AppendBinary(b) }
func (m *mute) UnmarshalBinary(b []byte) error        { return m.p.UnmarshalBinary(b) }

func TestContextsLeaveOutTypesWithoutThem(t *testing.T) {
	kinds, err := crdt.NewKinds(crdt.NewKind[mute](64, "mute"))
	require.NoError(t, err)
	v, err := crdt.Wrap(kinds, &mute{picky{*new(crdt.GCounter).Add(idA, 2)}})
	require.NoError(t, err)
	for range v.Contexts().All() {
		t.Fatal("a context of a type that has none")
	}
	seen, ok := crdt.Component[*mute](kinds, v.Delta(v.Contexts()))
	require.True(t, ok)
	require.Equal(t, uint64(2), seen.p.Value())
	changed, err := v.Handover(new(crdt.Value), vclock.Named("estate"), idA)
	require.NoError(t, err)
	require.False(t, changed)
}

// A table knows only states of its own types, also where another type has the tag.
func TestStatesOfAnotherTableAreNotFound(t *testing.T) {
	words, err := crdt.NewKinds(crdt.NewKind[crdt.GSet[string]](64, "words"))
	require.NoError(t, err)
	numbers, err := crdt.NewKinds(crdt.NewKind[crdt.GSet[int]](64, "numbers"))
	require.NoError(t, err)
	v, err := crdt.Wrap(words, new(crdt.GSet[string]).Add("x"))
	require.NoError(t, err)
	s, ok := crdt.Component[*crdt.GSet[int]](numbers, v)
	require.False(t, ok)
	require.Nil(t, s)
	_, err = crdt.Ensure[*crdt.GSet[int]](numbers, v)
	require.ErrorAs(t, err, new(*crdt.UnknownKindError))
	_, ok = crdt.Component[*crdt.GSet[int]](words, v)
	require.False(t, ok, "the table has no such type")
	_, ok = crdt.Component[*crdt.GSet[string]](words, new(crdt.Value))
	require.False(t, ok, "the value has no such state")
}

func TestWrappedNilIsAnEmptyValue(t *testing.T) {
	v, err := crdt.Wrap[*crdt.GCounter](crdt.Standard(), nil)
	require.NoError(t, err)
	require.NotNil(t, v)
	_, ok := crdt.Component[*crdt.GCounter](crdt.Standard(), v)
	require.False(t, ok)
}

// A state that brings nothing does not become part of a value, and is not told of as new.
func TestAnEmptyStateBringsNothing(t *testing.T) {
	empty, err := crdt.Wrap(crdt.Standard(), new(crdt.GCounter))
	require.NoError(t, err)
	var v, w crdt.Value
	require.False(t, v.Merge(empty))
	_, changed := w.MergeNovel(empty)
	require.False(t, changed)
	for _, v := range []*crdt.Value{&v, &w} {
		_, ok := crdt.Component[*crdt.GCounter](crdt.Standard(), v)
		require.False(t, ok)
	}
}

func TestLatestOfAValueIsThatOfAnyState(t *testing.T) {
	late, early := vclock.Timestamp{Wall: 9, Replica: idA}, vclock.Timestamp{Wall: 1, Replica: idA}
	var v crdt.Value
	r, err := crdt.Ensure[*crdt.LWWRegister[string]](crdt.Standard(), &v)
	require.NoError(t, err)
	r.Set(late, "x")
	l, err := crdt.Ensure[*crdt.Log[string]](crdt.Standard(), &v)
	require.NoError(t, err)
	l.Append(early, "x")
	require.Equal(t, late, v.Latest())
}

// What is not even a tag is corrupt, and not of a kind that is unknown.
func TestAValueWithoutATagIsCorrupt(t *testing.T) {
	_, err := crdt.Standard().Decode([]byte{0x92, 0xa1, 'a', 0xc4, 1, 0})
	require.ErrorAs(t, err, new(*crdt.CorruptError))
}

// A value changed if one of its states did, whichever.
func TestValueMergeTellsOfAnyState(t *testing.T) {
	fill := func(first, last uint64) *crdt.Value {
		v := new(crdt.Value)
		c, err := crdt.Ensure[*crdt.GCounter](crdt.Standard(), v)
		require.NoError(t, err)
		c.Add(idA, first)
		p, err := crdt.Ensure[*pn](crdt.Standard(), v)
		require.NoError(t, err)
		p.Add(idA, int64(last))
		return v
	}
	require.True(t, fill(1, 1).Merge(fill(2, 1)))
	require.True(t, fill(1, 1).Merge(fill(1, 2)))
	require.False(t, fill(2, 2).Merge(fill(1, 1)))
}
