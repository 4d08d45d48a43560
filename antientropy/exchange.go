package antientropy

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// Exchange reconciles with one peer now and returns what that did, which Events
// are told too. It needs no Run, and peer need not be one of Peers; of what both hold
// by Shared, and if that is nothing there is nothing to do. Where another
// exchange with the peer is under way it waits for that first. A nil error says
// that the stores agreed on all that both had when it started, but for keys told
// to Events.OnRefused and those counted as deferred; there are deferred ones only
// where Run sends deltas to the peer. An exchange that failed keeps what it had
// merged, and has Run try again. Errors are those of the Caller, of [Round.Step],
// and of ctx.
func (l *Loop) Exchange(ctx context.Context, peer transport.NodeID) (Exchange, error) {
	if err := l.check(); err != nil {
		return Exchange{Peer: peer, Err: err}, err
	}
	p := l.visit(peer)
	defer l.depart(p)
	return l.exchange(ctx, &driving{peer: p})
}

func (l *Loop) visit(id transport.NodeID) *peer {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peer(id)
	p.guests++
	return p
}

// depart forgets a node that is none of the peers once the last exchange with it
// is over.
func (l *Loop) depart(p *peer) {
	member := l.member(p)
	l.mu.Lock()
	defer l.mu.Unlock()
	p.guests--
	if p.guests == 0 && !member && p.leave == nil && l.peers[p.id] == p {
		l.forget(p)
	}
}

// member reports whether p is one of the peers, of which Run, if it runs, knows.
func (l *Loop) member(p *peer) bool {
	l.mu.Lock()
	joined, running := p.leave != nil, l.running
	l.mu.Unlock()
	if joined || running || l.Peers == nil {
		return joined
	}
	return slices.Contains(l.Peers(), p.id)
}

func (l *Loop) exchange(ctx context.Context, d *driving) (Exchange, error) {
	d.slots, d.fillers = l.slots, l.filling
	if err := d.enter(ctx); err != nil {
		return Exchange{Peer: d.id, Err: err}, err
	}
	defer d.exit()
	if !l.delimit(d) {
		return Exchange{Peer: d.id}, ctx.Err()
	}
	l.membership()
	start := time.Now()
	l.begin(d, start)
	round, err := l.drive(ctx, d)
	x := round.Result()
	x.Err, x.Duration = err, time.Since(start)
	l.end(ctx, d, round, x)
	d.exit()
	d.news.tell(&l.Events)
	return x, err
}

// delimit finds out what the exchange is about, and reports whether it is about anything.
func (l *Loop) delimit(d *driving) bool {
	if d.asked {
		return true
	}
	ranges, any := l.sharedWith(d.id)
	l.mu.Lock()
	defer l.mu.Unlock()
	d.ranges = ranges
	l.strange(d.peer, !any)
	return any
}

// A driving is one reconciliation of the loop.
type driving struct {
	*peer
	ranges     []merkle.Range // that it is about; all if there are none
	asked      bool           // by somebody, whatever is shared
	give       bool           // nothing is to be taken
	inside     bool           // it has the peer's turn
	background bool           // it gives way
	occupying  bool           // it has one of the slots
	slots      chan struct{}
	filling    bool   // it streams
	fills      uint64 // how often others had filled the store when it began
	fillers    chan struct{}
	began      time.Time
	runs       uint64 // of Run, when it began
	cfg        RoundConfig
	patience   time.Duration // for the first call
	before     time.Time     // when the reconciliation began on whose rest this one insists
	voids      uint64        // of the peer's coverage, when it began
	probing    bool          // the peer did not answer before
	waited     bool          // deltas waited for the peer before
	compared   bool          // what is to be sent, once more
	news       news          // not yet told
}

