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

// prepare does what the member that proposes asks for, if both are of one epoch and of
// one generation.
func (m *Membership) prepare(ctx context.Context, s Store, from transport.NodeID, q *asking, limit int) (*prepared, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	f, follows := s.(Follower)
	c, collects := s.(Collector)
	e := m.now()
	a := &prepared{status: statusEpoch, position: m.positionOf(s, from)}
	if e.has(m.Self) {
		a.epoch = e.Number
	}
	switch {
	case a.epoch != q.epoch || a.epoch == 0:
		return a, nil
	case e.proposer() != from:
		return a.refuse(fmt.Sprintf("of the members of epoch %d %s proposes", e.Number, e.proposer())), nil
	case !follows || !collects:
		return a.refuse("the store does not collect"), nil
	case a.generation != q.generation:
		a.status = statusElsewhere
		a.way, err = wayFrom(f, q.generation, limit)
		return a, err
	}
	m.vouched(f, q.generation, q.rank, from)
	m.answers(f, q.generation, e)
	a.status, a.position = statusReady, m.position(f, from)
	return a, a.prepare(ctx, c, q.proposal)
}

func (a *prepared) prepare(ctx context.Context, c Collector, proposal []byte) (err error) {
	if len(proposal) == 0 {
		return nil
	}
	a.reply, err = c.Prepare(ctx, proposal)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		a.refuse(err.Error())
	}
	return nil
}

func (a *prepared) refuse(reason string) *prepared {
	a.status, a.reply = statusRefused, []byte(cut(reason, maxReason))
	return a
}
