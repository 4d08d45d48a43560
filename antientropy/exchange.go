package antientropy

import (
	"context"
	"errors"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Exchange reconciles with one peer now and returns what that did, which Events
// are told too. It needs no Run, and peer need not be one of Peers. Where another
// exchange with the peer is under way it waits for that first. A nil error says
// that the stores agreed on all that both had when it started, but for keys told
// to Events.OnRefused and those counted as deferred. An exchange that failed keeps
// what it had merged. Errors are those of the Caller, of [Round.Step], and of ctx.
func (l *Loop) Exchange(ctx context.Context, peer transport.NodeID) (Exchange, error) {
	if err := l.check(); err != nil {
		return Exchange{Peer: peer, Err: err}, err
	}
	l.mu.Lock()
	p := l.peer(peer)
	l.mu.Unlock()
	return l.exchange(ctx, p)
}

func (l *Loop) exchange(ctx context.Context, p *peer) (Exchange, error) {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return Exchange{Peer: p.id, Err: ctx.Err()}, ctx.Err()
	}
	start := time.Now()
	d := l.begin(p, start)
	round, err := l.drive(ctx, d)
	x := round.Result()
	x.Err, x.Duration = err, time.Since(start)
	l.end(ctx, d, round, x)
	l.Events.exchange(x)
	return x, err
}

// A driving is one reconciliation of the loop.
type driving struct {
	*peer
	cfg      RoundConfig
	patience time.Duration // for the first call
	probing  bool          // the peer did not answer before
	waited   bool          // deltas waited for the peer before
}

func (l *Loop) begin(p *peer, now time.Time) *driving {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.lastTry = now
	l.sessions++
	return &driving{
		peer:     p,
		patience: l.patience(p),
		probing:  p.reached == down,
		waited:   !l.outbox.Closed(p.id),
		cfg: RoundConfig{
			Peer:       p.id,
			MaxMessage: l.MaxMessage,
			Session:    l.sessions,
			Insist:     p.deferred,
			Refused:    l.refused,
			InFlight:   func(key string) bool { return l.holds(p.id, key) },
			Learned:    func(key string, novel []byte) { _ = l.put(key, novel, p.id) },
		},
	}
}

// start has deltas wait for the peer from before the snapshot that the round takes.
func (l *Loop) start(d *driving) *Round {
	l.mu.Lock()
	if d.leave != nil {
		l.outbox.Open(d.id)
	}
	l.mu.Unlock()
	return NewRound(l.Store, d.cfg)
}

// drive reconciles. A peer that did not answer before is first asked once, with a
// round of which nothing else comes: deltas are to wait for nobody who is away.
func (l *Loop) drive(ctx context.Context, d *driving) (*Round, error) {
	if d.probing {
		round := NewRound(l.Store, d.cfg)
		if err := l.step(ctx, d, round, d.patience, 1); err != nil {
			return round, err
		}
	}
	round, timeout := l.start(d), d.patience
	for {
		if _, _, more := round.Next(); !more {
			return round, ctx.Err()
		}
		if err := l.step(ctx, d, round, timeout, 2); err != nil {
			return round, err
		}
		timeout = l.timeout()
	}
}

// step lets the peer answer one request of the round.
func (l *Loop) step(ctx context.Context, d *driving, round *Round, timeout time.Duration, attempts int) error {
	method, req, more := round.Next()
	if !more {
		return nil
	}
	asked := time.Now()
	resp, err := l.call(ctx, d.peer, method, req, timeout, attempts)
	if err != nil {
		return err
	}
	if round.Result().RoundTrips == 0 {
		l.timed(d.peer, time.Since(asked))
	}
	return round.Step(ctx, resp)
}

func (l *Loop) timed(p *peer, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.roundTrip = max(d, time.Nanosecond)
}

// call calls p, so many times at most, and notes whether it answered.
func (l *Loop) call(ctx context.Context, p *peer, method string, req []byte, timeout time.Duration, attempts int) (resp []byte, err error) {
	for range attempts {
		resp, err = l.callOnce(ctx, p.id, method, req, timeout)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if unreached(err) {
			continue
		}
		if answered(err) {
			l.answered(p)
		}
		return resp, err
	}
	l.unanswered(p, err)
	return nil, err
}

func (l *Loop) callOnce(ctx context.Context, to transport.NodeID, method string, req []byte, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return l.Caller.Call(ctx, to, method, req)
}

// answered reports whether a call that ended with err reached the peer and came
// back.
func answered(err error) bool {
	_, remote := errors.AsType[*transport.RemoteError](err)
	return err == nil || remote
}

// unreached reports whether a call that ended with err found no peer. Neither is
// so for one that this side's transport refused to carry.
func unreached(err error) bool {
	return !answered(err) && !errors.Is(err, transport.ErrTooLarge)
}

// end notes how a reconciliation went.
func (l *Loop) end(ctx context.Context, d *driving, round *Round, x Exchange) {
	l.mu.Lock()
	bytes := l.settle(ctx, d, round, x)
	l.mu.Unlock()
	l.tellDropped(d.peer, bytes, x.Err)
}

func (l *Loop) settle(ctx context.Context, d *driving, round *Round, x Exchange) (dropped int) {
	p := d.peer
	p.counts.add(x)
	l.totals.add(x)
	switch {
	case x.Err == nil:
		p.failures, p.lastSync = 0, time.Now()
		p.deferred = round.Deferred()
		if p.leave != nil && l.outbox.Closed(p.id) {
			signal(p.due) // more was dropped meanwhile
		}
	case ctx.Err() != nil:
	default:
		p.failures++
	}
	if x.Err != nil && !d.waited { // it still needs a reconciliation
		dropped = l.drop(p)
	}
	return dropped
}
