package crdt_test

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// decoders are all decoders of the package.
func decoders() map[string]func(b []byte) error {
	return map[string]func(b []byte) error{
		"GCounter":    new(crdt.GCounter).UnmarshalBinary,
		"PNCounter":   new(crdt.PNCounter).UnmarshalBinary,
		"GSet":        new(crdt.GSet[string]).UnmarshalBinary,
		"GSetInt":     new(crdt.GSet[int16]).UnmarshalBinary,
		"ORSet":       new(crdt.ORSet[string]).UnmarshalBinary,
		"ORSetArray":  new(crdt.ORSet[[16]byte]).UnmarshalBinary,
		"LWWRegister": new(crdt.LWWRegister[string]).UnmarshalBinary,
		"MVRegister":  new(crdt.MVRegister[float64]).UnmarshalBinary,

		"MaxRegister":    new(crdt.MaxRegister[string]).UnmarshalBinary,
		"MinRegister":    new(crdt.MinRegister[int64]).UnmarshalBinary,
		"TwoPhaseSet":    new(crdt.TwoPhaseSet[string]).UnmarshalBinary,
		"RWSet":          new(crdt.RWSet[string]).UnmarshalBinary,
		"LWWSet":         new(crdt.LWWSet[string]).UnmarshalBinary,
		"EWFlag":         new(crdt.EWFlag).UnmarshalBinary,
		"DWFlag":         new(crdt.DWFlag).UnmarshalBinary,
		"LWWMap":         new(crdt.LWWMap[string, []byte]).UnmarshalBinary,
		"Log":            new(crdt.Log[string]).UnmarshalBinary,
		"BoundedCounter": new(crdt.BoundedCounter).UnmarshalBinary,
		"ORMap":          new(crdt.ORMap[string]).UnmarshalBinary,
		"Expiry":         new(crdt.Expiry).UnmarshalBinary,
		"Contexts":       new(crdt.Contexts).UnmarshalBinary,

		"Value": func(b []byte) error {
			_, err := crdt.Standard().Decode(b)
			return err
		},
	}
}

// roundTrip decodes b and demands, if that works, that the same bytes come back and that merging works.
func roundTrip[S any, P interface {
	*S
	crdt.State[P]
}](t *testing.T, b []byte) {
	s := P(new(S))
	if err := s.UnmarshalBinary(b); err != nil {
		expected(t, err)
		return
	}
	again, err := s.AppendBinary(nil)
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%x came back as %x, %v", b, again, err)
	}
	empty, _ := P(new(S)).AppendBinary(nil)
	if s.Clone().Merge(s) || P(new(S)).Merge(s) == bytes.Equal(b, empty) {
		t.Fatalf("%x merges badly", b)
	}
}

// expected fails the test if err is not of a documented type.
func expected(t *testing.T, err error) {
	t.Helper()
	_, isCorrupt := errors.AsType[*crdt.CorruptError](err)
	_, isMismatch := errors.AsType[*crdt.MismatchError](err)
	_, isUnknown := errors.AsType[*crdt.UnknownKindError](err)
	if !isCorrupt && !isMismatch && !isUnknown && !errors.Is(err, crdt.ErrVersion) {
		t.Fatalf("undocumented error %T: %v", err, err)
	}
}

func seed(f *testing.F, states ...encoding.BinaryAppender) {
	for _, s := range states {
		b, err := s.AppendBinary(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
}

func FuzzDecodeGCounter(f *testing.F) {
	var c crdt.GCounter
	seed(f, &c, c.Add(idA, 300), c.Add(idB, 1<<40), &c, c.Reset(), &c)
	f.Fuzz(func(t *testing.T, b []byte) { roundTrip[crdt.GCounter](t, b) })
}

func FuzzDecodePNCounter(f *testing.F) {
	var c crdt.PNCounter
	seed(f, &c, c.Add(idA, 300), c.Add(idB, -7), &c, c.Reset(), &c)
	f.Fuzz(func(t *testing.T, b []byte) { roundTrip[crdt.PNCounter](t, b) })
}

func FuzzDecodeGSet(f *testing.F) {
	var s crdt.GSet[string]
	var n crdt.GSet[int16]
	seed(f, &s, s.Add("a", "b", "\xff"), n.Add(-300, 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[crdt.GSet[string]](t, b)
		roundTrip[crdt.GSet[int16]](t, b)
	})
}

func FuzzDecodeORSet(f *testing.F) {
	var s crdt.ORSet[string]
	var n crdt.ORSet[[4]byte]
	seed(f, &s, s.Add(idA, "a", "b", "\xff"), s.Add(idB, "a"), &s, s.Remove("b"), &s, n.Add(idA, [4]byte{1}))
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[crdt.ORSet[string]](t, b)
		roundTrip[crdt.ORSet[[4]byte]](t, b)
	})
}

func FuzzDecodeLWWRegister(f *testing.F) {
	var s crdt.LWWRegister[string]
	var n crdt.LWWRegister[float32]
	ts := vclock.Timestamp{Wall: 1 << 60, Logical: 3, Replica: idA}
	seed(f, &s, s.Set(ts, "value"), s.Reset(), n.Set(ts, -0.5))
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[crdt.LWWRegister[string]](t, b)
		roundTrip[crdt.LWWRegister[float32]](t, b)
	})
}

func FuzzDecodeMVRegister(f *testing.F) {
	var s crdt.MVRegister[string]
	var n crdt.MVRegister[bool]
	seed(f, &s, s.Set(idA, "x"), s.Put(idB, nil, "y"), &s, s.Reset(), &s, n.Set(idA, true))
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[crdt.MVRegister[string]](t, b)
		roundTrip[crdt.MVRegister[bool]](t, b)
	})
}

func FuzzDecodeValue(f *testing.F) {
	kinds := crdt.Standard()
	var v crdt.Value
	c, _ := crdt.Ensure[*crdt.PNCounter](kinds, &v)
	c.Add(idA, 3)
	seed(f, &v)
	s, _ := crdt.Ensure[*crdt.ORSet[string]](kinds, &v)
	s.Add(idB, "x")
	seed(f, &v)
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := kinds.Decode(b)
		if err != nil {
			expected(t, err)
			return
		}
		again, err := v.AppendBinary(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x came back as %x, %v", b, again, err)
		}
	})
}

// FuzzSpecification looks for what the types take and WIRE.md does not, or the other way round, or not as the same value.
func FuzzSpecification(f *testing.F) {
	types := slices.Sorted(maps.Keys(goldenTypes))
	for _, v := range goldenStates(f) {
		b, _ := hex.DecodeString(v.hex)
		f.Add(uint8(slices.Index(types, v.typ)), b)
	}
	f.Fuzz(func(t *testing.T, typ uint8, b []byte) { agree(t, types[int(typ)%len(types)], b) })
}
