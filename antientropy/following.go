package antientropy

import (
	"context"
	"iter"

	"github.com/eventual-go/eventual/transport"
)

// A way is records that lead on from a generation.
type way struct {
	from    string
	records [][]byte
}

// wayFrom returns the way from a generation to that of a store, or the part of it that one
// message holds. There is none from that of one that has met nobody.
func wayFrom(f Follower, from string, limit int) (way, error) {
	if from == "" {
		return way{}, nil
	}
	records, ok := f.Since(from, limit-epochOverhead)
	if !ok || len(records) == 0 {
		return way{}, nil
	}
	records, err := fitting(records, limit)
	return way{from, records}, err
}

// fullWay returns the longest way there is to the generation of a store, for one who
// adopts it: who has records can lead others, and what nobody has nobody can follow.
func (m *Membership) fullWay(f Follower, limit int) (way, error) {
	own := f.Generation()
	for _, from := range m.standpoint(own).passed {
		if w, err := wayFrom(f, from, limit); err != nil || w.from != "" {
			return w, err
		}
	}
	return way{from: own}, nil
}

// settle settles records that a peer sent, knowing what this node had promised, and returns
// where that led. A store that has met nobody first takes on the generation from which they
// lead. It does not settle what this node does not take from that peer.
func (m *Membership) settle(ctx context.Context, f Follower, from transport.NodeID, r rank, promised pledge, w way) (own position, settled int, err error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return position{}, 0, err
	}
	defer leave()
	own = m.position(f, from)
	if !own.follows(r) || own.promised != promised {
		return own, 0, nil
	}
	if own.generation == "" && w.from != "" {
		if _, err := f.Adopt(ctx, w.from); err != nil {
			return own, 0, err
		}
		m.moveTo(f.Generation(), r, m.borrows(from), "")
	}
	settled, err = m.settleInTurn(ctx, f, from, r, w.records)
	return m.position(f, from), settled, err
}

func (m *Membership) settleInTurn(ctx context.Context, f Follower, from transport.NodeID, r rank, records [][]byte) (settled int, err error) {
	at := f.Generation()
	for _, record := range records {
		if err := f.Settle(ctx, record); err != nil {
			return settled, err
		}
		if now := f.Generation(); now != at {
			m.moveTo(now, r, m.borrows(from), at)
			at = now
			settled++
		}
	}
	return settled, nil
}

// adopt takes on the generation of a peer, by a way that leads there, if that is still
// wanted: if this node is of the one that it was when that was decided.
func (m *Membership) adopt(ctx context.Context, f Follower, from transport.NodeID, at string, r rank, w way) (aside iter.Seq2[string, []byte], adopted bool, err error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, false, err
	}
	defer leave()
	if own := m.position(f, from); own.generation != at || !own.takes() {
		return nil, false, nil
	}
	if aside, err = f.Adopt(ctx, w.from); err != nil {
		return nil, false, err
	}
	m.moveTo(f.Generation(), r, w.from == "" || m.borrows(from), "")
	_, err = m.settleInTurn(ctx, f, from, r, w.records)
	return aside, true, err
}

// reluctant reports whether this node had better ask somebody else than a peer before it
// gives up its generation: the word of a member is enough, but a fellow that is none may
// have joined lately, and know of no records that others do.
func (m *Membership) reluctant(peer transport.NodeID, theirs position) bool {
	e := m.now()
	return theirs.takes() && !e.has(m.Self) && m.unasked != nil && m.unasked(peer)
}
