package crdt_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"runtime"
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
	idA, idB, idC = vclock.Named("a"), vclock.Named("b"), vclock.Named("c")
)

type set = crdt.ORSet[string]

func encoded[P crdt.State[P]](t testing.TB, s P) []byte {
	t.Helper()
	b, err := s.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

func sorted(s *set) []string { return slices.Sorted(s.All()) }

func TestTrap01_BothSidesHaveItYetItWasRemoved(t *testing.T) {
	var a, b set
	a.Add(idA, "x")
	b.Add(idB, "x")
	c := a.Clone()
	a.Remove("x")
	a.Merge(&b)
	b.Remove("x")
	a.Merge(c)
	b.Merge(&a)
	assert.Empty(t, sorted(&b))
}

func TestTrap02_ARemovalNeedsNoLaterAddToTravel(t *testing.T) {
	var a, b set
	a.Add(idA, "foo", "bar")
	b.Add(idB, "baz")
	a.Merge(&b)
	b.Merge(&a)
	assert.Equal(t, encoded(t, &a), encoded(t, &b))
	a.Remove("bar")
	assert.NotEqual(t, encoded(t, &a), encoded(t, &b), "the removal shows in the bytes")
	novel, changed := b.MergeNovel(&a)
	assert.True(t, changed)
	assert.Equal(t, []string{"baz", "foo"}, sorted(&b))
	assert.Zero(t, novel.Len(), "only the removal was new")
	assert.EqualValues(t, 1, novel.Context().Count())
}

func TestTrap04_ResetIsExact(t *testing.T) {
	var a, b crdt.PNCounter
	b.Merge(a.Add(idA, 5))
	reset := a.Reset()
	added := b.Add(idB, 3)
	a.Merge(added)
	b.Merge(reset)
	assert.EqualValues(t, 3, a.Value())
	assert.EqualValues(t, 3, b.Value())

	var c crdt.PNCounter
	c.Merge(&a)
	c.Reset()
	for range 3 {
		c.Add(idC, -1)
	}
	assert.EqualValues(t, -3, c.Value())

	o := pncounterOracle()
	o.Ops = []op{{do: "add", n: 3}, {do: "reset"}}
	t.Logf("%d histories", o.Exhaustive(t, 4, 3))
}

// A counter that is deleted and made again must not lose to an old reset, nor get back what one took away.
func TestTrap15_AnOldResetSparesANewCounter(t *testing.T) {
	var owner crdt.PNCounter
	old := owner.Add(idA, 7).Clone()
	reset := owner.Reset()
	owner.Add(idA, 2)
	for _, late := range []*crdt.PNCounter{reset, old, reset} {
		owner.Merge(late)
		assert.EqualValues(t, 2, owner.Value())
	}
}

func TestTrap05_ReaddingDoesNotResurrect(t *testing.T) {
	o := orsetOracle()
	o.Ops = []op{{do: "add", elem: "x"}, {do: "remove", elem: "x"}}
	t.Logf("%d histories, all merge orders of each", o.Exhaustive(t, 4, 3))
}

func TestTrap06_DeltasEqualStates(t *testing.T) {
	// The laws check each mutation, and any grouping, on every type: here is the case that others got wrong.
	var x set
	x.Add(idA, "kept", "gone")
	before := x.Clone()
	deltas := []*set{x.Remove("gone"), x.Add(idA, "gone"), x.Remove("gone"), x.Add(idB, "new"), x.Remove("kept")}
	left, right := before.Clone(), new(set)
	for _, d := range deltas {
		left.Merge(d)
		right.Merge(d)
	}
	right.Merge(before)
	assert.Equal(t, encoded(t, &x), encoded(t, left))
	assert.Equal(t, encoded(t, &x), encoded(t, right))
}

func TestTrap07_AGapIsNotClaimed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var writer, reader set
		var deltas []*set
		for i := range 10 {
			elem := fmt.Sprint(rapid.IntRange(0, 4).Draw(t, "elem"))
			if i%3 == 2 {
				deltas = append(deltas, writer.Remove(elem))
			} else {
				deltas = append(deltas, writer.Add(idA, elem))
			}
		}
		got := new(vclock.Context)
		for _, i := range rapid.SliceOf(rapid.IntRange(0, 9)).Draw(t, "arriving") {
			reader.Merge(deltas[i])
			got.Merge(deltas[i].Context())
			if reader.Context().Compare(got) != vclock.Equal {
				t.Fatalf("claims %v, was told %v", reader.Context(), got)
			}
		}
		reader.Merge(&writer)
		if !slices.Equal(sorted(&reader), sorted(&writer)) {
			t.Fatalf("got %v, want %v", sorted(&reader), sorted(&writer))
		}
	})
}

