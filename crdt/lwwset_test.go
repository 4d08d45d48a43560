package crdt_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

type timed = crdt.LWWSet[string]

func lwwsets() crdttest.Suite[*timed] {
	return crdttest.Suite[*timed]{
		New:   func() *timed { return new(timed) },
		Parts: (*timed).Parts,
		Mutate: func(t *rapid.T, s *timed, by crdttest.Writer) *timed {
			defer s.CheckInvariants()
			elems := rapid.SliceOfN(words, 0, 3).Draw(t, "words")
			ts := by.Stamp
			if rapid.IntRange(0, 3).Draw(t, "same time") == 0 {
				ts = vclock.Timestamp{Wall: 2} // the same of all writers
			}
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0:
				return s.Reset()
			case 1, 2, 3:
				return s.Remove(ts, elems...)
			}
			return s.Add(ts, elems...)
		},
	}
}

func TestLWWSetLaws(t *testing.T)       { crdttest.Laws(t, lwwsets()) }
func TestLWWSetDeltaSince(t *testing.T) { checkSince(t, lwwsets(), nil) }

// An element is as its last write says, and of writes with one timestamp a removal is the last. A write counts at
// its own time, or right after the last one of the element that it saw if that is later; a reset removes what is in
// where it happens, at the time of the addition.

type lastWrite struct {
	at      vclock.Timestamp
	removal bool
	known   bool
}

func lastOf(h history, seen events, elem string) (last lastWrite) {
	for e := range seen.All() {
		w := writeOf(h, e, elem)
		c := w.at.Compare(last.at)
		if w.known && (!last.known || c > 0 || c == 0 && w.removal) {
			last = w
		}
	}
	return last
}

func writeOf(h history, e int, elem string) lastWrite {
	before := lastOf(h, h[e].Saw, elem)
	switch {
	case h[e].Op.do == "reset":
		return lastWrite{before.at, true, before.known && !before.removal}
	case h[e].Op.elem != elem:
		return lastWrite{}
	}
	at := lwwStamp(h[e].Op, h[e].By)
	if before.known && at.Compare(before.at) <= 0 {
		at = vclock.Timestamp{Wall: before.at.Wall, Logical: before.at.Logical + 1, Replica: at.Replica}
	}
	return lastWrite{at, h[e].Op.do == "remove", true}
}

// lwwStamp is the time of a write: that of its writer, or one that all writers have in common.
func lwwStamp(o op, by crdttest.Writer) vclock.Timestamp {
	if o.n > 0 {
		return vclock.Timestamp{Wall: o.n}
	}
	return by.Stamp
}

func TestLWWSetSpecification(t *testing.T) {
	exhaust(t, crdttest.Oracle[*timed, op]{
		New: func() *timed { return new(timed) },
		Ops: []op{
			{do: "add", elem: "x"}, {do: "remove", elem: "x"}, {do: "add", elem: "y"}, {do: "reset"},
			{do: "add", elem: "x", n: 2}, {do: "remove", elem: "x", n: 2},
		},
		Apply: func(s *timed, o op, by crdttest.Writer) *timed {
			switch o.do {
			case "add":
				return s.Add(lwwStamp(o, by), o.elem)
			case "remove":
				return s.Remove(lwwStamp(o, by), o.elem)
			}
			return s.Reset()
		},
		Got: func(s *timed) string { return strings.Join(slices.Sorted(s.All()), " ") },
		Want: func(h history, seen events) string {
			var elems []string
			for _, elem := range []string{"x", "y"} {
				if last := lastOf(h, seen, elem); last.known && !last.removal {
					elems = append(elems, elem)
				}
			}
			return strings.Join(elems, " ")
		},
	})
}