// enter waits for the peer's turn.
func (d *driving) enter(ctx context.Context) error {
	select {
	case d.turn <- struct{}{}:
		d.inside = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// exit passes the turn on, if it was not, and the slot.
func (d *driving) exit() {
	d.vacate()
	d.unfill()
	if d.inside {
		d.inside = false
		<-d.turn
	}
}

// tell tells Events what is new, if anything is. Meanwhile others may have the
// turn: what is told may exchange with the same peer.
func (l *Loop) tell(ctx context.Context, d *driving) error {
	if len(d.news) == 0 {
		return nil
	}
	d.exit()
	d.news.tell(&l.Events)
	return d.enter(ctx)
}

func (l *Loop) begin(d *driving, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := d.peer
	p.lastTry, p.crossing.own = now, 0
	l.sessions++
	d.patience = l.patience(p)
	d.probing = p.reached == down
	d.waited = !l.out.Closed(p.id)
	d.fills, d.began, d.runs = l.fills, now, l.runs
	if !d.asked {
		p.covered.begin(d.ranges)
	}
	d.before, d.voids = p.covered.before, p.covered.voids
	d.cfg = RoundConfig{
		Peer:       p.id,
		MaxMessage: l.MaxMessage,
		Ranges:     d.ranges,
		Give:       d.give,
		Session:    l.sessions,
		Insist:     p.deferred,
		insistAll:  p.leave == nil || d.asked, // no deltas, and no next round, to leave anything to
		Refused:    func(r Refused) { l.refused(&d.news, r) },
		InFlight:   func(key string) bool { return l.holds(p.id, key) },
		Membership: &l.place,
		SetAside:   func(aside iter.Seq2[string, []byte]) { l.readmitted(d, aside) },
		Learned:    func(key string, novel []byte) { _ = l.put(&d.news, arrival{from: p.id, key: key, novel: novel}) },
	}
	if slices.Equal(d.ranges, l.cursorOf) {
		d.cfg.Resume = l.cursor
	}
}

// start has deltas wait for the peer from before the snapshot that the round takes; unless that
// is not of all that is shared, and would not make up for those that were dropped.
func (l *Loop) start(d *driving) *Round {
	l.mu.Lock()
	if d.leave != nil && !d.asked {
		l.out.Open(d.id)
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
	l.opens(d, round)
	for {
		if _, _, more := round.Next(); !more {
			return round, ctx.Err()
		}
		if err := l.cross(ctx, d, round); err != nil {
			return round, err
		}
		if err := l.fill(ctx, d, round); err != nil {
			return round, err
		}
		if round.Result().RoundTrips > 0 {
			if err := l.yield(ctx, d); err != nil {
				return round, err
			}
		}
		if err := l.step(ctx, d, round, timeout, 2); err != nil {
			return round, err
		}
		timeout = l.pace.Timeout
	}
}

// step lets the peer answer one request of the round.
func (l *Loop) step(ctx context.Context, d *driving, round *Round, timeout time.Duration, attempts int) error {
	method, req, more := round.Next()
	if !more {
		return nil
	}
	asked := time.Now()
	resp, err := l.call(ctx, d, method, req, timeout, attempts)
	if err != nil {
		return err
	}
	if round.Result().RoundTrips == 0 {
		l.timed(d.peer, time.Since(asked))
	}
	l.sends(d, nil) // it has arrived, and may be compared
	if err := round.Step(ctx, resp); err != nil {
		return err
	}
	l.filled(d, round)
	l.progress(d, round)
	return l.tell(ctx, d)
}

// progress notes what is left to do.
func (l *Loop) progress(d *driving, round *Round) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.missing.note(round, time.Since(d.began))
}

func (l *Loop) timed(p *peer, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.roundTrip = max(d, time.Nanosecond)
}

// call calls the peer, so many times at most, and notes whether it answered.
func (l *Loop) call(ctx context.Context, d *driving, method string, req []byte, timeout time.Duration, attempts int) (resp []byte, err error) {
	for range attempts {
		resp, err = l.callOnce(ctx, d.id, method, req, timeout)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if unreached(err) {
			continue
		}
		if answered(err) {
			l.answered(&d.news, d.peer)
		}
		return resp, err
	}
	l.unanswered(&d.news, d.peer, err)
	return nil, err
}

func (l *Loop) callOnce(ctx context.Context, to transport.NodeID, method string, req []byte, timeout time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	resp, err := l.Caller.Call(ctx, to, method, req)
	l.spend(len(req) + len(resp))
	return resp, err
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
	defer l.mu.Unlock()
	p := d.peer
	p.crossing.own, p.crossing.sending = 0, nil
	l.add(p, x)
	p.apart = isApart(x.Err)
	if d.give {
		l.gave(d.ranges)
	}
	switch {
	case x.Err == nil:
		if d.runs == l.runs && l.running && !d.asked {
			l.verify(p, x.Deferred)
		}
		if l.tempo.after(x.KeysSent+x.KeysNovel > 0, l.pace) {
			signal(l.hurry)
		}
		p.failures = 0
		l.covers(d, round)
		if !d.asked {
			p.lastSync = time.Now()
			p.deferred = deferred(round, p.deferred)
		}
	case ctx.Err() == nil:
		p.failures++
		signal(p.failed)
	}
	if x.Err != nil && (!d.waited || isApart(x.Err)) { // it still needs a reconciliation
		l.drop(&d.news, p, x.Err)
	}
	if p.leave != nil && p.failures == 0 && l.out.Closed(p.id) {
		signal(p.due) // nothing else brings it about
	}
	d.news.exchange(x)
}

// deferred is what is left to the next round: what this one left to deltas, and
// what others left to them meanwhile and this one knew nothing of.
func deferred(round *Round, before []merkle.Range) []merkle.Range {
	left := round.Deferred()
	for _, p := range before {
		if !round.insists(p) {
			left = append(left, p)
		}
	}
	return left
}
