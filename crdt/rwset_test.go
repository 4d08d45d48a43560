package crdt_test

import (
	"fmt"
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

type rwset = crdt.RWSet[string]

func rwsets() crdttest.Suite[*rwset] {
	return crdttest.Suite[*rwset]{
		New:   func() *rwset { return new(rwset) },
		Parts: (*rwset).Parts,
		Mutate: func(t *rapid.T, s *rwset, by crdttest.Writer) *rwset {
			s.CheckInvariants()
			defer s.CheckInvariants()
			elems := rapid.SliceOfN(words, 0, 3).Draw(t, "words")
			switch rapid.IntRange(0, 9).Draw(t, "op") {
			case 0:
				return s.Reset()
			case 1, 2, 3, 4:
				return s.Remove(by.Replica, elems...)
			}
			return s.Add(by.Replica, elems...)
		},
	}
}

func TestRWSetLaws(t *testing.T)       { crdttest.Laws(t, rwsets()) }
func TestRWSetDeltaSince(t *testing.T) { checkSince(t, rwsets(), (*rwset).Living) }

// An addition or removal ends all additions and removals of its element that are in force where it happens, and a
// reset those of all elements. An element is in if additions of it are in force, and no removals.

func inForce(h history, seen events) events {
	living := which(seen, func(e int) bool { return h[e].Op.do != "reset" })
	for e := range seen.All() {
		living &^= which(inForce(h, h[e].Saw), func(k int) bool {
			return h[e].Op.do == "reset" || h[e].Op.elem == h[k].Op.elem
		})
	}
	return living
}

func unopposed(h history, seen events) string {
	living := inForce(h, seen)
	return elements(h, which(living, func(e int) bool {
		return h[e].Op.do == "add" && none(writes(h, living, "remove", h[e].Op.elem), nil)
	}))
}

func writes(h history, among events, do, elem string) events {
	return which(among, func(e int) bool { return h[e].Op.do == do && h[e].Op.elem == elem })
}

// none reports whether a condition, if any, holds for no event of s.
func none(s events, holds func(e int) bool) bool {
	return s == 0 || holds != nil && which(s, holds) == 0
}

// The same as the literature has it, for events that arrive after those that they saw, and without resets: there is
// an addition, and each removal was seen by an addition.
func reinstated(h history, seen events) string {
	return elements(h, which(seen, func(e int) bool {
		adds := writes(h, seen, "add", h[e].Op.elem)
		unanswered := func(r int) bool { return none(adds, func(a int) bool { return h[a].Saw.Has(r) }) }
		return h[e].Op.do == "add" && none(writes(h, seen, "remove", h[e].Op.elem), unanswered)
	}))
}

// inOrder reports whether all that reached anyone came after what it had seen.
func inOrder(h history, seen events) bool {
	ahead := func(s events) func(e int) bool {
		return func(e int) bool { return h[e].Saw&^s != 0 }
	}
	return none(seen, ahead(seen)) && none(seen, func(e int) bool { return !none(h[e].Saw, ahead(h[e].Saw)) })
}

func TestRWSetSpecification(t *testing.T) {
	compared := 0
	o := rwsetOracle()
	want := o.Want
	o.Want = func(h history, seen events) string {
		got := want(h, seen)
		resets := which(seen, func(e int) bool { return h[e].Op.do == "reset" })
		if resets == 0 && inOrder(h, seen) {
			compared++
			if lit := reinstated(h, seen); lit != got {
				t.Fatalf("in force %q, but in the literature %q: %v of\n%v", got, lit, slices.Collect(seen.All()), h)
			}
		}
		return got
	}
	exhaust(t, o)
	t.Logf("%d states compared with the definition of the literature", compared)
	assert.Greater(t, compared, 10_000)
}

func rwsetOracle() crdttest.Oracle[*rwset, op] {
	return crdttest.Oracle[*rwset, op]{
		New: func() *rwset { return new(rwset) },
		Ops: []op{{do: "add", elem: "x"}, {do: "add", elem: "y"}, {do: "remove", elem: "x"}, {do: "reset"}},
		Apply: func(s *rwset, o op, by crdttest.Writer) *rwset {
			switch o.do {
			case "add":
				return s.Add(by.Replica, o.elem)
			case "remove":
				return s.Remove(by.Replica, o.elem)
			}
			return s.Reset()
		},
		Got:  func(s *rwset) string { return strings.Join(slices.Sorted(s.All()), " ") },
		Want: unopposed,
	}
}

func TestTrap01_RWSetBothSidesHaveItYetItWasRemoved(t *testing.T) {
	var a, b rwset
	a.Add(idA, "x")
	b.Add(idB, "x")
	c := a.Clone()
	a.Remove(idA, "x")
	a.Merge(&b)
	b.Remove(idB, "x")
	a.Merge(c)
	b.Merge(&a)
	assert.True(t, b.Empty())
}

func TestTrap02_RWSetResetNeedsNoLaterEventToTravel(t *testing.T) {
	var a, b rwset
	b.Merge(a.Add(idA, "x", "y"))
	b.Merge(a.Remove(idA, "x"))
	a.Reset()
	delta := a.Delta(b.Context())
	assert.Equal(t, "{a:1-3}", delta.Context().String(), "all that has ended, and it was seen by the peer")
	novel, changed := b.MergeNovel(delta)
	assert.True(t, changed)
	assert.True(t, b.Empty())
	assert.Equal(t, "{a:2-3}", novel.Context().String(), "the first had ended here")
	assert.Equal(t, encoded(t, &a), encoded(t, &b))
}

func TestTrap05_RWSetReaddingDoesNotResurrect(t *testing.T) {
	o := rwsetOracle()
	o.Ops = []op{{do: "add", elem: "x"}, {do: "remove", elem: "x"}}
	t.Logf("%d histories, all merge orders of each", o.Exhaustive(t, 4, 3))
}

func TestTrap08_RWSetAPartialAnswerNeverOverClaims(t *testing.T) {
	var s, holder rwset
	holder.Merge(s.Add(idA, "kept", "unseen"))
	since := new(vclock.Context)
	since.Add(vclock.Dot{Replica: idA, Seq: 1})
	delta := s.Delta(since)
	assert.Equal(t, "{a:2}", delta.Context().String())
	assert.False(t, holder.Merge(delta))
	assert.True(t, holder.Has("kept"), "not carried, and not claimed")
}

func TestRWSetRemovalWins(t *testing.T) {
	var a, b rwset
	b.Merge(a.Add(idA, "x"))
	removed := b.Remove(idB, "x")
	added := a.Add(idA, "x")
	a.Merge(removed)
	b.Merge(added)
	assert.False(t, a.Has("x") || b.Has("x"))
	assert.Equal(t, crdt.Explanation{
		For: []vclock.Dot{{Replica: idA, Seq: 2}}, Against: []vclock.Dot{{Replica: idB, Seq: 1}},
	}, a.Explain("x"))
	assert.Equal(t, encoded(t, &a), encoded(t, &b))
	b.Merge(a.Add(idA, "x"))
	assert.True(t, a.Has("x") && b.Has("x"), "having seen the removal")
	assert.Equal(t, crdt.Explanation{Present: true, For: []vclock.Dot{{Replica: idA, Seq: 3}}}, b.Explain("x"))

	unseen := new(rwset).Remove(idC, "x", "z", "z")
	assert.EqualValues(t, 2, unseen.Context().Count())
	a.Merge(unseen)
	assert.False(t, a.Has("x"), "also by one who had never heard of it")
	reset := a.Reset()
	b.Merge(unseen)
	b.Remove(idB, "x")
	b.Merge(reset)
	assert.False(t, b.Has("x"), "the reset has not seen this removal")
	a.Add(idA, "x")
	assert.True(t, a.Has("x"))
}

func TestRWSetWithManyElements(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var writer, reader, back rwset
	var deltas []*rwset
	model := make(map[string]bool)
	for range 6000 {
		elem := fmt.Sprint(rnd.IntN(2000))
		model[elem] = rnd.IntN(3) > 0
		if model[elem] {
			deltas = append(deltas, writer.Add(idA, elem))
		} else {
			deltas = append(deltas, writer.Remove(idA, elem))
		}
	}
	writer.CheckInvariants()
	for elem, has := range model {
		require.Equal(t, has, writer.Has(elem))
	}
	for n, i := range rnd.Perm(len(deltas)) {
		if n == len(deltas)/2 {
			half := reader.Clone()
			half.Merge(writer.Delta(half.Context()))
			half.CheckInvariants()
			require.Equal(t, encoded(t, &writer), encoded(t, half))
		}
		reader.Merge(deltas[i])
	}
	reader.CheckInvariants()
	require.Equal(t, encoded(t, &writer), encoded(t, &reader))
	require.NoError(t, back.UnmarshalBinary(encoded(t, &reader)))
	back.CheckInvariants()
	writer.Reset()
	back.MergeNovel(&writer)
	back.CheckInvariants()
	assert.True(t, back.Empty())
}

// Elements that many replicas added and removed at the same time go as one.
func TestRWSetElementWithManyDots(t *testing.T) {
	var s rwset
	for i := range 500 {
		s.Merge(new(rwset).Add(vclock.Named(fmt.Sprint(i)), "x"))
		s.Merge(new(rwset).Remove(vclock.Named(fmt.Sprint(i+1000)), "x"))
	}
	s.CheckInvariants()
	assert.True(t, s.Empty())
	assert.Len(t, s.Explain("x").Against, 500)
	s.Add(idA, "x")
	s.CheckInvariants()
	assert.Equal(t, 1, s.Len())
	assert.Empty(t, s.Explain("x").Against)
}

// One identity used by two writers loses the event, but on all replicas alike.
func TestRWSetWithAnIdentityUsedTwice(t *testing.T) {
	var a, b rwset
	a.Add(idA, "x")
	b.Remove(idA, "x")
	ab, ba := a.Clone(), b.Clone()
	ab.Merge(&b)
	ba.Merge(&a)
	assert.Equal(t, encoded(t, ab), encoded(t, ba))
	ab.CheckInvariants()
}

func TestMergingRWSetsAllocatesNothingWithoutNews(t *testing.T) {
	var s rwset
	s.Add(idA, elems("e", 1000)...)
	delta := s.Remove(idB, "e1", "e2")
	same := s.Clone()
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		s.Merge(delta)
		s.Merge(same)
	}))
}

