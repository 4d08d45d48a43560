package crdt_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func TestDecodeErrors(t *testing.T) {
	var s crdt.ORSet[string]
	s.Add(idA, "x")
	b := encoded(t, &s)

	var mismatch *crdt.MismatchError
	require.ErrorAs(t, new(crdt.GCounter).UnmarshalBinary(b), &mismatch)
	assert.Equal(t, crdt.MismatchError{Kind: "gcounter", Tag: 4}, *mismatch)

	newer := append([]byte{}, b...)
	newer[2]++
	var version *crdt.VersionError
	err := s.UnmarshalBinary(newer)
	assert.ErrorIs(t, err, crdt.ErrVersion)
	require.ErrorAs(t, err, &version)
	assert.EqualValues(t, 2, version.Version)

	var corrupt *crdt.CorruptError
	require.ErrorAs(t, s.UnmarshalBinary(b[:len(b)-1]), &corrupt)
	assert.Equal(t, "orset", corrupt.Kind)
	require.ErrorAs(t, s.UnmarshalBinary(nil), &corrupt)
	assert.True(t, s.Has("x"), "refused bytes change nothing")

	v, err := crdt.Wrap(crdt.Standard(), &s)
	require.NoError(t, err)
	whole := encodedValue(t, v)
	whole[len(whole)-1] = 9 // the sequence number of the dot, which is then outside of the context
	_, err = crdt.Standard().Decode(whole)
	require.ErrorAs(t, err, &corrupt)
	assert.Equal(t, crdt.CorruptError{Kind: "orset", Offset: len(whole), Reason: "dot outside of the context"}, *corrupt)
}

func TestKindsTable(t *testing.T) {
	ints := crdt.NewKind[crdt.ORSet[int]](64, "ints")
	_, err := crdt.Standard().With(ints)
	assert.NoError(t, err)
	for _, bad := range [][]crdt.Kind{
		{ints, ints},
		{ints, crdt.NewKind[crdt.ORSet[int]](65, "the type again")},
		{ints, crdt.NewKind[crdt.GSet[int]](64, "the tag again")},
		{crdt.NewKind[crdt.GSet[int]](0, "no tag")},
		{crdt.NewKind[crdt.GSet[int]](63, "reserved")},
		{crdt.NewKind[crdt.GSet[int]](3, "the tag of a set of strings")},
		{crdt.NewKind[crdt.GSet[string]](4, "the tag of another set")},
		{{}},
	} {
		_, err := crdt.NewKinds(bad...)
		assert.Error(t, err)
	}
	_, err = crdt.NewKinds(crdt.NewKind[crdt.GCounter](1, "a part of Standard"))
	assert.NoError(t, err)
	var v crdt.Value
	var unknown *crdt.UnknownKindError
	_, err = crdt.Ensure[*crdt.ORSet[int]](crdt.Standard(), &v)
	assert.ErrorAs(t, err, &unknown)
	_, err = crdt.Wrap(crdt.Standard(), new(crdt.ORSet[int]))
	assert.ErrorAs(t, err, &unknown)
	_, ok := crdt.Component[*crdt.ORSet[int]](crdt.Standard(), &v)
	assert.False(t, ok)
	assert.Equal(t, "ints", ints.String())
	assert.EqualValues(t, 64, ints.Tag())
}

func TestValueResets(t *testing.T) {
	kinds := crdt.Standard()
	var v crdt.Value
	counter, _ := crdt.Ensure[*crdt.PNCounter](kinds, &v)
	assert.Empty(t, encodedValue(t, &v), "an empty state takes no bytes")
	counter.Add(idA, 5)
	register, _ := crdt.Ensure[*crdt.LWWRegister[string]](kinds, &v)
	ts := vclock.Timestamp{Wall: 7, Replica: idA}
	register.Set(ts, "x")
	assert.Equal(t, ts, v.Latest())
	before := v.Clone()

	delta, err := v.Reset()
	require.NoError(t, err)
	assert.True(t, v.Empty())
	assert.True(t, before.Merge(delta))
	assert.Equal(t, encodedValue(t, &v), encodedValue(t, before))
	text, err := json.Marshal(&v)
	require.NoError(t, err)
	assert.Equal(t, `{}`, string(text))

	counter.Add(idA, 1)
	grown, _ := crdt.Ensure[*crdt.GSet[string]](kinds, &v)
	_, err = v.Reset()
	assert.NoError(t, err, "an empty set that only grows is no obstacle")
	grown.Add("x")
	counter.Add(idA, 1)
	_, err = v.Reset()
	assert.ErrorIs(t, err, crdt.ErrGrowOnly)
	assert.EqualValues(t, 1, counter.Value(), "all or nothing")
}

// plain is a kind that has nothing beyond State: no novelty, no reset, no word on whether it is empty.
type plain struct{ c crdt.GCounter }

func (p *plain) Merge(o *plain) bool                   { return p.c.Merge(&o.c) }
func (p *plain) Clone() *plain                         { return &plain{*p.c.Clone()} }
func (p *plain) AppendBinary(b []byte) ([]byte, error) { return p.c.AppendBinary(b) }
func (p *plain) UnmarshalBinary(b []byte) error        { return p.c.UnmarshalBinary(b) }

func TestAKindThatIsOnlyAState(t *testing.T) {
	kinds, err := crdt.NewKinds(crdt.NewKind[plain](64, "plain"))
	require.NoError(t, err)
	var v, w crdt.Value
	p, err := crdt.Ensure[*plain](kinds, &v)
	require.NoError(t, err)
	assert.True(t, v.Empty())
	_, err = v.Reset()
	assert.NoError(t, err)
	p.c.Add(idA, 2)
	assert.False(t, v.Empty())
	_, err = v.Reset()
	assert.ErrorIs(t, err, crdt.ErrGrowOnly)
	novel, changed := w.MergeNovel(&v)
	assert.True(t, changed)
	assert.Equal(t, encodedValue(t, &v), encodedValue(t, novel))
	_, changed = w.MergeNovel(&v)
	assert.False(t, changed)
}

func TestWrapNil(t *testing.T) {
	var none *crdt.PNCounter
	v, err := crdt.Wrap(crdt.Standard(), none)
	require.NoError(t, err)
	assert.Empty(t, encodedValue(t, v))
}

func TestJoinWithNothing(t *testing.T) {
	kinds := crdt.Standard()
	v, _ := crdt.Wrap(kinds, new(crdt.PNCounter).Add(idA, 1))
	b := encodedValue(t, v)
	for _, pair := range [][2][]byte{{b, nil}, {nil, b}, {b, b}} {
		joined, err := kinds.Join(pair[0], pair[1])
		require.NoError(t, err)
		assert.Equal(t, b, joined)
	}
	_, err := kinds.Join(nil, []byte{0x90})
	assert.Error(t, err)
	joined, err := kinds.Join(nil, nil)
	assert.NoError(t, err)
	assert.Empty(t, joined)
}