func TestTrap08_APartialAnswerNeverOverClaims(t *testing.T) {
	var s set
	deltas := []*set{s.Add(idA, "x"), s.Add(idA, "y"), s.Remove("x"), s.Add(idA, "z"), s.Add(idB, "y")}
	for i, d := range deltas {
		// Whoever has all but this delta's elements loses none of them by it.
		holder := new(set)
		for k, other := range deltas {
			if k != i {
				holder.Merge(other)
			}
		}
		for _, elem := range []string{"y", "z"} {
			had := holder.Has(elem)
			after := holder.Clone()
			after.Merge(d)
			assert.Equal(t, had || d.Has(elem), after.Has(elem), "delta %d, element %s", i, elem)
		}
	}
	assert.Zero(t, new(set).Remove("never added").Context().Count())
	assert.EqualValues(t, 1, deltas[2].Context().Count(), "a removal names what it removes and no more")
	assert.Zero(t, s.Remove("x").Context().Count())
}

func TestTrap09_SiblingsAreOnlyConcurrentWrites(t *testing.T) {
	const clients = 5
	var server crdt.MVRegister[string]
	var contexts [clients]*vclock.Context
	for i := range 200 {
		client := i % clients
		server.Put(idA, contexts[client], fmt.Sprint(i))
		contexts[client] = server.Context()
		assert.LessOrEqual(t, len(server.Values()), clients)
	}
	stale := server.Context()
	server.Put(idA, stale, "first")
	server.Put(idA, stale, "second")
	assert.Equal(t, []string{"first", "second"}, server.Values())
	server.Put(idA, server.Context(), "both seen")
	assert.Equal(t, []string{"both seen"}, server.Values())
}

// What the writer read elsewhere is overwritten also where it arrives after the write.
func TestTrap09_AContextReachesBeyondTheCoordinator(t *testing.T) {
	var read, coordinator crdt.MVRegister[string]
	read.Set(idA, "old")
	coordinator.Put(idB, read.Context(), "new")
	coordinator.Merge(&read)
	assert.Equal(t, []string{"new"}, coordinator.Values())
}

func TestTrap10_LastWriteWinsInATotalOrder(t *testing.T) {
	ts := vclock.Timestamp{Wall: 100, Replica: idA}
	var x, y, z crdt.LWWRegister[string]
	x.Set(ts, "x")
	y.Set(ts, "y")
	z.Set(ts, "z")
	z.Reset()
	for _, order := range [][]*crdt.LWWRegister[string]{{&x, &y}, {&y, &x}} {
		var r crdt.LWWRegister[string]
		for _, s := range order {
			r.Merge(s)
		}
		value, _ := r.Value()
		assert.Equal(t, "y", value, "of equal timestamps the greater value")
		r.Merge(&z)
		assert.True(t, r.Empty(), "a reset wins over the value that it saw")
		r.Merge(&y)
		assert.True(t, r.Empty())
	}

	var far, late crdt.LWWRegister[string]
	far.Set(vclock.Timestamp{Wall: 1 << 60, Replica: idB}, "far ahead")
	late.Merge(&far)
	late.Set(ts, "after having seen it")
	assert.Positive(t, late.Timestamp().Compare(far.Timestamp()))
	far.Merge(&late)
	value, _ := far.Value()
	assert.Equal(t, "after having seen it", value)
	assert.Equal(t, idA, far.Timestamp().Replica)
}