func TestRWSetNil(t *testing.T) {
	var s *rwset
	assert.True(t, s.Empty() && !s.Has("x"))
	assert.Equal(t, crdt.Explanation{}, s.Explain("x"))
	assert.False(t, new(rwset).Merge(s))
	for range s.All() {
		t.Fail()
	}
	assert.Equal(t, encoded(t, new(rwset)), encoded(t, s.Delta(s.Context())))
	assert.Equal(t, encoded(t, new(rwset)), encoded(t, s))
	novel, changed := new(rwset).MergeNovel(s)
	assert.True(t, novel.Empty() && !changed)
	text, err := s.MarshalJSON()
	assert.NoError(t, err)
	assert.Equal(t, "[]", string(text))
	var nobody vclock.ReplicaID
	assert.Zero(t, new(rwset).Add(nobody, "x").Context().Len()+new(rwset).Remove(nobody, "x").Context().Len())
}

func TestRWSetAsText(t *testing.T) {
	var s crdt.RWSet[int]
	s.Add(idA, 30, 4, 5)
	s.Remove(idA, 4)
	s.Merge(new(crdt.RWSet[int]).Remove(idB, 5))
	for range s.All() {
		break
	}
	text, err := s.MarshalJSON()
	assert.NoError(t, err)
	assert.Equal(t, "[30]", string(text))

	var refusal *crdt.TypeError
	points := new(crdt.RWSet[point]).Add(idA, point{1, 2})
	assert.True(t, points.Has(point{1, 2}), "works in memory")
	_, err = points.AppendBinary(nil)
	require.ErrorAs(t, err, &refusal)
	_, err = points.MarshalJSON()
	require.ErrorAs(t, err, &refusal)
	require.ErrorAs(t, points.UnmarshalBinary(nil), &refusal)
}

