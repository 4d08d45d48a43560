package crdt_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

var (
	_ crdt.Causal[*crdt.GCounter]            = (*crdt.GCounter)(nil)
	_ crdt.Causal[*crdt.PNCounter]           = (*crdt.PNCounter)(nil)
	_ crdt.Causal[*crdt.GSet[string]]        = (*crdt.GSet[string])(nil)
	_ crdt.Causal[*set]                      = (*set)(nil)
	_ crdt.Causal[*crdt.LWWRegister[string]] = (*crdt.LWWRegister[string])(nil)
	_ crdt.Causal[*crdt.MVRegister[string]]  = (*crdt.MVRegister[string])(nil)
)

// reached are states of two replicas that write, merge and lose deltas.
func reached[P crdt.State[P]](t *rapid.T, s crdttest.Suite[P]) (x, y P) {
	states := []P{s.New(), s.New(), s.New()}
	ids := []vclock.ReplicaID{idA, idB, idC}
	for i := range rapid.IntRange(1, 20).Draw(t, "steps") {
		k := rapid.IntRange(0, 2).Draw(t, "replica")
		delta := s.Mutate(t, states[k], crdttest.Writer{
			Replica: ids[k],
			Stamp:   vclock.Timestamp{Wall: int64(i), Replica: ids[k]},
		})
		to := rapid.IntRange(0, 4).Draw(t, "to")
		switch {
		case to < 3 && rapid.Bool().Draw(t, "whole"):
			states[to].Merge(states[k])
		case to < 3:
			states[to].Merge(delta)
		}
	}
	return states[0], states[1]
}

// minus returns the dots of a that are not in b.
func minus(a, b map[vclock.Dot]bool) map[vclock.Dot]bool {
	rest := make(map[vclock.Dot]bool)
	for d := range a {
		if !b[d] {
			rest[d] = true
		}
	}
	return rest
}

func contextOf(dots map[vclock.Dot]bool) *vclock.Context {
	c := new(vclock.Context)
	for d := range dots {
		c.Add(d)
	}
	return c
}

// exactlyLacking checks that a delta carries what lives and is not known, and claims that and what is dead.
func exactlyLacking(t *rapid.T, since, seen, claimed *vclock.Context, live, carried map[vclock.Dot]bool) {
	known := crdt.Dots(since)
	unknown := minus(live, known)
	if got, want := contextOf(carried), contextOf(unknown); got.Compare(want) != vclock.Equal {
		t.Fatalf("carries %v, and what lives and is unknown is %v", got, want)
	}
	want := contextOf(minus(crdt.Dots(seen), minus(live, unknown)))
	if claimed.Compare(want) != vclock.Equal {
		t.Fatalf("claims %v, want %v, since %v of %v", claimed, want, since, seen)
	}
}

func TestORSetDeltaIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := reached(t, orsets())
		delta := x.Delta(y.Context())
		delta.CheckInvariants()
		exactlyLacking(t, y.Context(), x.Context(), delta.Context(), x.LiveDots(), delta.LiveDots())
	})
}

func TestMVRegisterDeltaIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := reached(t, mvregisters())
		delta := x.Delta(y.Context())
		exactlyLacking(t, y.Context(), x.Context(), delta.Context(), x.LiveDots(), delta.LiveDots())
	})
}

// A counter sends entries that are not wholly known, and of the others the resets.
func TestCounterDeltaIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, y := reached(t, pncounters())
		theirs := make(map[vclock.ReplicaID]crdt.Share)
		for _, s := range y.Explain() {
			theirs[s.Replica] = s
		}
		carried := make(map[vclock.ReplicaID]crdt.Share)
		for _, s := range x.Delta(y.Context()).Explain() {
			carried[s.Replica] = s
		}
		expect := func(total, base, known uint64) uint64 {
			if total > known || total > math.MaxInt64 {
				return total
			}
			return base
		}
		for _, s := range x.Explain() {
			got, known := carried[s.Replica], theirs[s.Replica]
			if got.Added != expect(s.Added, s.AddedReset, known.Added) || got.AddedReset != s.AddedReset ||
				got.Subtracted != expect(s.Subtracted, s.SubtractedReset, known.Subtracted) ||
				got.SubtractedReset != s.SubtractedReset {
				t.Fatalf("sends %+v of %+v to one with %+v", got, s, known)
			}
		}
	})
}

func TestCounterContexts(t *testing.T) {
	var g crdt.GCounter
	g.Add(idA, 3)
	g.Add(idB, math.MaxUint64)
	assert.Equal(t, "{a:1-3 b:1-18446744073709551615}", g.Context().String())
	assert.Empty(t, g.Delta(g.Context()).Parts())
	gap := new(vclock.Context)
	gap.Add(vclock.Dot{Replica: idA, Seq: 3})
	assert.EqualValues(t, uint64(math.MaxUint64), g.Delta(gap).Value(), "a gap is not taken for what is before it")

	var p crdt.PNCounter
	p.Add(idA, 3)
	p.Add(idB, -2)
	assert.Equal(t, "{a:1-3 b:9223372036854775808-9223372036854775809}", p.Context().String())
	assert.Empty(t, p.Delta(p.Context()).Parts())
	half := p.Clone()
	p.Add(idA, -1)
	assert.EqualValues(t, -1, p.Delta(half.Context()).Value(), "only what was subtracted is new")
	p.Add(idA, math.MaxInt64)
	p.Add(idA, math.MaxInt64)
	assert.Len(t, p.Delta(p.Context()).Parts(), 1, "what does not fit the context is always sent")
}

