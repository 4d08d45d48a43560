package vclock

import (
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// wallClock is a physical clock that tests set.
type wallClock struct{ now int64 }

func (w *wallClock) Now() time.Time { return time.Unix(0, w.now) }

func newHLC(name string) (*HLC, *wallClock) {
	w := &wallClock{now: 1_000_000}
	return &HLC{Replica: Named(name), MaxDrift: 100, Now: w.Now}, w
}

func TestStampFollowsThePhysicalClock(t *testing.T) {
	paris := Named("paris")
	h, w := newHLC("paris")
	require.True(t, h.Last().IsZero())
	require.Equal(t, Timestamp{1_000_000, 0, paris}, h.Stamp())
	require.Equal(t, Timestamp{1_000_000, 1, paris}, h.Stamp(), "the clock stands still")
	w.now += 5
	require.Equal(t, Timestamp{1_000_005, 0, paris}, h.Stamp())
	w.now -= 1000
	require.Equal(t, Timestamp{1_000_005, 1, paris}, h.Stamp(), "the clock went back")
	require.Equal(t, Timestamp{1_000_005, 1, paris}, h.Last())
}

func TestLogicalOverflowCarries(t *testing.T) {
	h, w := newHLC("paris")
	h.Floor(Timestamp{Wall: w.now, Logical: math.MaxUint32})
	require.Equal(t, Timestamp{w.now + 1, 0, h.Replica}, h.Stamp())
	require.NoError(t, h.Observe(Timestamp{Wall: w.now + 1, Logical: math.MaxUint32}))
	require.Equal(t, Timestamp{w.now + 2, 0, h.Replica}, h.Stamp())
}

func TestStampAtTheEndOfTime(t *testing.T) {
	h, _ := newHLC("paris")
	h.Floor(Timestamp{Wall: math.MaxInt64, Logical: math.MaxUint32 - 1})
	last := h.Stamp()
	require.Equal(t, uint32(math.MaxUint32), last.Logical)
	require.True(t, h.Stamp().IsZero(), "there is no later one")
	require.Equal(t, last, h.Last())
}

func TestPhysicalClockOutOfRange(t *testing.T) {
	var now time.Time
	h := &HLC{Replica: Named("paris"), Now: func() time.Time { return now }}
	require.Equal(t, Timestamp{0, 1, h.Replica}, h.Stamp(), "the year 1")
	now = time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)
	require.Equal(t, Timestamp{0, 2, h.Replica}, h.Stamp())
	require.Error(t, h.Observe(Timestamp{Wall: math.MaxInt64}))
	now = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, Timestamp{math.MaxInt64, 0, h.Replica}, h.Stamp())
	require.Equal(t, Timestamp{math.MaxInt64, 1, h.Replica}, h.Stamp())
}

func TestObserve(t *testing.T) {
	h, w := newHLC("paris")
	tokyo := Named("tokyo")
	ahead := Timestamp{w.now + 100, 7, tokyo}
	require.NoError(t, h.Observe(ahead), "as far ahead as it may be")
	require.Equal(t, Timestamp{w.now + 100, 8, h.Replica}, h.Stamp())
	require.NoError(t, h.Observe(Timestamp{w.now - 5000, 0, tokyo}), "the past is no news")
	require.Equal(t, Timestamp{w.now + 100, 9, h.Replica}, h.Stamp())
	require.NoError(t, h.Observe(Timestamp{math.MinInt64, 0, tokyo}))

	last, far := h.Last(), Timestamp{w.now + 101, 0, tokyo}
	err := h.Observe(far)
	require.Equal(t, &DriftError{Remote: far, Ahead: 101, Max: 100}, err)
	require.ErrorContains(t, err, "is 101ns ahead of the clock, more than 100ns")
	require.Equal(t, last, h.Last(), "a refusal leaves the clock as it was")
	require.Error(t, h.Observe(Timestamp{Wall: math.MaxInt64, Logical: math.MaxUint32}))
	require.Equal(t, last, h.Last())

	w.now -= 10_000
	require.NoError(t, h.Observe(ahead), "own past is accepted though the physical clock went back")
	require.NoError(t, h.Observe(Timestamp{last.Wall, last.Logical, tokyo}), "and so is the same moment elsewhere")
	require.Error(t, h.Observe(Timestamp{last.Wall + 1, 0, tokyo}))
}

func TestMaxDriftDefaultsToOneMinute(t *testing.T) {
	for _, limit := range []time.Duration{0, -1, math.MinInt64} {
		h, w := newHLC("paris")
		h.MaxDrift = limit
		require.NoError(t, h.Observe(Timestamp{Wall: w.now + int64(time.Minute)}))
		require.Error(t, h.Observe(Timestamp{Wall: w.now + int64(time.Minute) + 1}))
	}
}

