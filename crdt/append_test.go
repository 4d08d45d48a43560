package crdt_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// specifiedValue is the wire form of a value by the specification.
func specifiedValue(states ...some) (b []byte) {
	n := 0
	for _, s := range states {
		if bytes.Equal(s.bytes, s.bottom) {
			continue
		}
		n++
		b = append(append(b, byte(s.tag)), binaryOf(s.bytes)...) // all tags are below 128
	}
	switch {
	case n == 0:
		return nil
	case n < 8:
		return append([]byte{0x90 | byte(2*n)}, b...)
	}
	return append(binary.BigEndian.AppendUint16([]byte{0xdc}, uint16(2*n)), b...)
}

// A state that is appended alone is written as a value that holds it, as the specification has it, after what is there
// already, whether or not there is room.
func TestAppendIsAValueOfOneState(t *testing.T) {
	kinds := everyKind(t)
	forEveryState(t, func(t *rapid.T, s some) {
		want := specifiedValue(s)
		v, err := s.wrap(kinds)
		require.NoError(t, err)
		wrapped, err := v.AppendBinary([]byte("before"))
		require.NoError(t, err)
		for _, room := range []int{0, 8, 1000} {
			got, err := s.appendTo(kinds, append(make([]byte, 0, room), "before"...))
			if err != nil || string(got) != "before"+string(want) || string(got) != string(wrapped) {
				t.Fatalf("kind %d: %x, %v\nwrapped %x\n   want %x", s.tag, got, err, wrapped, want)
			}
		}
	})
}

// A value is its states in order, also if there are more than an array's short head can count, or long ones.
func TestValuesAreWrittenAsSpecified(t *testing.T) {
	kinds := everyKind(t)
	types := everyType()
	rapid.Check(t, func(t *rapid.T) {
		var v crdt.Value
		var all []some
		for _, draw := range types {
			if rapid.Bool().Draw(t, "holds") {
				s := rapid.SampledFrom(draw(t)).Draw(t, "state")
				require.NoError(t, s.putInto(kinds, &v))
				all = append(all, s)
			}
		}
		all = sortedByTag(all)
		got, err := v.AppendBinary([]byte("before"))
		require.NoError(t, err)
		if want := "before" + string(specifiedValue(all...)); string(got) != want {
			t.Fatalf("%x\nwant %x", got, want)
		}
		back, err := kinds.Decode(got[len("before"):])
		require.NoError(t, err)
		again, err := back.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, string(got[len("before"):]), string(again))
	})
}

func sortedByTag(all []some) (sorted []some) {
	for tag := range uint64(80) {
		for _, s := range all {
			if s.tag == tag {
				sorted = append(sorted, s)
			}
		}
	}
	return sorted
}

// Long states move to where their head ends.
func TestLongStatesInAValue(t *testing.T) {
	for _, n := range []int{200, 236, 237, 238, 239, 240, 241, 242, 256, 65_500, 65_517, 65_518, 65_519, 65_520, 65_536, 70_000} {
		r := new(crdt.LWWRegister[string]).Set(stampOf(1, idA), strings.Repeat("x", n))
		state := encoded(t, r)
		want := append([]byte{0x92, 5}, longBinary(state)...)
		got, err := crdt.Standard().Append(nil, r)
		require.NoError(t, err)
		require.True(t, bytes.Equal(want, got), "%d bytes", len(state))
		back, err := crdt.Standard().Decode(got)
		require.NoError(t, err)
		require.True(t, bytes.Equal(got, encodedValue(t, back)))
	}
}

func longBinary(b []byte) []byte {
	if len(b) < 1<<16 {
		return binaryOf(b)
	}
	return append(binary.BigEndian.AppendUint32([]byte{0xc6}, uint32(len(b))), b...)
}

func TestAppendRefuses(t *testing.T) {
	before := []byte("before")
	got, err := crdt.Standard().Append(before, new(composed))
	assert.ErrorAs(t, err, new(*crdt.UnknownKindError))
	assert.Equal(t, before, got)
	kinds, err := crdt.NewKinds(crdt.NewKind[unwell](64, "unwell"))
	require.NoError(t, err)
	got, err = kinds.Append(before, &unwell{ill: true})
	assert.ErrorIs(t, err, errRefused)
	assert.Equal(t, before, got)
	v, err := crdt.Wrap(kinds, &unwell{ill: true})
	require.NoError(t, err)
	got, err = v.AppendBinary(before)
	assert.ErrorIs(t, err, errRefused)
	assert.Equal(t, before, got)
	_, _, err = v.Fingerprint(hashOf)
	assert.ErrorIs(t, err, errRefused)
}

