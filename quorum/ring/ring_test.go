package ring

import (
	"fmt"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

func TestPartitionsAreTheRangesOfPositions(t *testing.T) {
	for _, n := range []int{1, 2, 256, MaxPartitions} {
		r := newRing(t, n, 1, fleet(1, 1))
		next := merkle.Position(0)
		for p := range n {
			span := r.Range(p)
			require.Equal(t, next, span.From)
			require.Equal(t, p, r.Partition(span.From))
			require.Equal(t, p, r.Partition(span.To))
			next = span.To + 1
		}
		require.Zero(t, next)
		require.Equal(t, []merkle.Range{merkle.Full}, r.Ranges("n0000"))
	}
}

func TestRangesAndSharedCoverWhatIsOwned(t *testing.T) {
	r := change(t, newRing(t, 64, 3, fleet(7, 3)), fleet(9, 3), 0)
	in := func(all []merkle.Range, p int) bool {
		for _, span := range all {
			if span.Contains(r.Range(p).From) {
				return span.Contains(r.Range(p).To)
			}
		}
		return false
	}
	for _, a := range r.Members() {
		for _, b := range r.Members() {
			shared := r.Shared(a.ID, b.ID)
			for p := range r.Partitions() {
				require.Equal(t, r.Owns(a.ID, p) && r.Owns(b.ID, p), in(shared, p))
			}
			for i := 1; i < len(shared); i++ {
				require.Greater(t, shared[i].From, shared[i-1].To+1)
			}
		}
	}
	require.Nil(t, r.Ranges("nobody"))
	require.Nil(t, r.Shared("n0000", "nobody"))
}

// What is asked of it: 100 nodes in three zones.
func TestLoadIsEven(t *testing.T) {
	r := newRing(t, 1024, 3, fleet(100, 3))
	requireSound(t, r)
	b := r.Balance()
	t.Logf("100 nodes, 1,024 partitions: max/mean %.4f, min/mean %.4f", b.Max, b.Min)
	require.LessOrEqual(t, b.Max, 1.1)
	joined := change(t, r, fleet(101, 3), 0)
	requireSound(t, joined)
	m := MovementOf(r, joined)
	t.Logf("the 101st: %d moved, %d at least, of %d", m.Moved, m.Least, 3*1024)
	require.LessOrEqual(t, float64(m.Moved), 1.2*float64(m.Least))
}

// Consistent hashing with bounded loads (buraksezer/consistent, which Olric uses) has a
// max/mean of 1.32 with 16 members, and moves 9.4 % for a 17th.
func TestASeventeenthMember(t *testing.T) {
	for _, replicas := range []int{1, 3} {
		r := newRing(t, 256, replicas, fleet(16, 1))
		next := change(t, r, fleet(17, 1), 0)
		m := MovementOf(r, next)
		all := float64(256 * replicas)
		t.Logf("%d replicas: max/mean %.3f of 16, %.3f of 17; moved %.2f %%, at least %.2f %%",
			replicas, r.Balance().Max, next.Balance().Max, 100*float64(m.Moved)/all, 100*float64(m.Least)/all)
		require.Equal(t, m.Least, m.Moved)
	}
}

func TestOneToManyMembersOfAnyNumberOfReplicas(t *testing.T) {
	for n := 1; n <= 9; n++ {
		for replicas := 1; replicas <= 9; replicas++ {
			for zones := 1; zones <= 4; zones++ {
				requireSound(t, newRing(t, 16, replicas, fleet(n, zones)))
			}
		}
	}
	all := newRing(t, 16, 5, fleet(3, 2))
	require.Len(t, all.At(3).Owners, 3)
	require.Empty(t, all.At(3).Fallbacks)
}

func TestZonesOfAnySize(t *testing.T) {
	members := fleet(12, 1)
	for i := range 2 {
		members[i].Zone = "small"
	}
	members[2].Zone = "single"
	for replicas := 1; replicas <= 12; replicas++ {
		requireSound(t, newRing(t, 64, replicas, members))
	}
}

func TestWeightsOfAnySize(t *testing.T) {
	for _, w := range [][]float64{{1, 2, 4}, {1e-300, 1, 1e300}, {math.SmallestNonzeroFloat64, math.MaxFloat64, 1}, {1, 1, 1000}} {
		members := fleet(9, 3)
		for i := range members {
			members[i].Weight = w[i%len(w)]
			members[i].Zone = fmt.Sprint(i / 3)
		}
		for replicas := 1; replicas <= 7; replicas++ {
			requireSound(t, newRing(t, 64, replicas, members))
		}
	}
	members := fleet(4, 1)
	members[0].Weight = 5
	require.Equal(t, map[transport.NodeID]int{"n0000": 160, "n0001": 32, "n0002": 32, "n0003": 32},
		newRing(t, 256, 1, members).Balance().Loads)
}

// Different partitions have different first owners, each as often as its weight says.
func TestPreferenceFollowsWeights(t *testing.T) {
	members := fleet(4, 1)
	members[0].Weight = 3
	r := newRing(t, 4096, 4, members)
	first := map[transport.NodeID]int{}
	for p := range r.Partitions() {
		first[r.At(p).Owners[0]]++
	}
	require.InDelta(t, 2048, first["n0000"], 150)
	for _, m := range members[1:] {
		require.InDelta(t, 683, first[m.ID], 100)
	}
}

func TestFallbacksAreInOtherZonesFirst(t *testing.T) {
	r := newRing(t, 64, 2, fleet(12, 4))
	for p := range r.Partitions() {
		pl := r.At(p)
		used := map[string]int{}
		for _, id := range pl.Owners {
			used[pl.Zones[id]]++
		}
		for _, id := range pl.Fallbacks[:2] {
			require.Zero(t, used[pl.Zones[id]])
			used[pl.Zones[id]]++
		}
		require.Len(t, used, 4)
		require.Len(t, pl.Fallbacks, 4)
	}
}

func TestScoresAreThoseOfLogarithms(t *testing.T) {
	for _, h := range []uint64{1, 2, 1 << 20, 12345678901234567, 1<<63 - 1, 1 << 63, 1<<64 - 1<<40, math.MaxUint64} {
		want := 64 - math.Log2(float64(h|1))
		require.InDelta(t, want, float64(negLog(h))/(1<<logBits), 1e-6)
	}
	require.Positive(t, negLog(math.MaxUint64))
	require.EqualValues(t, 1<<logBits, negLog(1<<63))
}

func TestPlaceAllocatesNothing(t *testing.T) {
	r := newRing(t, 256, 3, fleet(10, 3))
	require.Zero(t, testing.AllocsPerRun(100, func() { r.Place(merkle.Position(1) << 60) }))
}

func TestBadConfigurations(t *testing.T) {
	good := fleet(3, 1)
	with := func(change func(*Member)) Config {
		m := fleet(3, 1)
		change(&m[1])
		return Config{Members: m}
	}
	for name, c := range map[string]Config{
		"no members":   {},
		"odd":          {Partitions: 100, Members: good},
		"negative":     {Partitions: -4, Members: good},
		"many":         {Partitions: 2 * MaxPartitions, Members: good},
		"replicas":     {Replicas: -1, Members: good},
		"more":         {Replicas: MaxReplicas + 1, Members: good},
		"twice":        with(func(m *Member) { m.ID = "n0000" }),
		"empty":        with(func(m *Member) { m.ID = "" }),
		"long":         with(func(m *Member) { m.Zone = string(make([]byte, 256)) }),
		"NaN":          with(func(m *Member) { m.Weight = math.NaN() }),
		"infinite":     with(func(m *Member) { m.Weight = math.Inf(1) }),
		"less than 0":  with(func(m *Member) { m.Weight = -1 }),
		"too many all": {Partitions: MaxPartitions, Members: fleet(513, 1)},
	} {
		_, err := New(c)
		var e *ConfigError
		require.ErrorAs(t, err, &e, name)
	}
	r := newRing(t, 0, 0, good)
	require.Equal(t, 256, r.Partitions())
	require.Equal(t, 3, r.Replicas())
	_, err := r.Change(nil, 0)
	var e *ConfigError
	require.ErrorAs(t, err, &e)
}
