package antientropy

import (
	"context"
	"iter"
	"slices"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// CollectionStats are what an operator wants to know of forgetting.
type CollectionStats struct {
	Epoch      uint64 // of which this node is a member; 0: of none
	Proposes   bool   // this node is the one that collects
	Generation string // of the Store, if it is a Follower
	Moves      uint64 // how often it went on to another
	Readmitted uint64 // times that the Store was emptied

	// The last collection, zero if this node did not lead one: when it ended, when the
	// last one did for which nobody was missing, how many records it made of all, and who
	// it was held up by.
	Last     time.Time
	Complete time.Time
	Records  uint64
	HeldUp   []HeldUp
}

// collected is the part of that which the Loop counts. l.mu guards it.
type collected struct {
	readmitted     uint64
	last, complete time.Time
	records        uint64
	heldUp         []HeldUp
}

// Collect has the members of the [Epoch] agree on what can be forgotten, and forget it.
// Run does so now and then, at the member that proposes. Where another collection is
// under way it waits for that first. The error is [ErrNotProposing], that of ctx or of
// the Store, or an *[EpochError] if the epoch changed meanwhile. Members that hold it up
// are no error, see [Collected].
func (l *Loop) Collect(ctx context.Context) (Collected, error) {
	return l.collect(ctx, false)
}

func (l *Loop) collect(ctx context.Context, background bool) (Collected, error) {
	if err := l.check(); err != nil {
		return Collected{Err: err}, err
	}
	var n news
	result, err := l.collectInTurn(ctx, &n, background)
	n.tell(&l.Events) // who is told may collect
	return result, err
}

func (l *Loop) collectInTurn(ctx context.Context, n *news, background bool) (Collected, error) {
	m, start := l.membership(), time.Now()
	select {
	case l.collecting <- struct{}{}:
		defer func() { <-l.collecting }()
	case <-ctx.Done():
		return Collected{Err: ctx.Err()}, ctx.Err()
	}
	c, err := NewCollection(ctx, l.Store, m, CollectionConfig{MaxMessage: l.MaxMessage, Quiet: l.pace.Quiet})
	if c == nil {
		return Collected{Err: err}, err
	}
	if err == nil {
		err = l.driveCollection(ctx, c, background)
	}
	result := c.Result()
	result.Err, result.Duration = err, time.Since(start)
	l.noteCollected(n, result)
	return result, err
}

func (l *Loop) driveCollection(ctx context.Context, c *Collection, background bool) error {
	for {
		peer, method, req, more := c.Next()
		if !more {
			return nil
		}
		if background && !l.giveWay(ctx) || !sleep(ctx, l.toWait()) {
			return ctx.Err()
		}
		resp, err := l.callMember(ctx, peer, method, req)
		if err == nil {
			err = c.Step(ctx, resp)
		} else if ctx.Err() == nil {
			err = c.Failed(ctx, err)
		}
		if err != nil {
			return err
		}
	}
}

// callMember calls a member, twice if need be.
func (l *Loop) callMember(ctx context.Context, peer transport.NodeID, method string, req []byte) (resp []byte, err error) {
	for range 2 {
		resp, err = l.callOnce(ctx, peer, method, req, l.pace.Timeout)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !unreached(err) {
			break
		}
	}
	return resp, err
}

func (l *Loop) noteCollected(n *news, c Collected) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := &l.collected
	now.last, now.heldUp = time.Now(), c.HeldUp
	if c.Err == nil && len(c.HeldUp) == 0 {
		now.complete = now.last
	}
	now.records += uint64(c.Records)
	n.collected(c)
}

// collectNowAndThen collects while Run runs, if it falls to this node.
func (l *Loop) collectNowAndThen(ctx context.Context) {
	for sleep(ctx, l.jitter(l.pace.CollectEvery)) {
		_, _ = l.collect(ctx, true) // told to Events, unless it falls to another
	}
}

// membership is this node's, once its fields are known.
func (l *Loop) membership() *Membership {
	l.placed.Do(func() {
		m := &l.place
		m.Self, m.Epoch = l.Self, l.Epoch
		m.early, m.unasked, m.moved = l.early, l.unasked, func() { l.Kick() }
		l.mu.Lock()
		defer l.mu.Unlock()
		l.setup()
	})
	return &l.place
}

// early reports whether a member of an epoch is a peer that was not tried yet, while
// Run runs.
func (l *Loop) early(e Epoch) bool {
	return l.anyPeer(func(p *peer) bool { return p.lastSync.IsZero() && p.failures == 0 && e.has(p.id) && !p.stranger })
}

// unasked reports whether a peer other than one might know the way: one that was not
// reached. The others are of the generation of this node, or of one that it cannot go to.
func (l *Loop) unasked(but transport.NodeID) bool {
	return l.anyPeer(func(p *peer) bool {
		return p.id != but && !p.apart && !p.stranger && (p.lastSync.IsZero() || p.failures > 0)
	})
}

func (l *Loop) anyPeer(is func(*peer) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.peers {
		if l.running && p.leave != nil && is(p) {
			return true
		}
	}
	return false
}

// readmitted has all begin anew with a store that was emptied. What waits for the peers
// is of what it held, which they would refuse.
func (l *Loop) readmitted(d *driving, aside iter.Seq2[string, []byte]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	d.news.setAside(d.id, aside)
	l.collected.readmitted++
	l.cursor = Cursor{}
	l.runs++ // exchanges under way say nothing of what is here now
	d.runs = l.runs
	l.emptied(d)
	for _, p := range l.peers {
		p.verified, p.deferring, p.deferred = false, false, nil
		if p.leave != nil {
			l.drop(&d.news, p, nil)
			signal(p.due)
		}
	}
	if d.leave != nil {
		l.out.Open(d.id)
	}
}

func (l *Loop) collectionStats() CollectionStats {
	m := l.membership()
	s := CollectionStats{Moves: m.count()}
	f, follows := l.Store.(Follower)
	_, collects := l.Store.(Collector)
	if e := m.now(); e.has(m.Self) {
		s.Epoch, s.Proposes = e.Number, m.proposes(e) && follows && collects
	}
	if follows {
		s.Generation = f.Generation()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := &l.collected
	s.Readmitted, s.Last, s.Complete, s.Records, s.HeldUp = c.readmitted, c.last, c.complete, c.records, slices.Clone(c.heldUp)
	return s
}
