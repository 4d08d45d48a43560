package antientropy

import (
	"context"
	"slices"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/merkle"
)

// push sends as many of the states to send as one message holds, or goes on to
// the next pull.
func (r *Round) push(ctx context.Context) error {
	r.batch, r.sent = r.batch[:0], r.sent[:0]
	size := messageOverhead
	for len(r.sends) > 0 {
		e, err := r.load(ctx)
		if err != nil {
			return err
		}
		if e != nil && size+e.cost() > r.limit {
			break
		}
		d := r.sends[0]
		r.sends, r.held = r.sends[1:], nil
		if e != nil {
			r.batch, r.sent = append(r.batch, e), append(r.sent, d)
			size += e.cost()
		}
	}
	if len(r.batch) == 0 {
		r.sends = nil
		return r.pull(ctx)
	}
	r.ask(methodPush, encodePush(r.batch))
	return nil
}

// load returns the first of the keys to send with its state, or with what the peer
// lacks of it; nothing if there is none that could be sent.
func (r *Round) load(ctx context.Context) (*entry, error) {
	if r.held != nil {
		return r.held, nil
	}
	d := r.sends[0]
	state, err := r.loadDue(ctx, &d)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		r.refuse(d.key, err)
		r.looks.giveUp(&d)
		return nil, nil
	case len(state) == 0:
		r.looks.nothingToSend(&d) // or gone since it was compared
		return nil, nil
	case !fits(d.key, len(state), r.limit):
		r.refuse(d.key, &TooLargeError{Key: d.key, Size: len(state), Max: r.limit})
		r.looks.giveUp(&d)
		return nil, nil
	}
	r.held = &entry{d.key, state}
	return r.held, nil
}

func (r *Round) pushed(ctx context.Context, resp []byte) error {
	p, err := decodePushed(resp, len(r.batch))
	if err != nil {
		return err
	}
	r.result.KeysSent += len(r.batch)
	for _, t := range p.told {
		r.refuse(r.batch[t.index].key, &RefusedError{Reason: t.reason})
		r.looks.giveUp(&r.sent[t.index])
	}
	r.result.KeysRefused += p.refused - len(p.told)
	if planted.Bug == planted.RoundForgets {
		r.sends, r.held = nil, nil
	}
	return r.push(ctx)
}

// compareOnceMore asks again about the keys that it is about to send, unless it was told only a part of what is to be
// compared with them.
func (r *Round) compareOnceMore(ctx context.Context) error {
	if len(r.asked) > 0 {
		return nil
	}
	unsent := slices.Concat(r.sent, r.sends)
	again := make([]merkle.Range, 0, len(unsent)+len(r.todo))
	for i := range unsent {
		again = append(again, unsent[i].at)
		r.looks.undo(&unsent[i])
	}
	slices.SortFunc(again, byPosition)
	r.todo = append(slices.Compact(again), r.todo...)
	r.sends, r.batch, r.sent, r.held = nil, nil, nil, nil
	return r.pull(ctx)
}