func TestTrap10_LWWSetLastWriteWinsInATotalOrder(t *testing.T) {
	ts := vclock.Timestamp{Wall: 100, Replica: idA}
	for _, first := range []bool{true, false} {
		var added, removed timed
		added.Add(ts, "x")
		removed.Remove(ts, "x")
		if first {
			added.Merge(&removed)
			assert.False(t, added.Has("x"), "of equal timestamps the removal")
		} else {
			removed.Merge(&added)
			assert.False(t, removed.Has("x"))
		}
	}

	var far, late timed
	far.Remove(vclock.Timestamp{Wall: 1 << 60, Replica: idB}, "x", "y")
	late.Merge(&far)
	late.Add(ts, "x", "z")
	assert.True(t, late.Has("x"), "a write wins over what it saw")
	assert.Equal(t, vclock.Timestamp{Wall: 1 << 60, Logical: 1, Replica: idA}, late.Explain("x").ForAt)
	assert.Equal(t, ts, late.Explain("z").ForAt, "each element has a time of its own")
	assert.Equal(t, late.Explain("x").ForAt, late.Latest())
	far.Merge(&late)
	assert.Equal(t, []string{"x", "z"}, slices.Sorted(far.All()))
	far.Remove(ts, "x")
	assert.False(t, far.Has("x"))

	end := vclock.Timestamp{Wall: math.MaxInt64, Logical: math.MaxUint32, Replica: idC}
	var last timed
	last.Add(end, "x")
	delta := last.Remove(ts, "x")
	assert.Equal(t, encoded(t, new(timed)), encoded(t, delta), "there is no later time")
	assert.True(t, last.Has("x"))
}

func TestLWWSetReset(t *testing.T) {
	var s, other timed
	other.Merge(s.Add(vclock.Timestamp{Wall: 5, Replica: idA}, "x", "y"))
	other.Add(vclock.Timestamp{Wall: 6, Replica: idB}, "y")
	s.Merge(s.Remove(vclock.Timestamp{Wall: 9, Replica: idA}, "z"))
	reset := s.Reset()
	s.CheckInvariants()
	assert.True(t, s.Empty())
	assert.Equal(t, crdt.Explanation{AgainstAt: vclock.Timestamp{Wall: 5, Replica: idA}}, s.Explain("x"))
	assert.Equal(t, crdt.Explanation{}, reset.Explain("z"), "it was out already")
	other.Merge(reset)
	assert.Equal(t, []string{"y"}, slices.Sorted(other.All()), "added again, unseen by the reset")
	assert.Equal(t, encoded(t, new(timed)), encoded(t, s.Reset()))
}

// The replicas whose writes have all been written over are not spoken of any more.
func TestTrap11_LWWSetEqualStatesEqualBytes(t *testing.T) {
	var s, plain timed
	s.Add(vclock.Timestamp{Wall: 1, Replica: idC}, "x")
	s.Add(vclock.Timestamp{Wall: 2, Replica: idA}, "x")
	s.Add(vclock.Timestamp{Wall: 3, Replica: idB}, "y")
	plain.Add(vclock.Timestamp{Wall: 3, Replica: idB}, "y")
	plain.Add(vclock.Timestamp{Wall: 2, Replica: idA}, "x")
	assert.Equal(t, encoded(t, &plain), encoded(t, &s))
}

func TestLWWSetWithManyElements(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var all timed
	var deltas []*timed
	model := make(map[string]bool)
	for i := range 3000 {
		ts := vclock.Timestamp{Wall: int64(i), Replica: vclock.Named(fmt.Sprint("r", rnd.IntN(40)))}
		elem := fmt.Sprint(rnd.IntN(900))
		model[elem] = rnd.IntN(3) > 0
		if model[elem] {
			deltas = append(deltas, all.Add(ts, elem))
		} else {
			deltas = append(deltas, all.Remove(ts, elem))
		}
	}
	all.CheckInvariants()
	for elem, has := range model {
		require.Equal(t, has, all.Has(elem))
	}
	var reader, back timed
	for _, i := range rnd.Perm(len(deltas)) {
		reader.Merge(deltas[i])
	}
	reader.CheckInvariants()
	require.Equal(t, encoded(t, &all), encoded(t, &reader))
	require.NoError(t, back.UnmarshalBinary(encoded(t, &all)))
	back.CheckInvariants()
	same := all.Clone()
	assert.Zero(t, testing.AllocsPerRun(10, func() { all.Merge(same) }))
}

