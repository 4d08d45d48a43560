package antientropy

import (
	"cmp"
	"slices"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Counts add up what exchanges did, since the Loop was made. They count what this
// node started; what peers started shows in their counts.
type Counts struct {
	Reconciliations uint64 // ended, with or without an error
	Batches         uint64 // of deltas, likewise
	Failures        uint64 // of both, that ended with an error
	KeysSent        uint64
	KeysReceived    uint64
	KeysNovel       uint64 // of those received
	KeysRefused     uint64
	BytesSent       uint64
	BytesReceived   uint64
	RoundTrips      uint64
	Dropped         uint64 // times that waiting deltas were dropped
	Records         uint64 // settled, here or at the peer, to come to one generation
}

func (c *Counts) add(x Exchange) {
	switch x.Strategy {
	case Deltas:
		c.Batches++
	default:
		c.Reconciliations++
	}
	if x.Err != nil {
		c.Failures++
	}
	c.KeysSent += uint64(x.KeysSent)
	c.KeysReceived += uint64(x.KeysReceived)
	c.KeysNovel += uint64(x.KeysNovel)
	c.KeysRefused += uint64(x.KeysRefused)
	c.BytesSent += uint64(x.BytesSent)
	c.BytesReceived += uint64(x.BytesReceived)
	c.RoundTrips += uint64(x.RoundTrips)
	c.Records += uint64(x.Records)
}

// Stats are a Loop's counts at one moment.
type Stats struct {
	Counts                         // over all peers, also those that left
	By       [allStrategies]Counts // the same for each Strategy
	Refused  uint64                // keys told to Events.OnRefused, those in calls of peers among them
	TooLarge uint64                // of those, states or deltas that did not fit into a message
	Delays   Delays                // of the updates of others, until they arrived here
	Peers    []PeerStats           // by peer

	Collection CollectionStats
}

// PeerStats are the counts of one peer.
type PeerStats struct {
	Peer      transport.NodeID
	Reachable bool      // the last call to it was answered
	LastSync  time.Time // when the last reconciliation ended that succeeded; zero if none did

	// Covered is since when the peer is covered: all that it held then, of what both hold now, is here. It is when the last
	// reconciliation began that this node started and that brought all; or, where it left something to deltas under way, the
	// one before it. One that failed, or in which a key of the peer could not be taken, does not change it: it stays what it was, and grows old.
	// Zero if there was none that brought all, or if more is shared since; and after the Store was emptied, or parts of it
	// were handed over, until the next one. By the clock of this node. So a replica's staleness is bounded; LastSync says less:
	// what was written meanwhile may be missing.
	Covered time.Time

	CaughtUp bool // all that it had when Run began is here, as for [Loop.Ready]
	Pending  int  // bytes of deltas that wait for it, by [Outbox.Pending]
	Closed   bool // deltas do not wait for it: a reconciliation is to come first

	// Missing is how many keys are to be exchanged by the reconciliation under way, or
	// that ended early, as far as is known, and Expected when that will be done, from
	// now, at the pace so far; zero if that is not known.
	Missing  int
	Expected time.Duration
	Counts
}

// add counts an exchange. l.mu is held.
func (l *Loop) add(p *peer, x Exchange) {
	p.counts.add(x)
	l.totals.add(x)
	l.by[x.Strategy].add(x)
}

// Stats returns the counts up to now. Its peers are those of Loop.Peers, and others
// while an Exchange with them goes on. It asks Shared once for each of them.
func (l *Loop) Stats() Stats {
	collection, covered := l.collectionStats(), l.covered()
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{Counts: l.totals, By: l.by, Delays: l.delays, Refused: l.refusals, TooLarge: l.tooLarge, Collection: collection}
	for id, p := range l.peers {
		s.Peers = append(s.Peers, PeerStats{
			Peer:      id,
			Reachable: p.reached == up,
			LastSync:  p.lastSync,
			Covered:   covered[id],
			CaughtUp:  p.verified,
			Missing:   p.missing.keys,
			Expected:  p.missing.eta(),
			Pending:   l.out.Pending(id),
			Closed:    l.out.Closed(id),
			Counts:    p.counts,
		})
	}
	slices.SortFunc(s.Peers, func(a, b PeerStats) int { return cmp.Compare(a.Peer, b.Peer) })
	return s
}

// refused counts a key that could not be exchanged, and has it told.
func (l *Loop) refused(n *news, r Refused) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refusedLocked(n, r)
}

func (l *Loop) refusedLocked(n *news, r Refused) {
	l.refusals++
	if isTooLarge(r.Err) {
		l.tooLarge++
	}
	n.refused(r)
}
