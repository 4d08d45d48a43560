package antientropy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

func TestTheZeroPaceIsLAN(t *testing.T) {
	require.Equal(t, LAN(), Pace{}.filled())
	require.Equal(t, LAN(), LAN().filled())
	require.Equal(t, WAN(), WAN().filled())
	slow := Pace{Interval: time.Hour, MinInterval: 2 * time.Hour, GiveWay: -1, PushDelay: -1, Concurrent: -1}.filled()
	require.Equal(t, time.Hour, slow.MinInterval)
	require.Zero(t, slow.GiveWay+slow.PushDelay)
	require.Equal(t, -1, slow.Concurrent)
}

func TestTempo(t *testing.T) {
	p, c := LAN(), tempo{}
	require.False(t, c.after(false, p))
	require.Equal(t, time.Second, c.current(p))
	require.True(t, c.after(true, p))
	require.False(t, c.after(true, p))
	require.Equal(t, p.MinInterval, c.current(p))
	for range 5 {
		c.after(false, p)
	}
	require.Equal(t, time.Second, c.current(p))
}

func TestBucket(t *testing.T) {
	var none bucket
	none.take(0, 1<<40)
	require.Zero(t, none.wait(0))
	b := newBucket(1000, 500)
	b.take(0, 500)
	require.Zero(t, b.wait(0))
	b.take(0, 2000)
	require.Equal(t, 2*time.Second, b.wait(0))
	require.Equal(t, time.Second, b.wait(time.Second))
	require.Zero(t, b.wait(time.Hour))
	require.Equal(t, 500.0, b.level, "no more than the burst is saved up")
	b.take(0, 0) // time never goes back
	require.Equal(t, time.Hour, b.at)
}

// Over any takings the bytes stay within the rate and one message.
func TestBucketKeepsToItsRate(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	b, now, sum := newBucket(10_000, 1000), time.Duration(0), 0
	for range 1000 {
		now += b.wait(now) + time.Duration(random.IntN(1000))*time.Microsecond
		n := random.IntN(1000)
		b.take(now, n)
		sum += n
		require.LessOrEqual(t, float64(sum), 2500+1000+10_000*now.Seconds())
	}
}

func TestChoosers(t *testing.T) {
	peers := []transport.NodeID{"eu1", "eu2", "us1", "us2", "us3"}
	zone := func(id transport.NodeID) string { return string(id[:2]) }
	random := rand.New(rand.NewPCG(1, 1))
	count := func(c Chooser, turns int) (n [5]int) {
		for turn := range turns {
			n[c.Choose(peers, uint64(turn), random)]++
		}
		return n
	}
	require.Equal(t, [5]int{20, 20, 20, 20, 20}, count(RoundRobin{}, 100))
	for _, n := range count(Random{}, 1000) {
		require.InDelta(t, 200, n, 60)
	}
	require.Equal(t, [5]int{45, 45, 4, 3, 3}, count(Zones{Of: zone, Self: "eu"}, 100))
	require.Equal(t, [5]int{25, 25, 17, 17, 16}, count(Zones{Of: zone, Self: "eu", Across: 0.5}, 100))
	require.Equal(t, [5]int{50, 50, 0, 0, 0}, count(Zones{Of: zone, Self: "eu", Across: -1}, 100))
	require.Equal(t, [5]int{20, 20, 20, 20, 20}, count(Zones{Of: zone, Self: "asia", Across: -1}, 100))
	peers = peers[2:]
	require.Equal(t, [5]int{34, 33, 33}, count(Zones{Of: zone, Self: "us"}, 100))
}

// The chooser is asked at each interval for the peers that answer, with no lock held.
func TestTheLoopAsksItsChooser(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var asked []string
		var r *rig
		r = newRig(t, func(l *Loop) {
			l.Interval, l.Fanout = time.Second, 2
			l.Choose = chooserFunc(func(peers []transport.NodeID, turn uint64) int {
				r.loop.Stats()
				asked = append(asked, fmt.Sprint(turn, peers))
				return len(peers) - 1
			})
		}, "d", "c", "b")
		r.set(func() { delete(r.there, "c") })
		r.run()
		time.Sleep(1200 * time.Millisecond)
		r.stop()
		require.Equal(t, []string{"0 [b d]", "1 [b]"}, asked)
	})
}

