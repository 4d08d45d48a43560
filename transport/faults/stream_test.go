package faults

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

const many = 20000

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// fates decides about many messages of a link, a second apart.
func fates(seed uint64, on pair, cfg Link) []fate {
	l := newLink(seed, on)
	all := make([]fate, many)
	for i := range all {
		all[i] = l.decide(Request, l.streams[Request].next(), cfg, 0, 0, epoch.Add(time.Duration(i)*time.Second))
	}
	return all
}

func count(all []fate, is func(fate) bool) (n int) {
	for _, f := range all {
		if is(f) {
			n++
		}
	}
	return n
}

// Each fault happens as often as its probability says, within four standard
// deviations, and exactly as often as it always did with this seed.
func TestFaultsHappenAsOftenAsTheySay(t *testing.T) {
	lost := func(f fate) bool { return f.copies == 0 }
	twice := func(f fate) bool { return f.copies == 2 }
	held := func(f fate) bool { return f.reordered }
	for _, c := range []struct {
		name string
		p    float64
		link Link
		is   func(fate) bool
		want int
	}{
		{"never lost", 0, Link{}, lost, 0},
		{"loss", 0.05, Link{Loss: 0.05}, lost, 1031},
		{"always lost", 1, Link{Loss: 1}, lost, many},
		{"duplicate", 0.1, Link{Duplicate: 0.1}, twice, 2012},
		{"always twice", 1, Link{Duplicate: 1}, twice, many},
		{"reorder", 0.3, Link{Reorder: 0.3}, held, 6000},
		{"reorder of what is not lost", 0.3 * 0.5, Link{Reorder: 0.3, Loss: 0.5}, held, 2984},
	} {
		got := count(fates(7, pair{"a", "b"}, c.link), c.is)
		require.InDelta(t, c.p*many, got, 4*math.Sqrt(many*c.p*(1-c.p)), c.name)
		require.Equal(t, c.want, got, c.name)
	}
}

func TestJitterIsUniform(t *testing.T) {
	var tenths [10]int
	for _, f := range fates(3, pair{"a", "b"}, Link{Latency: time.Millisecond, Jitter: 10 * time.Millisecond}) {
		tenths[(f.delays[0]-time.Millisecond)/time.Millisecond]++
	}
	for _, n := range tenths {
		require.InDelta(t, many/10, n, 4*math.Sqrt(many*0.1*0.9))
	}
}

// The decisions about a link are those of its seed and its name, and of nothing else.
func TestDecisionsAreOfSeedAndLink(t *testing.T) {
	cfg := Link{Loss: 0.1, Duplicate: 0.1, Reorder: 0.1, Latency: time.Millisecond, Jitter: time.Millisecond}
	same := fates(1, pair{"a", "b"}, cfg)
	require.Equal(t, same, fates(1, pair{"a", "b"}, cfg))
	require.NotEqual(t, same, fates(2, pair{"a", "b"}, cfg))
	require.NotEqual(t, same, fates(1, pair{"b", "a"}, cfg))
}

// What a link was set to when earlier messages were sent changes nothing of later ones,
// once those have arrived.
func TestDecisionsDoNotDependOnThePast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := Link{Loss: 0.3, Duplicate: 0.3, Delay: uniform(time.Second)}
		before := rapid.SampledFrom([]Link{{}, {Loss: 1}, {Duplicate: 1, Reorder: 1}, {Delay: greedy{}}}).Draw(t, "before")
		n := rapid.IntRange(0, 6).Draw(t, "n")
		last := func(first Link) (f fate) {
			l, cfg := newLink(5, pair{"a", "b"}), first
			for i := range n + 1 {
				if i == n {
					cfg = now
				}
				c := l.streams[Reply].next()
				f = l.decide(Reply, c, cfg, l.streams[Reply].sample(cfg.Delay, c.n), 0, epoch.Add(time.Duration(i)*(far+1)))
			}
			return f
		}
		require.Equal(t, last(now), last(before))
	})
}

type uniform time.Duration

func (u uniform) Sample(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(u))) }

// greedy draws more often than others, and what no latency can be.
type greedy struct{}

func (greedy) Sample(r *rand.Rand) time.Duration {
	for range r.IntN(100) {
		r.Uint64()
	}
	return time.Duration(r.Uint64())
}

// Whatever a link is set to, a message arrives after what can be reckoned with.
func TestDelaysAreBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		any := rapid.Int64()
		l := newLink(1, pair{"a", "b"})
		for i := range 10 {
			cfg := Link{
				Latency: time.Duration(any.Draw(t, "latency")), Jitter: time.Duration(any.Draw(t, "jitter")),
				Duplicate: 1, Reorder: rapid.SampledFrom([]float64{0, 1}).Draw(t, "reorder"),
				Bandwidth: int(rapid.Int32().Draw(t, "bandwidth")), Burst: int(rapid.Int32().Draw(t, "burst")), Delay: greedy{},
			}
			c := l.streams[Request].next()
			f := l.decide(Request, c, cfg, l.streams[Request].sample(cfg.Delay, c.n), int(rapid.Int32().Draw(t, "size")), epoch)
			require.Equal(t, 2, f.copies, i)
			require.GreaterOrEqual(t, f.delays[0], time.Duration(0))
			require.GreaterOrEqual(t, f.delays[1], f.delays[0])
		}
	})
}