func TestRWSetDecoder(t *testing.T) {
	decode, a := new(rwset).UnmarshalBinary, id(idA)
	head := raw(0x94, 10, 1, 0x91, 0x93, a, 0, 1)
	refused(t, decode, "incomplete record", raw(head, 0x92, 0xa1, 'x', 0x90))
	refused(t, decode, "element without dots", raw(head, 0x93, 0xa1, 'x', 0x90, 0x90))
	refused(t, decode, "incomplete record", raw(head, 0x93, 0xa1, 'x', 0x91, 0, 0x90))
	refused(t, decode, "no such replica", raw(head, 0x93, 0xa1, 'x', 0x92, 1, 1, 0x90))
	refused(t, decode, "dot outside of the context", raw(head, 0x93, 0xa1, 'x', 0x90, 0x92, 0, 3))
	refused(t, decode, "dots out of order", raw(head, 0x93, 0xa1, 'x', 0x94, 0, 2, 0, 1, 0x90))
	refused(t, decode, "dot lives twice", raw(head, 0x93, 0xa1, 'x', 0x92, 0, 1, 0x92, 0, 1))
	refused(t, decode, "dot lives twice", raw(head, 0x96, 0xa1, 'x', 0x92, 0, 1, 0x90, 0xa1, 'y', 0x90, 0x92, 0, 1))
	refused(t, decode, "elements out of order", raw(head, 0x96, 0xa1, 'y', 0x92, 0, 1, 0x90, 0xa1, 'x', 0x90, 0x92, 0, 2))
	refused(t, decode, "elements out of order", raw(head, 0x96, 0xa1, 'x', 0x92, 0, 1, 0x90, 0xa1, 'x', 0x90, 0x92, 0, 2))
	refused(t, decode, "wrong number of fields", raw(0x93, 10, 1, 0x90))
	claimsCostNothing(t, 10, decode)
}

