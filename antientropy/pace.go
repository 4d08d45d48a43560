package antientropy

import (
	"cmp"
	"time"
)

// A Pace is when a [Loop] does what, and how much of it at once. The zero Pace is
// that of [LAN].
type Pace struct {
	// Interval is the time from one reconciliation to the next while all are equal,
	// give or take a tenth, and the longest pause between two attempts to reach a peer
	// that does not answer. If zero, one second.
	Interval time.Duration

	// MinInterval is the time to the next one after one that found something to
	// repair. With each that finds nothing it doubles, up to Interval. If zero, a
	// tenth of Interval; if as much as Interval, it is always that.
	MinInterval time.Duration

	// Fanout is how many peers each interval reconciles with. If zero, one.
	Fanout int

	// Concurrent is how many reconciliations may repair at once; to compare needs no
	// permission. If zero, four; if negative, any number.
	Concurrent int

	// BytesPerSecond bounds what calls of this node carry, both ways. Reconciliations
	// wait for it; updates do not, so that they come first, but they count. It may be
	// used up ahead by the quarter of a second, or one message. If zero, no bound.
	BytesPerSecond int

	// GiveWay is how long each request of a reconciliation waits while [Loop.Busy]. If
	// zero, 100 ms; if negative, it does not.
	GiveWay time.Duration

	// PushDelay is how long an update waits for others to be sent with it. If zero,
	// 5 ms; if negative, none.
	PushDelay time.Duration

	// Patience is [Broadcast.Patience], for Lazy propagation. If zero, 300 ms.
	Patience time.Duration

	// Timeout bounds each call. If zero, 5 s. The first call of a reconciliation is a
	// short one, by which a peer that does not answer is noticed: it is given four
	// times what it took the last time, but at least a second, if that is less.
	Timeout time.Duration

	// CollectEvery is the time from one [Loop.Collect] to the next, give or take a tenth,
	// at the member of the [Epoch] that proposes. If zero, one minute; if negative,
	// nothing is collected but by hand.
	CollectEvery time.Duration

	// Quiet is how long a deletion must have been left alone before it is proposed to be
	// forgotten. It should be longer than updates take to get everywhere, or they are
	// lifted over what was forgotten meanwhile, which is right and costs a little. If
	// zero, one minute; if negative, no time.
	Quiet time.Duration
}

// LAN returns the Pace for peers within a data centre: differences are looked for
// every second, and updates arrive within milliseconds. Its fields may be changed.
func LAN() Pace {
	return Pace{
		Interval: time.Second, MinInterval: 100 * time.Millisecond, Fanout: 1, Concurrent: 4,
		GiveWay: 100 * time.Millisecond, PushDelay: 5 * time.Millisecond, Patience: 300 * time.Millisecond, Timeout: 5 * time.Second,
		CollectEvery: time.Minute, Quiet: time.Minute,
	}
}

// WAN returns the Pace for peers far apart, where traffic is dear and answers take a
// while: differences are looked for every ten seconds, and more updates share a
// message. Its fields may be changed; one may want to set BytesPerSecond.
func WAN() Pace {
	return Pace{
		Interval: 10 * time.Second, MinInterval: time.Second, Fanout: 1, Concurrent: 2,
		GiveWay: time.Second, PushDelay: 50 * time.Millisecond, Patience: 2 * time.Second, Timeout: 15 * time.Second,
		CollectEvery: 10 * time.Minute, Quiet: 10 * time.Minute,
	}
}

// filled is p with the defaults in place.
func (p Pace) filled() Pace {
	d := LAN()
	p.Interval = positive(p.Interval, d.Interval)
	p.MinInterval = min(positive(p.MinInterval, p.Interval/10), p.Interval)
	p.Fanout = max(p.Fanout, 1)
	p.Concurrent = cmp.Or(p.Concurrent, d.Concurrent)
	p.GiveWay = max(0, cmp.Or(p.GiveWay, d.GiveWay))
	p.PushDelay = max(0, cmp.Or(p.PushDelay, d.PushDelay))
	p.Patience = positive(p.Patience, d.Patience)
	p.Timeout = positive(p.Timeout, d.Timeout)
	p.CollectEvery = cmp.Or(p.CollectEvery, d.CollectEvery)
	p.Quiet = max(0, cmp.Or(p.Quiet, d.Quiet))
	return p
}

func positive(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// A tempo is how long the interval is at present: short while there is something to
// repair, longer and longer while there is not.
type tempo struct{ interval time.Duration }

// after notes how a reconciliation ended and reports whether the next is to come
// sooner than was planned.
func (t *tempo) after(repaired bool, p Pace) (sooner bool) {
	before := t.current(p)
	if repaired {
		t.interval = p.MinInterval
	} else {
		t.interval = min(2*before, p.Interval)
	}
	return t.interval < before
}

func (t *tempo) current(p Pace) time.Duration { return cmp.Or(t.interval, p.Interval) }

// A bucket bounds a rate of bytes. What has been taken may be more than there was;
// then one has to wait. The zero bucket has no bound.
type bucket struct {
	rate  float64 // bytes a second; none if zero
	burst float64 // the most there is
	level float64
	at    time.Duration // when it was so
}

func newBucket(rate, message int) bucket {
	burst := max(float64(rate)/4, float64(message))
	return bucket{rate: float64(max(rate, 0)), burst: burst, level: burst}
}

func (b *bucket) take(now time.Duration, bytes int) {
	if b.rate > 0 {
		b.fill(now)
		b.level -= float64(bytes)
	}
}

// wait is how long it is until there is something again.
func (b *bucket) wait(now time.Duration) time.Duration {
	if b.rate == 0 {
		return 0
	}
	b.fill(now)
	return max(0, time.Duration(-b.level/b.rate*float64(time.Second)))
}

func (b *bucket) fill(now time.Duration) {
	if now > b.at {
		b.level = min(b.burst, b.level+b.rate*(now-b.at).Seconds())
		b.at = now
	}
}
