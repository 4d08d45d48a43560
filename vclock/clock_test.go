package vclock

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// clockModel is what a Clock means.
type clockModel map[ReplicaID]uint64

func (m clockModel) merge(other clockModel) {
	for r, n := range other {
		m[r] = max(m[r], n)
	}
}

func (m clockModel) within(other clockModel) bool {
	for r, n := range m {
		if n > other[r] {
			return false
		}
	}
	return true
}

func (m clockModel) clock() *Clock {
	c := new(Clock)
	for r, n := range m {
		c.Merge(&Clock{entries: []entry{{r, n}}})
	}
	return c
}

func testReplicas(n int) []ReplicaID {
	ids := make([]ReplicaID, n)
	for i := range ids {
		ids[i] = Named(fmt.Sprintf("r%03d", i))
	}
	return ids
}

func anyClock(replicas []ReplicaID) *rapid.Generator[clockModel] {
	return rapid.Custom(func(t *rapid.T) clockModel {
		return rapid.MapOfN(rapid.SampledFrom(replicas), rapid.Uint64Range(1, 4), 0, len(replicas)).Draw(t, "clock")
	})
}

func requireClock(t require.TestingT, want clockModel, c *Clock) {
	require.Equal(t, want, clockModel(maps.Collect(c.All())))
	require.Equal(t, len(want), c.Len())
	require.True(t, slices.IsSortedFunc(c.entries, func(a, b entry) int { return a.replica.Compare(b.replica) }))
}

func TestClockIsItsModel(t *testing.T) {
	replicas := testReplicas(8)
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyClock(replicas).Draw(t, "a"), anyClock(replicas).Draw(t, "b")
		x, y := a.clock(), b.clock()
		requireClock(t, a, x)
		require.Equal(t, ordering(a.within(b), b.within(a)), x.Compare(y))
		for _, r := range replicas {
			require.Equal(t, a[r], x.Get(r))
			for seq := range uint64(6) {
				require.Equal(t, seq > 0 && seq <= a[r], x.Has(Dot{r, seq}))
			}
		}
		changed := x.Merge(y)
		require.Equal(t, !b.within(a), changed)
		a.merge(b)
		requireClock(t, a, x)
		requireClock(t, b, y)
		require.False(t, x.Merge(y))
		require.False(t, x.Merge(x))
	})
}

func TestClockLaws(t *testing.T) {
	replicas := testReplicas(5)
	rapid.Check(t, func(t *rapid.T) {
		gen := anyClock(replicas)
		a, b, c := gen.Draw(t, "a").clock(), gen.Draw(t, "b").clock(), gen.Draw(t, "c").clock()
		join := func(x, y *Clock) *Clock { z := x.Clone(); z.Merge(y); return z }
		require.Equal(t, Equal, join(a, b).Compare(join(b, a)))
		require.Equal(t, Equal, join(join(a, b), c).Compare(join(a, join(b, c))))
		require.Equal(t, Equal, join(a, a).Compare(a))
		require.Contains(t, []Ordering{Before, Equal}, a.Compare(join(a, b)))
	})
}

func TestClockTick(t *testing.T) {
	replicas := testReplicas(5)
	rapid.Check(t, func(t *rapid.T) {
		var c Clock
		model := clockModel{}
		for _, r := range rapid.SliceOf(rapid.SampledFrom(replicas)).Draw(t, "ticks") {
			before := c.Clone()
			model[r]++
			require.Equal(t, Dot{r, model[r]}, c.Tick(r))
			require.Equal(t, After, c.Compare(before))
		}
		requireClock(t, model, &c)
	})
}

func TestClockExtremes(t *testing.T) {
	paris := Named("paris")
	full := Clock{entries: []entry{{paris, math.MaxUint64}}}
	require.True(t, full.Tick(paris).IsZero(), "used up")
	require.Equal(t, uint64(math.MaxUint64), full.Get(paris))
	require.True(t, full.Has(Dot{paris, math.MaxUint64}))

	var empty Clock
	require.True(t, empty.Tick(ReplicaID{}).IsZero(), "nobody mints nothing")
	require.Zero(t, empty.Len())
	require.False(t, empty.Has(Dot{}))
	require.Equal(t, Equal, empty.Compare(nil))
	require.Equal(t, After, full.Compare(nil))
	require.False(t, empty.Merge(nil))
	require.Equal(t, Equal, (*Clock)(nil).Clone().Compare(&empty))
	require.Equal(t, "{}", (*Clock)(nil).String())
}

func TestClockCloneIsIndependent(t *testing.T) {
	paris, tokyo := Named("paris"), Named("tokyo")
	var a Clock
	a.Tick(paris)
	b := a.Clone()
	b.Tick(paris)
	b.Tick(tokyo)
	require.Equal(t, "{paris:1}", a.String())
	require.Equal(t, "{paris:2 tokyo:1}", b.String())
	for range b.All() {
		break // an iteration may stop early
	}
}

func TestClockAllocatesOnlyForNewReplicas(t *testing.T) {
	replicas := testReplicas(32)
	var a, b, sparse Clock
	for i, r := range replicas {
		a.Tick(r)
		b.Tick(r)
		if i%3 == 0 {
			sparse.Tick(r)
			sparse.Tick(r)
		}
	}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		b.Tick(replicas[0])
		a.Merge(&b)
		a.Merge(&sparse)
		a.Compare(&b)
		a.Compare(&sparse)
		a.Get(replicas[7])
	}))
}
