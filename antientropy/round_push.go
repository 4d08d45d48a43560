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
	r.batch = r.batch[:0]
	size := messageOverhead
	for len(r.sends) > 0 {
		e, err := r.load(ctx)
		if err != nil {
			return err
		}
		if e != nil && size+e.cost() > r.limit {
			break
		}
		r.sends, r.held = r.sends[1:], nil
		if e != nil {
			r.batch = append(r.batch, e)
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

// load returns the first of the keys to send with its state; nothing if there is
// none that could be sent.
func (r *Round) load(ctx context.Context) (*entry, error) {
	if r.held != nil {
		return r.held, nil
	}
	key := r.sends[0]
	state, err := r.store.Load(ctx, key)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		r.refuse(key, err)
		return nil, nil
	case len(state) == 0:
		return nil, nil // gone since it was compared
	case !fits(key, len(state), r.limit):
		r.refuse(key, &TooLargeError{Key: key, Size: len(state), Max: r.limit})
		return nil, nil
	}
	r.held = &entry{key, state}
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
	keys := slices.Clone(r.sends)
	for _, e := range r.batch {
		keys = append(keys, e.key)
	}
	again := make([]merkle.Range, 0, len(keys)+len(r.todo))
	for _, key := range keys {
		at := r.hasher.Position(key)
		again = append(again, blockAt(place(merkle.Range{From: at})))
	}
	slices.SortFunc(again, byPosition)
	r.todo = append(slices.Compact(again), r.todo...)
	r.sends, r.batch, r.held = nil, nil, nil
	return r.pull(ctx)
}
