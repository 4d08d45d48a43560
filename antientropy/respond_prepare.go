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
	p := pledgeOf(q.proposal)
	switch {
	case len(q.proposal) == 0 && a.promised != q.promised:
		return a, nil // it will ask again if that is to be taken back
	case a.promised != q.promised && a.promised != p: // the same once more is the same
		return a.refuse("something else was prepared since it was asked"), nil
	}
	if err := a.prepare(ctx, c, q.proposal); err != nil || a.status != statusReady {
		return a, err
	}
	m.promises(f, q.generation, p)
	a.promised = p
	return a, nil
}

func (a *prepared) prepare(ctx context.Context, c Collector, proposal []byte) (err error) {
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
