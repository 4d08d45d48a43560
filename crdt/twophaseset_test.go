package crdt_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
)

type twoPhase = crdt.TwoPhaseSet[string]

func twophasesets() crdttest.Suite[*twoPhase] {
	return crdttest.Suite[*twoPhase]{
		New:   func() *twoPhase { return new(twoPhase) },
		Parts: (*twoPhase).Parts,
		Mutate: func(t *rapid.T, s *twoPhase, _ crdttest.Writer) *twoPhase {
			elems := rapid.SliceOfN(words, 0, 3).Draw(t, "words")
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0:
				return s.Reset()
			case 1, 2, 3:
				return s.Remove(elems...)
			}
			return s.Add(elems...)
		},
	}
}

func TestTwoPhaseSetLaws(t *testing.T)       { crdttest.Laws(t, twophasesets()) }
func TestTwoPhaseSetDeltaSince(t *testing.T) { checkSince(t, twophasesets(), nil) }

// The life of an element goes from nothing (0) to in (1) to out (2), and never back. An operation that brings it no
// further leaves no trace. A reset takes out what is in where it happens.

func phaseOf(h history, seen events, elem string) (phase int) {
	for e := range seen.All() {
		before := phaseOf(h, h[e].Saw, elem)
		after := 0
		switch {
		case h[e].Op.do == "reset" && before == 1, h[e].Op.do == "remove" && h[e].Op.elem == elem:
			after = 2
		case h[e].Op.do == "add" && h[e].Op.elem == elem:
			after = 1
		}
		if after > before {
			phase = max(phase, after)
		}
	}
	return phase
}

func TestTwoPhaseSetSpecification(t *testing.T) {
	exhaust(t, crdttest.Oracle[*twoPhase, op]{
		New: func() *twoPhase { return new(twoPhase) },
		Ops: []op{{do: "add", elem: "x"}, {do: "add", elem: "y"}, {do: "remove", elem: "x"}, {do: "reset"}},
		Apply: func(s *twoPhase, o op, _ crdttest.Writer) *twoPhase {
			switch o.do {
			case "add":
				return s.Add(o.elem)
			case "remove":
				return s.Remove(o.elem)
			}
			return s.Reset()
		},
		Got: func(s *twoPhase) string { return strings.Join(slices.Sorted(s.All()), " ") },
		Want: func(h history, seen events) string {
			var elems []string
			for _, elem := range []string{"x", "y"} {
				if phaseOf(h, seen, elem) == 1 {
					elems = append(elems, elem)
				}
			}
			return strings.Join(elems, " ")
		},
	})
}

func TestTwoPhaseSetRemovalIsFinal(t *testing.T) {
	var s, other twoPhase
	assert.Equal(t, 2, s.Add("x", "y", "x").Len())
	assert.True(t, s.Remove("x", "z").Empty())
	assert.True(t, s.Removed("x") && s.Removed("z") && !s.Removed("y") && !s.Has("x"))
	assert.True(t, s.Add("x", "z").Empty())
	assert.Equal(t, encoded(t, new(twoPhase)), encoded(t, s.Remove("x")), "nothing new")
	other.Add("x", "z", "late")
	s.Merge(&other)
	assert.Equal(t, []string{"late", "y"}, slices.Sorted(s.All()))
	assert.Equal(t, 2, s.Len())
	assert.Equal(t, crdt.Explanation{Present: true}, s.Explain("y"))
	assert.Equal(t, crdt.Explanation{}, s.Explain("x"))
	s.Reset()
	assert.True(t, s.Empty() && s.Removed("late"))
	assert.True(t, s.Add("late").Empty())
	assert.Equal(t, 1, s.Add("new").Len())
	for range s.All() {
		break
	}
	text, err := s.MarshalJSON()
	assert.NoError(t, err)
	assert.Equal(t, `["new"]`, string(text))
}

func TestTwoPhaseSetNil(t *testing.T) {
	var s *twoPhase
	assert.True(t, s.Empty() && !s.Has("x") && !s.Removed("x") && !s.Explain("x").Present)
	assert.False(t, new(twoPhase).Merge(s))
	assert.Equal(t, encoded(t, new(twoPhase)), encoded(t, s.Delta(s.Context())))
	assert.Equal(t, encoded(t, new(twoPhase)), encoded(t, s))
	text, err := s.MarshalJSON()
	assert.NoError(t, err)
	assert.Equal(t, "[]", string(text))
}

func TestTwoPhaseSetOfTypesThatCannotBeEncoded(t *testing.T) {
	var s crdt.TwoPhaseSet[point]
	var refusal *crdt.TypeError
	s.Add(point{1, 2})
	assert.True(t, s.Has(point{1, 2}), "works in memory")
	_, err := s.AppendBinary(nil)
	require.ErrorAs(t, err, &refusal)
	_, err = s.MarshalJSON()
	require.ErrorAs(t, err, &refusal)
	require.ErrorAs(t, s.UnmarshalBinary(nil), &refusal)
}

func TestMergingTwoPhaseSetsAllocatesNothingWithoutNews(t *testing.T) {
	var s twoPhase
	s.Add(elems("e", 100)...)
	s.Remove(elems("e", 50)...)
	same := s.Clone()
	assert.Zero(t, testing.AllocsPerRun(10, func() { s.Merge(same) }))
}

func TestTwoPhaseSetDecoder(t *testing.T) {
	decode := new(twoPhase).UnmarshalBinary
	refused(t, decode, "elements out of order", raw(0x94, 9, 1, 0x92, 0xa1, 'b', 0xa1, 'a', 0x90))
	refused(t, decode, "elements out of order", raw(0x94, 9, 1, 0x90, 0x92, 0xa1, 'a', 0xa1, 'a'))
	refused(t, decode, "element both in and out", raw(0x94, 9, 1, 0x91, 0xa1, 'a', 0x91, 0xa1, 'a'))
	refused(t, decode, "wrong number of fields", raw(0x93, 9, 1, 0x90))
	claimsCostNothing(t, 9, decode)
}

func FuzzDecodeTwoPhaseSet(f *testing.F) {
	var s twoPhase
	var n crdt.TwoPhaseSet[int16]
	seed(f, &s, s.Add("a", "b", "\xff"), s.Remove("b", "c"), &s, n.Add(-300, 5), n.Reset())
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[twoPhase](t, b)
		roundTrip[crdt.TwoPhaseSet[int16]](t, b)
	})
}

func ExampleTwoPhaseSet() {
	var keys, copied crdt.TwoPhaseSet[string]
	copied.Merge(keys.Add("key-1", "key-2"))
	revoked := copied.Remove("key-1", "key-3") // key-3 has not arrived
	keys.Add("key-1", "key-3")
	keys.Merge(revoked)
	fmt.Println(keys.Has("key-1"), keys.Has("key-2"), keys.Has("key-3"))
	// Output: false true false
}