func TestTrap02_ARemovalTravelsWithoutAnEvent(t *testing.T) {
	var a, b set
	b.Merge(a.Add(idA, "x", "y", "z"))
	a.Remove("y")
	delta := a.Delta(b.Context())
	assert.Zero(t, delta.Len())
	assert.Equal(t, "{a:2}", delta.Context().String())
	b.Merge(delta)
	assert.Equal(t, []string{"x", "z"}, sorted(&b))

	var p, q crdt.PNCounter
	q.Merge(p.Add(idA, 5))
	p.Reset()
	q.Merge(p.Delta(q.Context()))
	assert.Zero(t, q.Value())
}

func TestTrap08_ADeltaNeverClaimsWhatItDoesNotCarry(t *testing.T) {
	var a, b, stranger set
	stranger.Merge(a.Add(idA, "x", "y"))
	b.Merge(a.Clone())
	a.Add(idA, "z")
	delta := a.Delta(b.Context())
	assert.Equal(t, "{a:3}", delta.Context().String())
	stranger.Merge(delta)
	assert.Equal(t, []string{"x", "y", "z"}, sorted(&stranger), "what b has already is not taken from others")
}

// Sequence numbers at their end do not wrap.
func TestDeltaAtTheEndOfSequenceNumbers(t *testing.T) {
	last := vclock.Dot{Replica: idA, Seq: math.MaxUint64}
	most := raw(0xcf, slices.Repeat([]byte{0xff}, 7), 0xfe)
	var s set
	end := raw(0xcf, slices.Repeat([]byte{0xff}, 8))
	require.NoError(t, s.UnmarshalBinary(raw(0x94, 4, 1, 0x91, 0x93, id(idA), 0, most, 0x91, 0x93, 0xa1, 'x', 0, end)))
	since := new(vclock.Context)
	since.Add(last)
	assert.Equal(t, "{a:1-18446744073709551614}", s.Delta(since).Context().String())
}

func TestDeltaOfNil(t *testing.T) {
	since := new(crdt.GCounter).Context()
	assert.True(t, (*crdt.GCounter)(nil).Delta(since).Empty() && (*crdt.PNCounter)(nil).Delta(nil).Empty())
	assert.True(t, (*crdt.GSet[string])(nil).Delta(nil).Empty() && (*set)(nil).Delta(nil).Empty())
	assert.True(t, (*crdt.LWWRegister[string])(nil).Delta(nil).Empty() && (*crdt.MVRegister[string])(nil).Delta(nil).Empty())
	assert.Zero(t, (*crdt.PNCounter)(nil).Context().Len()+(*crdt.GCounter)(nil).Context().Len())
	assert.Empty(t, (*crdt.PNCounter)(nil).Explain())
	assert.False(t, (*set)(nil).Explain("x").Present || (*crdt.LWWRegister[int])(nil).Explain().Present)
	assert.False(t, (*crdt.MVRegister[int])(nil).Explain().Present || (*crdt.GSet[int])(nil).Explain(1).Present)
}

func TestExplain(t *testing.T) {
	var s, other set
	s.Add(idB, "x")
	other.Add(idA, "x", "y")
	s.Merge(&other)
	assert.Equal(t, "here: for a:1 b:1", s.Explain("x").String())
	assert.Equal(t, "here: for a:2", s.Explain("y").String())
	s.Remove("x")
	assert.Equal(t, "gone, or never here", s.Explain("x").String())

	var g crdt.GSet[string]
	g.Add("x")
	assert.True(t, g.Explain("x").Present)
	assert.False(t, g.Explain("y").Present)

	var r crdt.LWWRegister[string]
	assert.Equal(t, crdt.Explanation{}, r.Explain())
	ts := vclock.Timestamp{Wall: 5, Replica: idA}
	r.Set(ts, "v")
	assert.Equal(t, crdt.Explanation{Present: true, ForAt: ts}, r.Explain())
	r.Reset()
	assert.Equal(t, crdt.Explanation{AgainstAt: ts}, r.Explain())

	var m, n crdt.MVRegister[string]
	m.Set(idB, "v")
	n.Set(idA, "w")
	m.Merge(&n)
	assert.Equal(t, "here: for a:1 b:1", m.Explain().String())
	var lines []string
	for d, v := range m.All() {
		lines = append(lines, fmt.Sprint(d, " ", v))
	}
	assert.Equal(t, []string{"a:1 w", "b:1 v"}, lines)
	for range m.All() {
		break
	}

	var p crdt.PNCounter
	p.Add(idB, 5)
	p.Reset()
	p.Add(idA, -2)
	p.Add(idB, 1)
	assert.Equal(t, []crdt.Share{
		{Replica: idA, Subtracted: 2},
		{Replica: idB, Added: 6, AddedReset: 5},
	}, p.Explain())
	var up crdt.GCounter
	up.Add(idA, 4)
	assert.Equal(t, []crdt.Share{{Replica: idA, Added: 4}}, up.Explain())
}

// What a delta costs does not allocate by the size of what both know.
func BenchmarkDelta(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var s set
			s.Add(idA, elems("e", n)...)
			seen := s.Context()
			s.Add(idB, elems("new", 10)...)
			b.ReportAllocs()
			for b.Loop() {
				s.Delta(seen)
			}
		})
	}
}