func TestTrap11_EqualStatesEqualBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var source set
		var deltas []*set
		for i := range 40 {
			deltas = append(deltas, source.Add([]vclock.ReplicaID{idC, idA, idB}[i%3], fmt.Sprint(i*7%30)))
		}
		var x set
		for _, d := range rapid.Permutation(deltas).Draw(t, "order") {
			x.Merge(d)
		}
		a, _ := source.AppendBinary(nil)
		b, _ := x.AppendBinary(nil)
		if !bytes.Equal(a, b) {
			t.Fatalf("%x\n%x", a, b)
		}
	})
}

// A claim of a gigabyte in a few bytes costs nothing.
func TestTrap31_ClaimsCostNothing(t *testing.T) {
	array32 := func(n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0xdd}, n) }
	bin32 := func(n uint32) []byte { return binary.BigEndian.AppendUint32([]byte{0xc6}, n) }
	for tag := range byte(8) {
		for _, claim := range [][]byte{array32(1 << 30), bin32(1 << 30), bytes.Repeat([]byte{0x91}, 1<<16)} {
			for _, head := range [][]byte{{}, {0x93, tag, 1}, {0x94, tag, 1}, {0x94, tag, 1, 0x90}, {0x92, tag}} {
				input := slices.Concat(head, claim)
				for name, decode := range decoders() {
					assert.Less(t, allocated(func() { assert.Error(t, decode(input), name) }), uint64(1<<20), name)
				}
			}
		}
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// subtracting is a counter with its sign inverted. The laws cannot tell; the specification can.
type subtracting struct{ crdt.PNCounter }

func (s *subtracting) Merge(o *subtracting) bool { return s.PNCounter.Merge(&o.PNCounter) }
func (s *subtracting) Clone() *subtracting       { return &subtracting{*s.PNCounter.Clone()} }

func TestTrap36_LawsAloneDoNotCatchSignErrors(t *testing.T) {
	add := func(s *subtracting, n int64, by crdttest.Writer) *subtracting {
		return &subtracting{*s.Add(by.Replica, -n)}
	}
	crdttest.Laws(t, crdttest.Suite[*subtracting]{
		New: func() *subtracting { return new(subtracting) },
		Mutate: func(t *rapid.T, s *subtracting, by crdttest.Writer) *subtracting {
			return add(s, rapid.Int64().Draw(t, "n"), by)
		},
	})
	o := crdttest.Oracle[*subtracting, op]{
		New:     func() *subtracting { return new(subtracting) },
		Ops:     []op{{do: "add", n: 3}},
		Apply:   func(s *subtracting, o op, by crdttest.Writer) *subtracting { return add(s, o.n, by) },
		Carries: carriedAdds,
		Got:     func(s *subtracting) string { return fmt.Sprint(s.Value()) },
		Want:    sum,
	}
	assert.Contains(t, failure(t, func(t testing.TB) { o.Exhaustive(t, 2, 2) }), "got -3, want 3")
}

// recorder is a test that records its failure.
type recorder struct {
	testing.TB
	message string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func failure(t testing.TB, test func(t testing.TB)) string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(r)
	}()
	<-done
	return r.message
}

func TestTrap40_TwoKindsUnderOneKey(t *testing.T) {
	kinds := crdt.Standard()
	var a, b crdt.Value
	counter, err := crdt.Ensure[*crdt.PNCounter](kinds, &a)
	require.NoError(t, err)
	counter.Add(idA, 4)
	elems, err := crdt.Ensure[*set](kinds, &b)
	require.NoError(t, err)
	elems.Add(idB, "x")

	ab, err := kinds.Join(encodedValue(t, &a), encodedValue(t, &b))
	require.NoError(t, err)
	ba, err := kinds.Join(encodedValue(t, &b), encodedValue(t, &a))
	require.NoError(t, err)
	assert.Equal(t, ab, ba)
	both, err := kinds.Decode(ab)
	require.NoError(t, err)
	n, ok := crdt.Component[*crdt.PNCounter](kinds, both)
	require.True(t, ok)
	assert.EqualValues(t, 4, n.Value())
	s, ok := crdt.Component[*set](kinds, both)
	require.True(t, ok)
	assert.Equal(t, []string{"x"}, sorted(s))
}

func encodedValue(t testing.TB, v *crdt.Value) []byte {
	t.Helper()
	b, err := v.AppendBinary(nil)
	require.NoError(t, err)
	return b
}
