package crdt_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

var fingerprintSeed = maphash.MakeSeed()

func hashOf(part []byte) (hi, lo uint64) {
	lo = maphash.Bytes(fingerprintSeed, part)
	return maphash.Bytes(fingerprintSeed, binary.BigEndian.AppendUint64(nil, lo)), lo
}

// fingerprint must be that of a clone, which nobody has kept anything of.
func fingerprint(t *testing.T, v *crdt.Value) [2]uint64 {
	t.Helper()
	hi, lo, err := v.Fingerprint(hashOf)
	require.NoError(t, err)
	again, _, err := v.Clone().Fingerprint(hashOf)
	require.NoError(t, err)
	require.Equal(t, again, hi, "what was kept is not what is there")
	return [2]uint64{hi, lo}
}

// fragile is an element whose encoding may be refused, or panic.
type fragile string

func (f fragile) MarshalBinary() ([]byte, error) {
	switch f {
	case "refused":
		return nil, errors.New("refused")
	case "panics":
		panic("mine")
	}
	return []byte(f), nil
}

func (f *fragile) UnmarshalBinary(b []byte) error {
	*f = fragile(b)
	return nil
}

func fragileKinds(t *testing.T) *crdt.Kinds {
	kinds, err := crdt.NewKinds(
		crdt.NewKind[crdt.GSet[fragile]](101, "gset"), crdt.NewKind[crdt.ORSet[fragile]](102, "orset"),
		crdt.NewKind[crdt.RWSet[fragile]](103, "rwset"), crdt.NewKind[crdt.LWWSet[fragile]](104, "lwwset"),
		crdt.NewKind[crdt.TwoPhaseSet[fragile]](105, "twophaseset"), crdt.NewKind[crdt.Log[fragile]](106, "log"),
		crdt.NewKind[crdt.LWWMap[string, fragile]](107, "lwwmap"), crdt.NewKind[crdt.LWWMap[fragile, string]](108, "keys"),
		crdt.NewKind[crdt.ORMap[fragile]](109, "ormap"), crdt.NewKind[composed](110, "composed"),
	)
	require.NoError(t, err)
	return kinds
}

// An element that refuses to be encoded, or panics, leaves no change half way, and no fingerprint that is wrong.
func TestFingerprintsOfElementsThatRefuse(t *testing.T) {
	at := func(n int) vclock.Timestamp { return stampOf(int64(n), idA) }
	refusesToEncode(t, func(s *crdt.GSet[fragile], e fragile, _ int) { s.Add(e) }, nil)
	refusesToEncode(t, func(s *crdt.ORSet[fragile], e fragile, _ int) { s.Add(idA, e) },
		func(s *crdt.ORSet[fragile], e fragile, _ int) { s.Remove(e) })
	refusesToEncode(t, func(s *crdt.RWSet[fragile], e fragile, _ int) { s.Add(idA, e) }, nil)
	refusesToEncode(t, func(s *crdt.LWWSet[fragile], e fragile, n int) { s.Add(at(n), e) }, nil)
	refusesToEncode(t, func(s *crdt.TwoPhaseSet[fragile], e fragile, _ int) { s.Add(e) }, nil)
	refusesToEncode(t, func(s *crdt.Log[fragile], e fragile, n int) { s.Append(at(n), e) }, nil)
	refusesToEncode(t, func(s *crdt.LWWMap[string, fragile], e fragile, n int) { s.Set(at(n), string(e), e) },
		func(s *crdt.LWWMap[string, fragile], e fragile, n int) { s.Set(at(n), string(e), "fine") })
	refusesToEncode(t, func(s *crdt.LWWMap[fragile, string], e fragile, n int) { s.Set(at(n), e, "") }, nil)
	refusesToEncode(t, func(s *crdt.ORMap[fragile], e fragile, _ int) { s.Counter(e).Add(idA, 1) },
		func(s *crdt.ORMap[fragile], e fragile, _ int) { s.Remove(e) })
}

