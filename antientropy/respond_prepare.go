package antientropy

import (
	"context"
	"fmt"

	"github.com/eventual-go/eventual/transport"
)

// prepare answers the one who proposes: whether this member could prepare what it
// proposes, or, with a proposal, that it has.
func (s *Responder) prepare(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	q, err := decodePrepare(req)
	if err != nil {
		return nil, err
	}
	a, err := s.membership().prepare(ctx, s.Store, from, q, maxMessage(s.MaxMessage))
	if err != nil {
		return nil, err
	}
	return encodePrepared(a), nil
}

// prepare does what the member with the least name asks for, if both are of one epoch
// and, by then, of one generation.
func (m *Membership) prepare(ctx context.Context, s Store, from transport.NodeID, q *asking, limit int) (*prepared, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	f, follows := s.(Follower)
	c, collects := s.(Collector)
	e := m.now()
	a := &prepared{status: statusEpoch}
	switch {
	case !e.has(m.Self):
		return a, nil
	case e.Number != q.epoch:
		a.epoch = e.Number
		return a, nil
	case e.proposer() != from:
		return a.refuse(fmt.Sprintf("of the members of epoch %d %s proposes", e.Number, e.proposer())), nil
	case !follows || !collects:
		return a.refuse("the store does not collect"), nil
	}
	if err := m.arrive(ctx, f, from, q, a, limit); err != nil || a.status != statusReady {
		return a, err
	}
	return a, m.reply(ctx, c, q, a)
}

// arrive says where this node stands. One that has met nobody goes to where the other is.
func (m *Membership) arrive(ctx context.Context, f Follower, from transport.NodeID, q *asking, a *prepared, limit int) (err error) {
	own := m.position(f, from)
	if own.generation == "" && q.generation != "" {
		if _, _, err = m.adoptInTurn(ctx, f, from, "", position{generation: q.generation, standing: q.standing}); err != nil {
			return err
		}
		own = m.position(f, from)
	}
	a.epoch, a.generation, a.standing = q.epoch, own.generation, own.standing
	if own.generation == q.generation && own.generation != "" {
		m.vouched(f, own.generation, q.standing)
		a.status = statusReady
		return nil
	}
	a.status = statusElsewhere
	a.parts, err = lead(f, q.generation, limit)
	return err
}

func (m *Membership) reply(ctx context.Context, c Collector, q *asking, a *prepared) error {
	if len(q.proposal) == 0 {
		a.parts = [][]byte{nil}
		return nil
	}
	reply, err := c.Prepare(ctx, q.proposal)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		a.refuse(err.Error())
	default:
		a.parts = [][]byte{reply}
	}
	return nil
}

func (a *prepared) refuse(reason string) *prepared {
	a.status, a.parts = statusRefused, [][]byte{[]byte(cut(reason, maxReason))}
	return a
}
