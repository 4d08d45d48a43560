package antientropy

import (
	"context"
	"time"
)

// A Need says with how many peers a Loop is to have caught up.
type Need struct {
	// Peers is how many. If zero, all.
	Peers int

	// WithoutDown says that a peer which was called and did not answer need not be
	// waited for. Where none answers there is nobody to wait for.
	WithoutDown bool
}

// met reports whether it is enough to have caught up with so many of all, so many
// of the others being down.
func (n Need) met(verified, down, all int) bool {
	want := all
	if n.Peers > 0 {
		want = n.Peers
	}
	if n.WithoutDown {
		want = min(want, all-down)
	}
	return verified >= want
}

// Ready waits until the Store holds all that the peers had when Run began: until an
// exchange with each of them, or with as many as are needed, has been completed
// since, whoever started it here. What had been left to deltas under way is waited
// for too. Keys that were refused are not, as they are told to Events. While Run is
// not running, it waits for that. Of peers with which nothing is shared it does not wait,
// and of the others for what was shared when the exchange began. The error is that of ctx.
func (l *Loop) Ready(ctx context.Context, need Need) error {
	for {
		met, changed := l.ready(need)
		if met {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ready reports whether a need is met, and if not, what closes when that may have
// changed.
func (l *Loop) ready(need Need) (met bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setup()
	var verified, away, all int
	for _, p := range l.peers {
		switch {
		case p.leave == nil || p.stranger:
			continue
		case p.verified:
			verified++
		case p.reached == down:
			away++
		}
		all++
	}
	return l.joined && need.met(verified, away, all), l.changed
}

// change has those who wait in Ready look again. l.mu is held.
func (l *Loop) change() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// verify notes an exchange with p that was completed. Positions that it left to
// deltas the next one insists on, so that with two in a row all is there that the
// peer had before the first. l.mu is held.
func (l *Loop) verify(p *peer, deferred int) {
	switch {
	case p.leave == nil || p.verified:
		return
	case deferred == 0 || p.deferring:
		p.verified = true
		l.change()
	default:
		p.deferring = true
		signal(p.due)
	}
}

// missing is what an exchange that is not over is known to have left to do, and how
// fast it went so far.
type missing struct {
	keys  int     // known to be missing, here or there
	speed float64 // keys a second, so far
}

func (m *missing) note(round *Round, took time.Duration) {
	x := round.Result()
	m.keys = round.Remaining()
	if moved := x.KeysReceived + x.KeysSent; moved > 0 && took > 0 {
		m.speed = float64(moved) / took.Seconds()
	}
}

// eta is when the rest will have come, zero if there is no telling.
func (m *missing) eta() time.Duration {
	if m.speed == 0 {
		return 0
	}
	return time.Duration(float64(m.keys) / m.speed * float64(time.Second))
}