type chooserFunc func(peers []transport.NodeID, turn uint64) int

func (f chooserFunc) Choose(peers []transport.NodeID, turn uint64, _ *rand.Rand) int {
	return f(peers, turn)
}

// While there is something to repair reconciliations come quickly, and slow down
// when there is not.
func TestTheIntervalAdapts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.Interval, l.MinInterval = 10*time.Second, 100*time.Millisecond }, "b")
		r.run()
		time.Sleep(30 * time.Second)
		before := r.stats("b").Reconciliations
		r.peer("b").add("first", 1)
		r.loop.Kick("b")
		for i := range 100 {
			r.peer("b").add(fmt.Sprint(i), 1) // and nobody pushes it
			time.Sleep(100 * time.Millisecond)
		}
		fast := r.stats("b").Reconciliations - before
		require.Greater(t, fast, uint64(80), "in ten seconds")
		time.Sleep(20 * time.Second)
		before = r.stats("b").Reconciliations
		time.Sleep(100 * time.Second)
		require.LessOrEqual(t, r.stats("b").Reconciliations-before, uint64(12))
	})
}

func TestABusyApplicationIsGivenWay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var busy atomic.Bool
		r := newRig(t, func(l *Loop) { l.Busy, l.GiveWay, l.MaxMessage = busy.Load, time.Second, small }, "b")
		r.run()
		busy.Store(true)
		for i := range 100 {
			r.peer("b").add(fmt.Sprint(i), 1)
		}
		start := time.Now()
		r.loop.Kick("b")
		time.Sleep(1500 * time.Millisecond)
		r.store.add("urgent", 1)
		time.Sleep(10 * time.Millisecond)
		require.Contains(t, r.peer("b").content(), "urgent", "updates do not wait")
		require.NotEqual(t, r.store.root(), r.peer("b").root())
		r.agree("b", 40*time.Second)
		took := time.Since(start)
		require.Greater(t, took, 5*time.Second, "a second for each request")

		time.Sleep(time.Minute)
		r.peer("b").add("x", 1)
		start = time.Now()
		_, err := r.loop.Exchange(t.Context(), "b")
		require.NoError(t, err)
		require.Zero(t, time.Since(start), "by hand at once")

		r.peer("b").add("y", 1)
		r.loop.Kick("b")
		time.Sleep(100 * time.Millisecond)
		busy.Store(false)
		r.agree("b", 2*glance)
	})
}

func TestBytesPerSecondHoldsReconciliationsBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.BytesPerSecond, l.MaxMessage = 10_000, small }, "b")
		r.run()
		for i := range 1000 {
			r.peer("b").add(fmt.Sprint(i), elements(10)...)
		}
		start := time.Now()
		x, err := r.loop.Exchange(t.Context(), "b")
		require.NoError(t, err)
		require.InEpsilon(t, float64(x.BytesSent+x.BytesReceived)/10_000, time.Since(start).Seconds(), 0.1)
		r.store.add("k", 1)
		r.agree("b", 10*time.Millisecond)
	})
}

func TestSoManyRepairAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		peers := []transport.NodeID{"b", "c", "d", "e", "f"}
		r := newRig(t, func(l *Loop) { l.Concurrent = 2 }, peers...)
		pulling, most := 0, 0
		r.fault = func(_ context.Context, _ transport.NodeID, method string, serve func() ([]byte, error)) ([]byte, error) {
			if !strings.HasSuffix(method, "pull") {
				return serve()
			}
			r.set(func() { pulling++; most = max(most, pulling) })
			time.Sleep(time.Second)
			r.set(func() { pulling-- })
			return serve()
		}
		for _, id := range peers {
			r.peer(id).add(string(id), 1)
		}
		r.store.add("not empty", 1)
		r.run()
		time.Sleep(10 * time.Second)
		r.stop()
		require.Equal(t, 2, most)
		require.Len(t, r.store.content(), 6)
	})
}
