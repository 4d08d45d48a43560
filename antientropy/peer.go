package antientropy

import (
	"context"
	"time"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// How long the loop waits for what.
const (
	leastPause = 50 * time.Millisecond // between two attempts at one peer
	leastProbe = time.Second           // the least time that a peer is given to answer
)

// A peer is what a Loop knows of one node. Loop.mu guards it but for the channels.
type peer struct {
	id      transport.NodeID
	pending chan struct{} // holds a token when deltas may be waiting
	due     chan struct{} // holds a token when a reconciliation is wanted
	failed  chan struct{} // holds a token when a reconciliation has failed
	turn    chan struct{} // holds a token while a reconciliation is under way

	leave     context.CancelFunc // ends its goroutines; nil if it has none: only with it the queue of id is its own
	guests    int                // calls of Exchange that are not over
	abandon   context.CancelFunc // ends the push under way; nil if there is none
	reached   standing
	failures  int           // reconciliations in a row that failed
	apart     bool          // the last one, because of its generation
	stranger  bool          // nothing is shared with it
	lastTry   time.Time     // start of the last reconciliation
	lastSync  time.Time     // end of the last that succeeded
	roundTrip time.Duration // of the last first call of a reconciliation
	crossing  crossing
	deferred  []merkle.Range // by the last reconciliation
	covered   coverage
	verified  bool // an exchange since Run began brought all that it had then,
	deferring bool // or all but what was left to deltas
	missing   missing
	counts    Counts
}

// standing is whether the last call to a peer was answered.
type standing uint8

const (
	unknown standing = iota
	up
	down
)

// peer returns what is known of a node, and makes it known. l.mu is held.
func (l *Loop) peer(id transport.NodeID) *peer {
	l.setup()
	p := l.peers[id]
	if p == nil {
		p = &peer{
			id:      id,
			pending: make(chan struct{}, 1),
			due:     make(chan struct{}, 1),
			failed:  make(chan struct{}, 1),
			turn:    make(chan struct{}, 1),
		}
		l.peers[id] = p
	}
	return p
}

// heard is told of each call of a peer: one that did not answer might now.
func (l *Loop) heard(from transport.NodeID, method string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.peers[from]
	if p == nil {
		return
	}
	if p.reached != up {
		signal(p.due)
	}
	if method == methodPull || method == methodPush {
		p.crossing.heard = time.Now()
	}
}

// answered notes that p answered a call.
func (l *Loop) answered(n *news, p *peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.reached != up {
		p.reached = up
		signal(p.pending)
		n.peerUp(p.id)
	}
}

// unanswered notes that p did not answer: what waits for it is dropped, and a
// push under way abandoned.
func (l *Loop) unanswered(n *news, p *peer, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(n, p, err)
	if p.reached != down {
		p.reached = down
		l.change()
		signal(p.due)
		n.peerDown(PeerDown{Peer: p.id, Err: err})
	}
}

// drop drops what waits for p, because of err, and abandons a push under way. Of
// one who left nothing waits, and who has its name now is another. l.mu is held.
func (l *Loop) drop(n *news, p *peer, err error) {
	if p.leave != nil {
		l.dropped(n, p, l.out.Close(p.id), err)
	}
	if p.abandon != nil {
		p.abandon()
	}
}

// dropped counts so many bytes that no longer wait, if any. l.mu is held.
func (l *Loop) dropped(n *news, p *peer, bytes int, err error) {
	l.countDropped(p, bytes)
	if bytes > 0 {
		n.dropped(Dropped{Peer: p.id, Bytes: bytes, Err: err})
	}
}

func (l *Loop) countDropped(p *peer, bytes int) {
	if bytes > 0 {
		p.counts.Dropped++
		l.totals.Dropped++
	}
}

// pause is how long to wait after so many failures: from 50 ms, doubling, to an
// interval, each time a random half to all of it. l.mu is held.
func (l *Loop) pause(failures int) time.Duration {
	most := max(l.pace.Interval, leastPause)
	d := most
	if shift := failures - 1; shift < 20 {
		d = min(most, leastPause<<max(shift, 0))
	}
	return d/2 + time.Duration(l.rand.Int64N(int64(d/2)+1))
}

// patience is how long the first call of a reconciliation with p may take, which
// is a short one. For a peer that does not answer it is now and then the whole
// Timeout, in case the way to it has become slower than it was. l.mu is held.
func (l *Loop) patience(p *peer) time.Duration {
	if p.roundTrip == 0 || p.reached == down && l.rand.IntN(16) == 0 {
		return l.pace.Timeout
	}
	return min(l.pace.Timeout, max(leastProbe, 4*p.roundTrip))
}