func TestLWWSetNil(t *testing.T) {
	var s *timed
	assert.True(t, s.Empty() && !s.Has("x") && s.Latest().IsZero())
	assert.Equal(t, crdt.Explanation{}, s.Explain("x"))
	assert.False(t, new(timed).Merge(s))
	assert.Equal(t, encoded(t, new(timed)), encoded(t, s.Delta(s.Context())))
	assert.Equal(t, encoded(t, new(timed)), encoded(t, s))
	text, err := s.MarshalJSON()
	assert.NoError(t, err)
	assert.Equal(t, "[]", string(text))
}

func TestLWWSetOfTypesThatCannotBeEncoded(t *testing.T) {
	var s crdt.LWWSet[point]
	var refusal *crdt.TypeError
	s.Add(vclock.Timestamp{}, point{1, 2})
	assert.True(t, s.Has(point{1, 2}), "works in memory")
	for range s.All() {
		break
	}
	_, err := s.AppendBinary(nil)
	require.ErrorAs(t, err, &refusal)
	_, err = s.MarshalJSON()
	require.ErrorAs(t, err, &refusal)
	require.ErrorAs(t, s.UnmarshalBinary(nil), &refusal)
}

func TestLWWSetDecoder(t *testing.T) {
	decode, a, b := new(timed).UnmarshalBinary, id(idA), id(idB)
	const no, yes = 0xc2, 0xc3
	refused(t, decode, "replicas out of order", raw(0x94, 11, 1, 0x92, b, a, 0x90))
	refused(t, decode, "replicas out of order", raw(0x94, 11, 1, 0x92, a, a, 0x90))
	refused(t, decode, "replica identity must have 16 bytes", raw(0x94, 11, 1, 0x91, 0xc4, 1, 7, 0x90))
	refused(t, decode, "replica without a write", raw(0x94, 11, 1, 0x92, a, b, 0x95, 0xa1, 'x', 1, 0, 1, no))
	refused(t, decode, "no such replica", raw(0x94, 11, 1, 0x91, a, 0x95, 0xa1, 'x', 1, 0, 1, no))
	refused(t, decode, "integer out of range", raw(0x94, 11, 1, 0x91, a, 0x95, 0xa1, 'x', 1, 0xcf, 0, 0, 0, 1, 0, 0, 0, 0, 0, no))
	refused(t, decode, "incomplete record", raw(0x94, 11, 1, 0x91, a, 0x94, 0xa1, 'x', 1, 0, 0))
	refused(t, decode, "elements out of order", raw(0x94, 11, 1, 0x91, a, 0x9a, 0xa1, 'y', 1, 0, 0, no, 0xa1, 'x', 1, 0, 0, yes))
	refused(t, decode, "elements out of order", raw(0x94, 11, 1, 0x91, a, 0x9a, 0xa1, 'x', 1, 0, 0, no, 0xa1, 'x', 1, 0, 0, yes))
	refused(t, decode, "wrong number of fields", raw(0x93, 11, 1, 0x90))
	assert.NoError(t, decode(raw(0x94, 11, 1, 0x91, id(vclock.ReplicaID{}), 0x95, 0xa1, 'x', 1, 0, 0, yes)))
	claimsCostNothing(t, 11, decode)
}

func FuzzDecodeLWWSet(f *testing.F) {
	var s timed
	var n crdt.LWWSet[int16]
	ts := vclock.Timestamp{Wall: 1 << 60, Logical: 3, Replica: idA}
	seed(f, &s, s.Add(ts, "a", "b", "\xff"), s.Remove(vclock.Timestamp{Wall: -1}, "c"), &s, n.Add(ts, -300, 5), n.Reset())
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[timed](t, b)
		roundTrip[crdt.LWWSet[int16]](t, b)
	})
}

func ExampleLWWSet() {
	paris := vclock.HLC{Replica: vclock.Named("paris")}
	tokyo := vclock.HLC{Replica: vclock.Named("tokyo")}
	var a, b crdt.LWWSet[string]
	b.Merge(a.Add(paris.Stamp(), "bread", "milk"))
	removed := b.Remove(tokyo.Stamp(), "milk")
	added := a.Add(paris.Stamp(), "milk") // later by the clock
	a.Merge(removed)
	b.Merge(added)
	fmt.Println(a.Has("milk"), b.Has("milk"))
	// Output: true true
}
