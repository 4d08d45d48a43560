package antientropy

import (
	"context"
	"hash/fnv"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Two nodes that find out about one another at the same moment, as they do when both start or a partition ends, both
// begin a round. Each finds what differs, and would send all of it. So one of them lets the other's round do that, and
// then goes on with its own, for which there is nothing left. Which one it is both tell alike, by the first messages.

// A crossing is what a peer's round and this node's round with it have begun with.
type crossing struct {
	own, theirs uint64          // of the first message; own is zero without a round
	session     uint64          // of the peer's
	heard       time.Time       // when the peer's last asked for something
	sending     map[string]bool // keys, by the round of this node
}

// opening is what tells rounds apart that begin with different indexes.
func opening(req []byte) uint64 {
	h := fnv.New64a()
	h.Write(req)
	return max(1, h.Sum64())
}

// opened notes what a peer's round compares; that of a session begins with its first message.
func (l *Loop) opened(from transport.NodeID, session uint64, req []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.peers[from]; p != nil {
		if c := &p.crossing; c.theirs == 0 || c.session != session {
			c.session, c.theirs = session, opening(req)
		}
		p.crossing.heard = time.Now()
	}
}

// opens notes how a round of this node begins.
func (l *Loop) opens(d *driving, round *Round) {
	_, req, _ := round.Next()
	l.mu.Lock()
	defer l.mu.Unlock()
	d.crossing.own = opening(req)
}

// cross sees to it that a round which meets one of the peer's does not do the same work. Before it asks for states it lets
// the other pass, if that is to go first; before it sends some it compares them once more, as they may have been pulled.
func (l *Loop) cross(ctx context.Context, d *driving, round *Round) error {
	switch round.method {
	case methodPull:
		if waited, err := l.letPass(ctx, d); !waited || err != nil {
			return err
		}
		return round.pull(ctx)
	case methodPush:
		if d.compared = !d.compared && !round.cfg.Give && l.crossed(d); !d.compared {
			l.sends(d, round.batch)
			return nil
		}
		return round.compareOnceMore(ctx)
	}
	return nil
}

// sends notes what is on its way to the peer by a round: who asks for it meanwhile gets it by that.
func (l *Loop) sends(d *driving, batch []*entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.crossing.sending = nil
	for _, e := range batch {
		if d.crossing.sending == nil {
			d.crossing.sending = make(map[string]bool, len(batch))
		}
		d.crossing.sending[e.key] = true
	}
}

// letPass waits for the end of the peer's round.
func (l *Loop) letPass(ctx context.Context, d *driving) (waited bool, err error) {
	session, wait := l.passing(d.peer)
	for left := l.pace.Timeout; wait > 0 && left > 0; left -= wait {
		if !sleep(ctx, wait) {
			return true, ctx.Err()
		}
		waited = true
		var now uint64
		if now, wait = l.passing(d.peer); now != session {
			break
		}
	}
	return waited, nil
}

// crossed reports whether a round of the peer's went on here since this one began.
func (l *Loop) crossed(d *driving) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return d.crossing.heard.After(d.began)
}

// passing is how long the peer's round is thought to be at work yet, if it is the one to go first.
func (l *Loop) passing(p *peer) (session uint64, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &p.crossing
	if c.own == 0 || c.own >= c.theirs {
		return 0, 0
	}
	return c.session, time.Until(c.heard.Add(2*p.roundTrip + glance))
}
