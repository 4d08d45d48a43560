package crdt_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
)

var words = rapid.SampledFrom([]string{"", "a", "b", "fig", "\xff", "long enough for a head of two bytes"})

func gcounters() crdttest.Suite[*crdt.GCounter] {
	return crdttest.Suite[*crdt.GCounter]{
		New:   func() *crdt.GCounter { return new(crdt.GCounter) },
		Parts: (*crdt.GCounter).Parts,
		Mutate: func(t *rapid.T, c *crdt.GCounter, by crdttest.Writer) *crdt.GCounter {
			if rapid.IntRange(0, 3).Draw(t, "reset") == 0 {
				return c.Reset()
			}
			return c.Add(by.Replica, rapid.OneOf(rapid.Uint64Range(0, 9), rapid.Uint64()).Draw(t, "n"))
		},
	}
}

func pncounters() crdttest.Suite[*crdt.PNCounter] {
	return crdttest.Suite[*crdt.PNCounter]{
		New:   func() *crdt.PNCounter { return new(crdt.PNCounter) },
		Parts: (*crdt.PNCounter).Parts,
		Mutate: func(t *rapid.T, c *crdt.PNCounter, by crdttest.Writer) *crdt.PNCounter {
			if rapid.IntRange(0, 3).Draw(t, "reset") == 0 {
				return c.Reset()
			}
			return c.Add(by.Replica, rapid.OneOf(rapid.Int64Range(-9, 9), rapid.Int64()).Draw(t, "n"))
		},
	}
}

func gsets() crdttest.Suite[*crdt.GSet[string]] {
	return crdttest.Suite[*crdt.GSet[string]]{
		New:   func() *crdt.GSet[string] { return new(crdt.GSet[string]) },
		Parts: (*crdt.GSet[string]).Parts,
		Mutate: func(t *rapid.T, s *crdt.GSet[string], _ crdttest.Writer) *crdt.GSet[string] {
			return s.Add(rapid.SliceOfN(words, 0, 3).Draw(t, "words")...)
		},
	}
}

func orsets() crdttest.Suite[*crdt.ORSet[string]] {
	return crdttest.Suite[*crdt.ORSet[string]]{
		New:   func() *crdt.ORSet[string] { return new(crdt.ORSet[string]) },
		Parts: (*crdt.ORSet[string]).Parts,
		Mutate: func(t *rapid.T, s *crdt.ORSet[string], by crdttest.Writer) *crdt.ORSet[string] {
			defer s.CheckInvariants()
			elems := rapid.SliceOfN(words, 0, 3).Draw(t, "words")
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0:
				return s.Reset()
			case 1, 2, 3:
				return s.Remove(elems...)
			}
			return s.Add(by.Replica, elems...)
		},
	}
}

func lwwregisters() crdttest.Suite[*crdt.LWWRegister[string]] {
	return crdttest.Suite[*crdt.LWWRegister[string]]{
		New:   func() *crdt.LWWRegister[string] { return new(crdt.LWWRegister[string]) },
		Parts: (*crdt.LWWRegister[string]).Parts,
		Mutate: func(t *rapid.T, r *crdt.LWWRegister[string], by crdttest.Writer) *crdt.LWWRegister[string] {
			if rapid.IntRange(0, 3).Draw(t, "reset") == 0 {
				return r.Reset()
			}
			return r.Set(by.Stamp, words.Draw(t, "word"))
		},
	}
}

func mvregisters() crdttest.Suite[*crdt.MVRegister[string]] {
	return crdttest.Suite[*crdt.MVRegister[string]]{
		New:   func() *crdt.MVRegister[string] { return new(crdt.MVRegister[string]) },
		Parts: (*crdt.MVRegister[string]).Parts,
		Mutate: func(t *rapid.T, r *crdt.MVRegister[string], by crdttest.Writer) *crdt.MVRegister[string] {
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0:
				return r.Reset()
			case 1:
				return r.Put(by.Replica, nil, words.Draw(t, "word"))
			case 2:
				return r.Put(by.Replica, r.Context(), words.Draw(t, "word"))
			}
			return r.Set(by.Replica, words.Draw(t, "word"))
		},
	}
}

// A reset may be news where the additions before and after it are not.
func TestGCounterNoveltyIsMinimal(t *testing.T) {
	var a, b crdt.GCounter
	a.Add(idA, 5)
	a.Reset()
	b.Merge(a.Add(idA, 3))
	novel, changed := b.MergeNovel(&a)
	assert.True(t, changed)
	assert.EqualValues(t, 3, b.Value())
	var reset crdt.GCounter
	reset.Add(idA, 5)
	reset.Reset()
	assert.Equal(t, encoded(t, &reset), encoded(t, novel))
}

func TestGCounterLaws(t *testing.T)    { crdttest.Laws(t, gcounters()) }
func TestPNCounterLaws(t *testing.T)   { crdttest.Laws(t, pncounters()) }
func TestGSetLaws(t *testing.T)        { crdttest.Laws(t, gsets()) }
func TestORSetLaws(t *testing.T)       { crdttest.Laws(t, orsets()) }
func TestLWWRegisterLaws(t *testing.T) { crdttest.Laws(t, lwwregisters()) }
func TestMVRegisterLaws(t *testing.T)  { crdttest.Laws(t, mvregisters()) }

// anyValue makes a Value obey the laws: its UnmarshalBinary is the Decode of a table.
type anyValue struct{ crdt.Value }

func (v *anyValue) Merge(o *anyValue) bool { return v.Value.Merge(&o.Value) }
func (v *anyValue) Clone() *anyValue       { return &anyValue{*v.Value.Clone()} }
func (v *anyValue) MergeNovel(o *anyValue) (*anyValue, bool) {
	novel, changed := v.Value.MergeNovel(&o.Value)
	return &anyValue{*novel}, changed
}
func (v *anyValue) UnmarshalBinary(b []byte) error {
	decoded, err := crdt.Standard().Decode(b)
	if err == nil {
		v.Value = *decoded
	}
	return err
}

// mutateIn applies a mutation of one kind to the value.
func mutateIn[P crdt.State[P]](t *rapid.T, v *anyValue, by crdttest.Writer, s crdttest.Suite[P]) *anyValue {
	state, err := crdt.Ensure[P](crdt.Standard(), &v.Value)
	if err != nil {
		t.Fatal(err)
	}
	delta, err := crdt.Wrap(crdt.Standard(), s.Mutate(t, state, by))
	if err != nil {
		t.Fatal(err)
	}
	return &anyValue{*delta}
}

func TestValueLaws(t *testing.T) {
	crdttest.Laws(t, crdttest.Suite[*anyValue]{
		New: func() *anyValue { return new(anyValue) },
		Mutate: func(t *rapid.T, v *anyValue, by crdttest.Writer) *anyValue {
			switch rapid.IntRange(0, 6).Draw(t, "kind") {
			case 0:
				return mutateIn(t, v, by, gcounters())
			case 1:
				return mutateIn(t, v, by, pncounters())
			case 2:
				return mutateIn(t, v, by, gsets())
			case 3:
				return mutateIn(t, v, by, orsets())
			case 4:
				return mutateIn(t, v, by, lwwregisters())
			case 5:
				return mutateIn(t, v, by, mvregisters())
			}
			delta, _ := v.Reset()
			return &anyValue{*delta}
		},
	})
}