// A table finds the states of its own kinds, by type and tag, in values of whatever table.
func TestComponentsAreThoseOfTheTable(t *testing.T) {
	one, err := crdt.NewKinds(crdt.NewKind[crdt.GSet[string]](64, "words"), crdt.NewKind[crdt.ORSet[int]](66, "ints"))
	require.NoError(t, err)
	same, err := crdt.NewKinds(crdt.NewKind[crdt.GSet[string]](64, "also words"))
	require.NoError(t, err)
	other, err := crdt.NewKinds(crdt.NewKind[crdt.GSet[string]](65, "words"), crdt.NewKind[crdt.ORSet[int]](64, "ints"))
	require.NoError(t, err)
	type words = *crdt.GSet[string]
	var v crdt.Value
	s, err := crdt.Ensure[words](one, &v)
	require.NoError(t, err)
	s.Add("x")
	again, err := crdt.Ensure[words](one, &v)
	require.NoError(t, err)
	assert.Same(t, s, again)
	found, ok := crdt.Component[words](same, &v)
	assert.True(t, ok)
	assert.Same(t, s, found)

	_, ok = crdt.Component[words](other, &v)
	assert.False(t, ok, "its tag is another")
	_, err = crdt.Ensure[*crdt.ORSet[int]](other, &v)
	assert.ErrorAs(t, err, new(*crdt.UnknownKindError), "of its tag is another type")
	_, ok = crdt.Component[*crdt.ORSet[int]](other, &v)
	assert.False(t, ok)
	theirs, err := crdt.Ensure[words](other, &v)
	require.NoError(t, err)
	assert.NotSame(t, s, theirs)
	found, _ = crdt.Component[words](one, &v)
	assert.Same(t, s, found)
}

// Small updates cost one piece of memory, the delta, and writing and comparing them none.
func TestSmallUpdatesAllocateLittle(t *testing.T) {
	kinds := crdt.Standard()
	at := vclock.Timestamp{Wall: 1, Replica: idA}
	var v crdt.Value
	c, up := ensured[*pn](t, &v), ensured[*crdt.GCounter](t, &v)
	var r crdt.LWWRegister[string]
	var on crdt.EWFlag
	var s set
	c.Add(idA, -1)
	c.Add(idA, 1)
	up.Add(idA, 1)
	on.Enable(idA)
	s.Add(idA, "x")
	r.Set(at, "value")
	removed := s.Clone().Remove("x")
	data := encodedValue(t, &v)
	buf := make([]byte, 0, 1000)
	for _, step := range []struct {
		most float64
		what string
		do   func()
	}{
		{1, "GCounter.Add", func() { kept = up.Add(idA, 1) }},
		{1, "PNCounter.Add", func() { kept = c.Add(idA, 1) }},
		{1, "PNCounter.Add, downwards", func() { kept = c.Add(idA, -1) }},
		{1, "LWWRegister.Set", func() { at.Wall++; kept = r.Set(at, "value") }},
		{3, "EWFlag.Enable", func() { kept = on.Enable(idA) }},
		{2, "ORSet.Add", func() { kept = s.Add(idA, "x") }},
		{4, "ORSet.Add and Remove", func() { kept = s.Add(idA, "x"); kept = s.Remove("x") }},
		{0, "Ensure", func() { _, _ = crdt.Ensure[*pn](kinds, &v) }},
		{0, "Component", func() { _, _ = crdt.Component[*pn](kinds, &v) }},
		{0, "IsZero", func() { _, _ = crdt.IsZero(kinds, c) }},
		{0, "Append of a counter", func() { buf, _ = kinds.Append(buf[:0], c) }},
		{0, "Append of a register", func() { buf, _ = kinds.Append(buf[:0], &r) }},
		{1, "Append of a removal", func() { buf, _ = kinds.Append(buf[:0], removed) }},
		{0, "Value.AppendBinary", func() { buf, _ = v.AppendBinary(buf[:0]) }},
		{0, "Exceeds", func() { v.Exceeds(&v, idA) }},
		{0, "Fingerprint", func() { _, _, _ = v.Fingerprint(noHash) }},
		{9, "Decode of two", func() { kept, _ = kinds.Decode(data) }},
	} {
		assert.LessOrEqual(t, testing.AllocsPerRun(200, step.do), step.most, step.what)
	}
}

func ExampleAppend() {
	var likes crdt.PNCounter
	delta := likes.Add(vclock.Named("paris"), 5)
	b, err := crdt.Standard().Append(nil, delta)
	if err != nil {
		panic(err)
	}
	there, err := crdt.Standard().Decode(b)
	if err != nil {
		panic(err)
	}
	counter, _ := crdt.Component[*crdt.PNCounter](crdt.Standard(), there)
	fmt.Println(counter.Value())
	// Output: 5
}
