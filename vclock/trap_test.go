package vclock

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Deltas are dropped, repeated and reordered, singly and grouped: until the full merge a receiver claims
// exactly the events that came, and afterwards all of them.
func TestTrap07_AGapIsNotClaimed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var sender Context
		var deltas []*Context
		for _, r := range rapid.SliceOfN(rapid.SampledFrom(testReplicas(3)), 1, 40).Draw(t, "writers") {
			d := new(Context)
			d.Add(sender.Next(r))
			sender.Merge(d)
			deltas = append(deltas, d)
		}
		var receiver Context
		came := contextModel{}
		for _, k := range rapid.SliceOf(rapid.IntRange(0, len(deltas)-1)).Draw(t, "arrivals") {
			group := deltas[k].Clone()
			group.Merge(deltas[rapid.IntRange(0, k).Draw(t, "grouped with")])
			receiver.Merge(group)
			maps.Copy(came, dotsOf(group))
			requireContext(t, came, &receiver)
		}
		receiver.Merge(&sender)
		require.Equal(t, Equal, receiver.Compare(&sender))
	})
}

// A sender splits what it knows and sends only some of it: the rest stays unclaimed, and stays known as
// missing.
func TestTrap08_APartialAnswerNeverOverClaims(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := anyUniverse().Draw(t, "universe")
		all, had := u.set().Draw(t, "all").context(), u.set().Draw(t, "had").context()
		part, receiver := new(Context), had.Clone()
		for s := range all.All() {
			if rapid.Bool().Draw(t, "sent") {
				part.AddSpan(s)
			}
		}
		receiver.Merge(part)
		require.True(t, receiver.Contains(had))
		missing := all.Diff(receiver)
		require.False(t, missing.Intersects(receiver))
		require.Equal(t, all.Diff(part).Diff(had), missing)
	})
}

// One order for everyone: by wall, then logical, then replica; what comes later by cause comes later in the
// order; a clock that is an hour ahead is refused.
func TestTrap10_TimestampsAreOneTotalOrder(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	clock := &HLC{Replica: Named("paris"), Now: func() time.Time { return now }}
	remote := Timestamp{Wall: now.Add(50 * time.Second).UnixNano(), Logical: 7, Replica: Named("zurich")}
	require.NoError(t, clock.Observe(remote))
	require.Equal(t, 1, clock.Stamp().Compare(remote), "later than what it has seen")

	remote.Wall = now.Add(time.Hour).UnixNano()
	require.Equal(t, &DriftError{Remote: remote, Ahead: time.Hour, Max: time.Minute}, clock.Observe(remote))
	require.Less(t, clock.Stamp().Wall, remote.Wall)

	rapid.Check(t, func(t *rapid.T) {
		stamp := rapid.Custom(func(t *rapid.T) Timestamp {
			return Timestamp{
				Wall:    rapid.SampledFrom([]int64{math.MinInt64, 0, 1, math.MaxInt64}).Draw(t, "wall"),
				Logical: rapid.SampledFrom([]uint32{0, 1, math.MaxUint32}).Draw(t, "logical"),
				Replica: rapid.SampledFrom(testReplicas(2)).Draw(t, "replica"),
			}
		})
		a, b, c := stamp.Draw(t, "a"), stamp.Draw(t, "b"), stamp.Draw(t, "c")
		require.Equal(t, a == b, a.Compare(b) == 0)
		require.Equal(t, -a.Compare(b), b.Compare(a))
		if a.Compare(b) <= 0 && b.Compare(c) <= 0 {
			require.LessOrEqual(t, a.Compare(c), 0)
		}
	})
}

// Whatever order events came in, and however they were grouped, the bytes are the same.
func TestTrap11_EqualStatesHaveEqualBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := anyUniverse().Draw(t, "universe")
		m := u.set().Draw(t, "set")
		dots := slices.SortedFunc(maps.Keys(m), Dot.Compare)
		var sorted, shuffled, halves Context
		for _, d := range dots {
			sorted.Add(d)
		}
		for _, d := range rapid.Permutation(dots).Draw(t, "order") {
			shuffled.Add(d)
		}
		cut := rapid.IntRange(0, len(dots)).Draw(t, "cut")
		halves.Merge(mapOf(dots[cut:]).context())
		halves.Merge(mapOf(dots[:cut]).context())
		require.Equal(t, encoded(t, &sorted), encoded(t, &shuffled))
		require.Equal(t, encoded(t, &sorted), encoded(t, &halves))
	})
	rapid.Check(t, func(t *rapid.T) {
		m := anyClock(testReplicas(6)).Draw(t, "clock")
		require.Equal(t, encoded(t, m.clock()), encoded(t, m.clock()))
	})
}

func mapOf(dots []Dot) contextModel {
	m := contextModel{}
	for _, d := range dots {
		m[d] = true
	}
	return m
}

// Merging, on any path, never forgets: not for a replica that others no longer know, and not for a smaller
// count.
func TestTrap16_MergingPrunesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := anyClock(testReplicas(6))
		a := gen.Draw(t, "a").clock()
		before := a.Clone()
		a.Merge(gen.Draw(t, "b").clock())
		for r, n := range before.All() {
			require.GreaterOrEqual(t, a.Get(r), n)
		}
	})
}

// Headers that promise more than there is, nesting, other codes, trailing bytes: refused at a cost bounded
// by their own length.
func TestTrap31_HostileBytesAreRefused(t *testing.T) {
	for name, data := range hostile() {
		t.Run(name, func(t *testing.T) {
			var clock Clock
			var ctx Context
			var stamp Timestamp
			for _, err := range []error{
				clock.UnmarshalBinary(data), ctx.UnmarshalBinary(data), stamp.UnmarshalBinary(data),
			} {
				require.ErrorAs(t, err, new(*CorruptError))
			}
			require.Less(t, testing.AllocsPerRun(10, func() { _ = ctx.UnmarshalBinary(data) }), 20.0)
		})
	}
}
