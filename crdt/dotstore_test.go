package crdt_test

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

// A set that grows and shrinks by much stays in order, moves its dots together, and gives its memory back.
func TestORSetGivesMemoryBack(t *testing.T) {
	all := elems("element", 50_000)
	var s, other set
	other.Merge(s.Add(idA, all...))
	large := retained(func() any { return s.Clone() })
	for i := 0; i < len(all); i += 1000 {
		other.Merge(s.Remove(all[i : i+990]...))
		other.Merge(s.Add(idB, all[i+990])) // again
	}
	s.CheckInvariants()
	other.CheckInvariants()
	assert.Equal(t, 500, s.Len())
	assert.Equal(t, encoded(t, &s), encoded(t, &other))
	assert.Less(t, retained(func() any { return s.Clone() }), large/20)
	for _, e := range sorted(&s) {
		other.Merge(s.Remove(e))
	}
	s.CheckInvariants()
	other.CheckInvariants()
	assert.True(t, s.Empty() && other.Empty())
}

// Sequence numbers may be of any size: here they pass 2^32 and reach the last one.
func TestORSetWithHighSequenceNumbers(t *testing.T) {
	for _, last := range []uint64{math.MaxUint32 - 5, math.MaxUint64 - 20} {
		start := new(set)
		require.NoError(t, start.UnmarshalBinary(claiming(idA, last)))
		s := start.Clone()
		deltas := []*set{s.Add(idA, elems("x", 12)...)}
		for i := range 12 {
			deltas = append(deltas, s.Add(idA, "y"+strconv.Itoa(i)))
		}
		s.CheckInvariants()
		other := start.Clone()
		for _, i := range rand.New(rand.NewPCG(3, 4)).Perm(len(deltas)) {
			other.Merge(deltas[i])
			other.CheckInvariants()
		}
		assert.Equal(t, encoded(t, s), encoded(t, other))
		var back set
		require.NoError(t, back.UnmarshalBinary(encoded(t, s)))
		back.CheckInvariants()
		assert.Equal(t, sorted(s), sorted(&back))
		back.Merge(s.Reset())
		assert.True(t, back.Empty())
	}
}

// claiming is the encoding of a set that has seen the first so many events of r and has no elements.
func claiming(r vclock.ReplicaID, n uint64) []byte {
	most := []byte{0xcf, 0, 0, 0, 0, 0, 0, 0, 0}
	if n-1 <= math.MaxUint32 {
		most = []byte{0xce, 0, 0, 0, 0}
	}
	for i := len(most) - 1; i > 0; i-- {
		most[i] = byte((n - 1) >> (8 * (len(most) - 1 - i)))
	}
	return raw(0x94, 4, 1, 0x91, 0x93, id(r), 0, most, 0x90)
}

// Elements are written in the order of their bytes, whatever they have in common.
func TestORSetSortsAnyText(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	for _, shared := range []string{"", "shared start of all elements/"} {
		for _, alphabet := range []string{"\x00a", "ab", "\xff\x00é"} {
			var s, back set
			for range 3000 {
				var b strings.Builder
				b.WriteString(shared)
				for range rnd.IntN(25) {
					b.WriteByte(alphabet[rnd.IntN(len(alphabet))])
				}
				s.Add(idA, b.String())
			}
			require.NoError(t, back.UnmarshalBinary(encoded(t, &s))) // refuses any other order
			back.CheckInvariants()
			assert.Equal(t, sorted(&s), sorted(&back))
		}
	}
}

// Elements that differ from themselves are kept, and go with a reset.
func TestORSetOfNaN(t *testing.T) {
	var s crdt.ORSet[float64]
	for range 20 {
		s.Add(idA, math.NaN(), 1)
	}
	assert.False(t, s.Has(math.NaN()))
	assert.True(t, s.Has(1))
	assert.Equal(t, 21, s.Len())
	var other crdt.ORSet[float64]
	other.Merge(&s)
	other.Merge(s.Reset())
	assert.True(t, other.Empty())
}

// Adding costs its delta: the set itself, and the span of its context.
func TestORSetAddAllocatesItsDelta(t *testing.T) {
	var s set
	s.Add(idA, elems("e", 1000)...)
	assert.LessOrEqual(t, testing.AllocsPerRun(1000, func() { s.Add(idA, "e1") }), 3.0)
}

// The index keeps finding what is in while elements come and go, also where groups of it are full.
func TestORSetIndexUnderChange(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	var s crdt.ORSet[int]
	model := make(map[int]bool)
	for i := range 40_000 {
		e := rnd.IntN(1 + 400*(1+i/8000))
		if rnd.IntN(2) == 0 {
			s.Remove(e)
			delete(model, e)
		} else {
			s.Add(idA, e)
			model[e] = true
		}
		if i%1000 == 0 {
			s.CheckInvariants()
		}
		if probe := rnd.IntN(2000); s.Has(probe) != model[probe] {
			t.Fatalf("%d: %v", probe, model[probe])
		}
	}
	assert.Equal(t, len(model), s.Len())
}