// A message arrives within what its link's settings allow, and goes to the bounds.
func TestMessagesArriveInTheirTime(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct {
		link        Link
		extra       time.Duration
		least, most time.Duration // of the first copy
		spread      time.Duration // of the second after the first
	}{
		{Link{Latency: 10 * ms}, 0, 10 * ms, 10 * ms, 10 * ms},
		{Link{Latency: 10 * ms, Jitter: 5 * ms}, 0, 10 * ms, 15 * ms, 15 * ms},
		{Link{Latency: 10 * ms, Jitter: 5 * ms}, 20 * ms, 30 * ms, 35 * ms, 35 * ms},
		{Link{Reorder: 1}, 0, 0, 1 * ms, 0},
		{Link{Reorder: 1, Latency: 10 * ms, Jitter: 5 * ms}, 20 * ms, 30 * ms, 70 * ms, 35 * ms},
	} {
		c.link.Duplicate = 1
		l := newLink(3, pair{"a", "b"})
		first, second := map[string]time.Duration{"least": far}, time.Duration(0)
		for i := range many {
			f := l.decide(Request, l.streams[Request].next(), c.link, c.extra, 0, epoch.Add(time.Duration(i)*time.Second))
			first["least"], first["most"] = min(first["least"], f.delays[0]), max(first["most"], f.delays[0])
			second = max(second, f.delays[1]-f.delays[0])
			require.Equal(t, c.link.Reorder == 1, f.reordered)
			require.False(t, f.reordered && f.delays[0] <= c.least, "it is held back at all")
		}
		require.InDelta(t, c.least, first["least"], float64(ms)/2)
		require.InDelta(t, c.most, first["most"], float64(ms)*1.5)
		require.InDelta(t, c.spread, second, float64(ms)/2)
		require.GreaterOrEqual(t, first["least"], c.least)
		require.LessOrEqual(t, first["most"], c.most+1)
		require.LessOrEqual(t, second, c.spread)
	}
}

// What is sent later on a link arrives later, of each kind for itself, unless it is
// reordered; and it waits no longer than for that.
func TestOrderIsKept(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLink(rapid.Uint64().Draw(t, "seed"), pair{"a", "b"})
		cfg := Link{Latency: time.Duration(rapid.IntRange(0, 100).Draw(t, "latency")), Jitter: time.Duration(rapid.IntRange(0, 1000).Draw(t, "jitter"))}
		now, last := time.Duration(0), [2]time.Duration{-1, -1}
		for range 50 {
			now += time.Duration(rapid.IntRange(0, 200).Draw(t, "pause"))
			k := Kind(rapid.IntRange(0, 1).Draw(t, "kind"))
			f := l.decide(k, l.streams[k].next(), cfg, 0, 0, epoch.Add(now))
			at := now + f.delays[0]
			if last[k] > now {
				require.Greater(t, at, last[k])
			}
			require.LessOrEqual(t, at, max(now+cfg.Latency+cfg.Jitter, last[k]+1))
			last[k] = at
		}
	})
}

// Two samples of a link differ, and so do those of two links.
func TestSamplesAreIndependent(t *testing.T) {
	seen := make(map[time.Duration]bool)
	for _, on := range []pair{{"a", "b"}, {"b", "a"}, {"a", "c"}} {
		l := newLink(1, on)
		for k := range l.streams {
			for n := range uint64(1000) {
				seen[l.streams[k].sample(uniform(far), n)] = true
			}
		}
	}
	require.Len(t, seen, 6000)
}

// A link with a bandwidth is a token bucket: in no time does more come out of it than
// the burst and what the bandwidth carries, and nothing waits that need not.
func TestBandwidthIsATokenBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Link{Bandwidth: rapid.IntRange(1, 1e6).Draw(t, "bandwidth"), Burst: rapid.IntRange(0, 1e5).Draw(t, "burst")}
		l := newLink(1, pair{"a", "b"})
		now, refilled, tokens := time.Duration(0), 0.0, float64(cfg.Burst)
		var through []time.Duration
		var sizes []int
		for range rapid.IntRange(1, 40).Draw(t, "n") {
			now += time.Duration(rapid.IntRange(0, int(time.Second)).Draw(t, "pause"))
			bytes := rapid.IntRange(0, 1e5).Draw(t, "size")
			out := now + l.queue(cfg, bytes, epoch.Add(now))

			// The bucket itself: what is not there when the message comes is waited for.
			tokens = min(float64(cfg.Burst), tokens+(now.Seconds()-refilled)*float64(cfg.Bandwidth)) - float64(bytes)
			refilled = now.Seconds()
			want := now.Seconds() + max(0, -tokens)/float64(cfg.Bandwidth)
			require.InDelta(t, want, out.Seconds(), 1e-6)

			through, sizes = append(through, out), append(sizes, bytes)
			sum := 0
			for i := len(through) - 1; i >= 0; i-- {
				sum += sizes[i]
				first := through[i] - transfer(sizes[i], cfg.Bandwidth) // when its first byte left
				carried := float64(cfg.Burst) + (out-first).Seconds()*float64(cfg.Bandwidth)
				require.LessOrEqual(t, float64(sum), carried+1)
			}
		}
	})
}