func FuzzDecodeRWSet(f *testing.F) {
	var s rwset
	var n crdt.RWSet[[4]byte]
	seed(f, &s, s.Add(idA, "a", "b", "\xff"), s.Remove(idB, "a", "c"), &s, s.Reset(), &s, n.Add(idA, [4]byte{1}))
	s.Add(idA, "x")
	s.Merge(new(rwset).Remove(idC, "x", "y"))
	seed(f, &s)
	f.Fuzz(func(t *testing.T, b []byte) {
		roundTrip[rwset](t, b)
		roundTrip[crdt.RWSet[[4]byte]](t, b)
	})
}

func ExampleRWSet() {
	paris, tokyo := vclock.Named("paris"), vclock.Named("tokyo")
	var a, b crdt.RWSet[string] // who may enter
	b.Merge(a.Add(paris, "ann", "bob"))
	removed := b.Remove(tokyo, "bob")
	added := a.Add(paris, "bob") // at the same time: the removal wins
	a.Merge(removed)
	b.Merge(added)
	fmt.Println(a.Has("bob"), b.Has("bob"))
	a.Add(paris, "bob") // having seen the removal
	fmt.Println(a.Has("bob"))
	// Output:
	// false false
	// true
}

// Merging ten elements, and removing them again, costs the same whatever the size of the set.
func BenchmarkRWSetMergeDelta(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var s rwset
			s.Add(idA, elems("e", n)...)
			writer := s.Clone()
			b.ReportAllocs()
			var deltas [512]*rwset
			for i := 0; b.Loop(); i++ {
				if i%len(deltas) == 0 {
					b.StopTimer()
					for k := 0; k < len(deltas); k += 2 {
						deltas[k] = writer.Add(idB, elems("new", 10)...)
						deltas[k+1] = writer.Remove(idB, elems("new", 10)...)
					}
					b.StartTimer()
				}
				s.Merge(deltas[i%len(deltas)])
			}
		})
	}
}