func TestFloorSurvivesRestart(t *testing.T) {
	before, w := newHLC("paris")
	w.now += 1_000_000
	last := before.Stamp()

	after, w := newHLC("paris") // its physical clock starts lower
	after.Floor(last)
	require.Equal(t, last, after.Last())
	require.Equal(t, 1, after.Stamp().Compare(last))
	after.Floor(Timestamp{Wall: w.now})
	require.Equal(t, 1, after.Stamp().Compare(last), "a floor never lowers")
}

// Any steps of the physical clock, any observations: stamps strictly increase, are later than everything
// that was accepted, and stay within the drift of the highest physical time seen.
func TestHLCIsMonotonicAndBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h, w := newHLC("paris")
		highest, latest := w.now, Timestamp{}
		steps := rapid.IntRange(1, 60).Draw(t, "steps")
		for range steps {
			w.now += rapid.Int64Range(-300, 300).Draw(t, "tick")
			highest = max(highest, w.now)
			if rapid.Bool().Draw(t, "observe") {
				remote := Timestamp{w.now + rapid.Int64Range(-200, 200).Draw(t, "skew"), rapid.Uint32().Draw(t, "logical"), Named("tokyo")}
				last := h.Last()
				refused := remote.Wall > w.now+100 && remote.compareTime(last) > 0
				require.Equal(t, refused, h.Observe(remote) != nil)
				if refused {
					require.Equal(t, last, h.Last())
				} else if remote.Compare(latest) > 0 {
					latest = remote
				}
			}
			stamp := h.Stamp()
			require.Equal(t, 1, stamp.Compare(latest))
			require.GreaterOrEqual(t, stamp.Wall, w.now)
			require.LessOrEqual(t, stamp.Wall, highest+100+int64(steps))
			latest = stamp
		}
	})
}

// Messages carry stamps between replicas whose clocks disagree: what is caused comes later.
func TestCausesComeBeforeEffects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var clocks []*HLC
		for _, r := range testReplicas(3) {
			w := &wallClock{now: rapid.Int64Range(1, 50).Draw(t, "clock")}
			clocks = append(clocks, &HLC{Replica: r, MaxDrift: time.Hour, Now: w.Now})
		}
		seen := make(map[Timestamp]bool)
		for range rapid.IntRange(1, 40).Draw(t, "messages") {
			from := rapid.SampledFrom(clocks).Draw(t, "from")
			to := rapid.SampledFrom(clocks).Draw(t, "to")
			sent := from.Stamp()
			require.NoError(t, to.Observe(sent))
			received := to.Stamp()
			require.Equal(t, 1, received.Compare(sent))
			require.False(t, seen[sent] || seen[received], "stamps are unique")
			seen[sent], seen[received] = true, true
		}
	})
}

func TestHLCConcurrentUse(t *testing.T) {
	h := &HLC{Replica: Named("paris"), MaxDrift: time.Hour}
	const workers, each = 8, 2000
	stamps := make([][]Timestamp, workers)
	var wg sync.WaitGroup
	for i := range workers {
		wg.Go(func() {
			for range each {
				s := h.Stamp()
				stamps[i] = append(stamps[i], s)
				if h.Observe(Timestamp{s.Wall + 10, s.Logical, Named("tokyo")}) != nil {
					t.Error("refused within the drift")
				}
				h.Floor(s)
				h.Last()
			}
		})
	}
	wg.Wait()
	all := slices.Concat(stamps...)
	for _, mine := range stamps {
		require.True(t, slices.IsSortedFunc(mine, Timestamp.Compare))
	}
	slices.SortFunc(all, Timestamp.Compare)
	require.Len(t, slices.Compact(all), workers*each, "no two stamps are equal")
}

func TestHLCFollowsVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &HLC{Replica: Named("paris")}
		first := h.Stamp()
		require.Equal(t, "2000-01-01T00:00:00Z@paris", first.String())
		require.Equal(t, "2000-01-01T00:00:00Z#1@paris", h.Stamp().String())
		<-time.After(90 * time.Second)
		require.Equal(t, 90*time.Second, h.Stamp().Time().Sub(first.Time()))
	})
}

func TestTimestampString(t *testing.T) {
	require.Equal(t, "none", Timestamp{}.String())
	require.Equal(t, "1970-01-01T00:00:00.000000001Z@", Timestamp{Wall: 1}.String())
	require.Equal(t, time.UTC, Timestamp{}.Time().Location())
}

func TestStampAllocatesNothing(t *testing.T) {
	h := &HLC{Replica: Named("paris")}
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = h.Observe(h.Stamp()) }))
}
