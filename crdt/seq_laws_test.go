package crdt_test

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/crdttest"
	"github.com/eventual-go/eventual/vclock"
)

func lwwmaps() crdttest.Suite[*crdt.LWWMap[string, string]] {
	type S = *crdt.LWWMap[string, string]
	return crdttest.Suite[S]{
		New:   func() S { return new(crdt.LWWMap[string, string]) },
		Parts: S.Parts,
		Mutate: func(t *rapid.T, m S, by crdttest.Writer) S {
			defer m.CheckInvariants()
			switch rapid.IntRange(0, 6).Draw(t, "op") {
			case 0:
				return m.Reset()
			case 1, 2:
				return m.Remove(by.Stamp, rapid.SliceOfN(words, 0, 3).Draw(t, "keys")...)
			}
			return m.Set(by.Stamp, words.Draw(t, "key"), words.Draw(t, "value"))
		},
	}
}

func logs() crdttest.Suite[*crdt.Log[string]] {
	type S = *crdt.Log[string]
	return crdttest.Suite[S]{
		New:   func() S { return new(crdt.Log[string]) },
		Parts: S.Parts,
		Mutate: func(t *rapid.T, l S, by crdttest.Writer) S {
			defer l.CheckInvariants()
			return l.Append(by.Stamp, rapid.SliceOfN(words, 0, 3).Draw(t, "words")...)
		},
	}
}

func boundedcounters() crdttest.Suite[*crdt.BoundedCounter] {
	type S = *crdt.BoundedCounter
	return crdttest.Suite[S]{
		New:   func() S { return new(crdt.BoundedCounter) },
		Parts: S.Parts,
		Mutate: func(t *rapid.T, c S, by crdttest.Writer) S {
			defer c.CheckInvariants()
			other := vclock.Named(rapid.SampledFrom([]string{"r0", "r1", "r2", "far"}).Draw(t, "other"))
			n := rapid.OneOf(rapid.Uint64Range(0, 4), rapid.SampledFrom([]uint64{math.MaxUint64, 1 << 63})).Draw(t, "n")
			var delta S
			switch rapid.IntRange(0, 5).Draw(t, "op") {
			case 0:
				delta, _ = c.Decrement(by.Replica, n)
			case 1:
				delta, _ = c.Transfer(by.Replica, other, n)
			case 2:
				delta = c.Request(by.Replica, n)
			case 3:
				delta, _ = c.Grant(by.Replica, other, n)
			default:
				delta = c.Increment(by.Replica, n)
			}
			return delta
		},
	}
}

func TestLWWMapLaws(t *testing.T)         { crdttest.Laws(t, lwwmaps()) }
func TestLogLaws(t *testing.T)            { crdttest.Laws(t, logs()) }
func TestBoundedCounterLaws(t *testing.T) { crdttest.Laws(t, boundedcounters()) }

// contextual is a type that can tell what a peer lacks.
type contextual[P any] interface {
	crdt.State[P]
	Context() *vclock.Context
	Delta(since *vclock.Context) P
}

// lacksOnly checks Delta on random pairs of states: it gives a peer all that it lacks, and claims nothing more. The
// dots that a state claims are those of its parts.
func lacksOnly[P contextual[P]](t *testing.T, s crdttest.Suite[P]) {
	rapid.Check(t, func(t *rapid.T) {
		var pool []P
		states := []P{s.New(), s.New(), s.New()}
		for e := range rapid.IntRange(1, 12).Draw(t, "steps") {
			i := rapid.IntRange(0, 2).Draw(t, "replica")
			id := vclock.Named(string([]byte{'r', '0' + byte(i)}))
			by := crdttest.Writer{Replica: id, Stamp: vclock.Timestamp{Wall: int64(e * 5 % 3), Replica: id}}
			pool = append(pool, s.Mutate(t, states[i], by).Clone())
			if other := rapid.IntRange(0, 5).Draw(t, "other"); other < 3 {
				states[i].Merge(states[other].Clone())
			} else if late := rapid.IntRange(0, len(pool)-1).Draw(t, "late"); other == 3 {
				states[i].Merge(pool[late])
			}
			pool = append(pool, states[i].Clone())
		}
		x := rapid.SampledFrom(pool).Draw(t, "x")
		peer := rapid.SampledFrom(pool).Draw(t, "peer")
		since := peer.Context()
		delta := x.Delta(since)
		want, got := peer.Clone(), peer.Clone()
		want.Merge(x)
		got.Merge(delta)
		if !bytes.Equal(encodedBy(t, got), encodedBy(t, want)) {
			t.Fatalf("what the peer lacks: got %x, want %x", encodedBy(t, got), encodedBy(t, want))
		}
		if x.Clone().Merge(delta) {
			t.Fatal("the delta has what the state has not")
		}
		for _, part := range s.Parts(x) {
			carried := !delta.Clone().Merge(part)
			claimed := part.Context().Len() > 0 && delta.Context().Contains(part.Context())
			if claimed && !carried {
				t.Fatalf("claims %v and does not carry it", part.Context())
			}
			if part.Context().Len() > 0 && carried == since.Contains(part.Context()) {
				t.Fatalf("carried %v: %v, though the peer knows %v", part.Context(), carried, since)
			}
		}
		if all := x.Delta(nil); !bytes.Equal(encodedBy(t, all), encodedBy(t, x)) {
			t.Fatal("without a context the delta is not everything")
		}
	})
}

func encodedBy[P crdt.State[P]](t *rapid.T, s P) []byte {
	b, err := s.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLWWMapDelta(t *testing.T)         { lacksOnly(t, lwwmaps()) }
func TestLogDelta(t *testing.T)            { lacksOnly(t, logs()) }
func TestBoundedCounterDelta(t *testing.T) { lacksOnly(t, boundedcounters()) }