func refusesToEncode[P crdt.State[P]](t *testing.T, write, mend func(s P, e fragile, n int)) {
	t.Helper()
	for _, bad := range []fragile{"refused", "panics"} {
		name := fmt.Sprintf("%T %s", *new(P), bad)
		var v crdt.Value
		s, err := crdt.Ensure[P](fragileKinds(t), &v)
		require.NoError(t, err)
		for i := range 200 {
			write(s, fragile(fmt.Sprint("e", i)), i+1)
		}
		before := fingerprint(t, &v)
		require.NotPanics(t, func() { write(s, bad, 1000) }, name)
		write(s, "next", 1001)
		_, _, err = v.Fingerprint(hashOf)
		var unfit *crdt.TypeError
		require.ErrorAs(t, err, &unfit, name)
		if mend == nil {
			continue
		}
		mend(s, bad, 1002)
		assert.NotEqual(t, before, fingerprint(t, &v), name)
	}
}

// The number of an event that brought an element which cannot be encoded is not given out again.
func TestTrap13_AnElementThatPanicsTakesItsNumber(t *testing.T) {
	var v crdt.Value
	s, err := crdt.Ensure[*crdt.ORSet[fragile]](fragileKinds(t), &v)
	require.NoError(t, err)
	for i := range 100 {
		s.Add(idA, fragile(fmt.Sprint(i)))
	}
	fingerprint(t, &v)
	s.Add(idA, "panics")
	s.Add(idA, "next")
	require.True(t, s.Has("panics") && s.Has("next"))
	require.EqualValues(t, 102, s.Context().Count())
}

// composed is a type of its own that embeds one that tells its parts.
type composed struct {
	crdt.ORSet[string]
	Title crdt.LWWRegister[string]
}

func (c *composed) Merge(o *composed) bool {
	changed := c.ORSet.Merge(&o.ORSet)
	return c.Title.Merge(&o.Title) || changed
}

func (c *composed) Clone() *composed { return &composed{*c.ORSet.Clone(), *c.Title.Clone()} }

func (c *composed) AppendBinary(b []byte) ([]byte, error) {
	b, err := c.ORSet.AppendBinary(b)
	if err != nil {
		return b, err
	}
	return c.Title.AppendBinary(b)
}

func (c *composed) UnmarshalBinary([]byte) error { return errors.New("not needed") }

// The parts of what a type embeds are not those of the type.
func TestFingerprintOfATypeThatEmbedsOne(t *testing.T) {
	var v crdt.Value
	c, err := crdt.Ensure[*composed](fragileKinds(t), &v)
	require.NoError(t, err)
	c.Add(idA, elems("e", 100)...)
	before := fingerprint(t, &v)
	c.Title.Set(stampOf(1, idA), "new")
	require.NotEqual(t, before, fingerprint(t, &v))
}

// Whatever is done to a state behind the value's back, the fingerprint is that of the state.
func TestFingerprintOfAStateThatOthersTouch(t *testing.T) {
	kinds := crdt.Standard()
	s := new(crdt.GSet[string])
	s.Add(elems("e", 100)...)
	v, err := crdt.Wrap(kinds, s)
	require.NoError(t, err)
	w, err := crdt.Wrap(kinds, s)
	require.NoError(t, err)
	check := func(what string) {
		t.Helper()
		require.Equal(t, fingerprint(t, v), fingerprint(t, w), what)
	}
	check("both hold one state")
	s.Add("new")
	check("it changes")
	s.Track(nil)
	s.Add("newer")
	check("its tracking is ended")
	other := s.Clone()
	other.Add("another")
	*s = *other
	check("it is replaced")
	require.NoError(t, s.UnmarshalBinary(encoded(t, new(crdt.GSet[string]))))
	check("it is decoded anew")
	require.Equal(t, [2]uint64{}, fingerprint(t, v))
}

// A component is followed for what it tells of, also if most of that are gaps in its context.
func TestTrap41_GapsAreFollowedToo(t *testing.T) {
	var v crdt.Value
	s, err := crdt.Ensure[*set](crdt.Standard(), &v)
	require.NoError(t, err)
	var writer set
	for i := range 10_000 {
		writer.Add(idA, elems("e", 10)[i%10])
		if removal := writer.Remove(elems("e", 10)[i%10]); i%2 == 0 {
			s.Merge(removal)
		}
	}
	hashes := 0
	count := func(part []byte) (hi, lo uint64) {
		hashes++
		return hashOf(part)
	}
	for range 3 {
		s.Add(idB, "x")
		hashes = 0
		_, _, err = v.Fingerprint(count)
		require.NoError(t, err)
	}
	require.LessOrEqual(t, hashes, 8)
}
