package antientropy

import (
	"context"
	"fmt"
	"slices"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// Two nodes that hold different parts of the keys have some of them in common: of these alone
// they exchange anything. Where a key belongs its position in the index says.

// ExchangeRanges reconciles with one peer now, as Exchange does, but in these parts of the
// index, whatever Shared says: a node gains what it is about to hold. Nothing is left to deltas, and a nil error says more than that of Exchange: all that
// either store had there when it started, the other has too. An *[IncompleteError] says that it
// is not so for some keys; the rest was exchanged. The ranges may come in any order; if there
// are none there is nothing to do.
func (l *Loop) ExchangeRanges(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) (Exchange, error) {
	return l.exchangeRanges(ctx, peer, ranges, false)
}

// HandOver is ExchangeRanges one way: a nil error says that all that this store had in the ranges
// when it started the peer has too, and nothing came back. So a node gets rid of what it is not to hold, while others go
// on writing there: what it took meanwhile it would have to hand over in its turn.
func (l *Loop) HandOver(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) (Exchange, error) {
	return l.exchangeRanges(ctx, peer, ranges, true)
}

func (l *Loop) exchangeRanges(ctx context.Context, peer transport.NodeID, ranges []merkle.Range, give bool) (Exchange, error) {
	if err := l.check(); err != nil {
		return Exchange{Peer: peer, Err: err}, err
	}
	ranges = joined(ranges)
	if len(ranges) == 0 {
		return Exchange{Peer: peer}, ctx.Err()
	}
	p := l.visit(peer)
	defer l.depart(p)
	x, err := l.exchange(ctx, &driving{peer: p, ranges: ranges, asked: true, give: give})
	if err == nil && (x.KeysRefused+x.Deferred > 0 || x.Readmitted) {
		err = &IncompleteError{Peer: peer, Refused: x.KeysRefused, Deferred: x.Deferred, Readmitted: x.Readmitted}
		x.Err = err
	}
	return x, err
}

// An IncompleteError says that [Loop.ExchangeRanges] came to its end, and two stores do not
// agree all the same. Of the refused keys Events.OnRefused was told why; of those deferred
// another exchange will find that they agree, unless they are written to all the time.
type IncompleteError struct {
	Peer     transport.NodeID
	Refused  int // keys
	Deferred int // ranges that were changing while they were compared
	// Readmitted says that this store was emptied meanwhile, and what it held was told to
	// Events.OnSetAside: that is not at the peer.
	Readmitted bool
}

func (e *IncompleteError) Error() string {
	return fmt.Sprintf("antientropy: not all was exchanged with %s: %d keys were refused and %d were changing", e.Peer, e.Refused, e.Deferred)
}

// sharedWith returns what is shared with a peer, nil if that is all, and whether anything is.
func (l *Loop) sharedWith(peer transport.NodeID) (ranges []merkle.Range, any bool) {
	if l.Shared == nil {
		return nil, true
	}
	ranges = joined(l.Shared(peer))
	return ranges, len(ranges) > 0
}

// strange notes whether a peer is one with which nothing is shared. l.mu is held.
func (l *Loop) strange(p *peer, is bool) (changed bool) {
	if is {
		p.failures = 0 // there is nothing to try again
	}
	if p.stranger == is {
		return false
	}
	p.stranger = is
	l.change()
	return true
}

// strangers are those of some nodes with which nothing is shared.
func (l *Loop) strangers(ids []transport.NodeID) map[transport.NodeID]bool {
	if l.Shared == nil {
		return nil
	}
	all := make(map[transport.NodeID]bool)
	for _, id := range ids {
		if _, any := l.sharedWith(id); !any {
			all[id] = true
		}
	}
	return all
}

// address says of deltas who is to have them. It is done before they are put, since Shared is
// not called under a lock. A peer that appears in between is reconciled with, and the store has
// them by then.
func (l *Loop) address(all []arrival) {
	if l.Shared == nil {
		return
	}
	l.addressing.Do(func() { l.hasher = l.Store.Index().Hasher() })
	var ids []transport.NodeID
	shared := map[transport.NodeID][]merkle.Range{}
	for i := range all {
		a := &all[i]
		if len(a.novel) == 0 {
			continue
		}
		if ids == nil {
			ids = l.known()
			for _, id := range ids {
				shared[id] = l.Shared(id)
			}
		}
		at := l.hasher.Position(a.key)
		a.addressed = true
		for _, id := range ids {
			if contains(shared[id], at) {
				a.to = append(a.to, id)
			}
		}
	}
}

// known are the peers for whom deltas may wait.
func (l *Loop) known() []transport.NodeID {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := make([]transport.NodeID, 0, len(l.peers))
	for id, p := range l.peers {
		if p.leave != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// isFor reports whether a peer is to have a delta, as far as that depends on what is shared.
func (a *arrival) isFor(peer transport.NodeID) bool {
	return !a.addressed || slices.Contains(a.to, peer)
}
