package antientropy

import (
	"context"
	"iter"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// A streaming gathers the answer to one stream.
type streaming struct {
	*Responder
	from  transport.NodeID
	limit int // bytes of the answer
	used  int
	reply streamed
}

// stream sends the keys from a cursor on, of the ranges asked for, as many as fit.
func (s *Responder) stream(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	q, err := decodeStream(req)
	if err != nil {
		return nil, err
	}
	if s.apart(q.own) {
		return encodeElsewhere(new(elsewhere)), nil
	}
	cursor := q.from
	p := &streaming{Responder: s, from: from, limit: min(maxMessage(q.limit), maxMessage(s.MaxMessage)), used: messageOverhead}
	index := s.Store.Index()
	if len(q.ranges) == 0 {
		q.ranges = []merkle.Range{merkle.Full}
	}
	at, here := cursor.at, 0 // keys seen at this position
	for key := range keysFrom(index, q.ranges, cursor.at) {
		if pos := index.Hasher().Position(key); pos != at {
			at, here = pos, 0
		}
		if here++; at == cursor.at && here <= cursor.skip {
			continue
		}
		full, err := p.add(ctx, key)
		if err != nil {
			return nil, err
		}
		if full {
			p.reply.next = Cursor{at: at, skip: here - 1}
			p.reply.left = max(1, keysIn(index, restOf(q.ranges, at))-here+1)
			break
		}
	}
	return encodeStreamed(&p.reply), nil
}

// keysFrom are the keys of some ranges from a position on.
func keysFrom(t *merkle.Tree, ranges []merkle.Range, at merkle.Position) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, r := range restOf(ranges, at) {
			for key := range t.Range(r) {
				if !yield(key) {
					return
				}
			}
		}
	}
}

// add adds one key, and reports true instead if the reply is full. A key always fits
// into an empty one.
func (p *streaming) add(ctx context.Context, key string) (full bool, err error) {
	state, err := p.Store.Load(ctx, key)
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case err != nil:
		return p.withhold(key, withheld{reason: cut(err.Error(), maxReason)}, err), nil
	case len(state) == 0:
		return false, nil // gone since
	case !fits(key, len(state), p.limit):
		large := &TooLargeError{Key: key, Size: len(state), Max: p.limit}
		return p.withhold(key, withheld{size: len(state)}, large), nil
	}
	e := entry{key, state}
	if full = p.used+e.cost() > p.limit; !full {
		p.used += e.cost()
		p.reply.entries = append(p.reply.entries, e)
	}
	return full, nil
}

func (p *streaming) withhold(key string, w withheld, err error) (full bool) {
	w.key = cut(key, maxToldKey)
	cost := len(w.key) + len(w.reason) + entryOverhead
	if p.used+cost > p.limit {
		return true
	}
	p.used += cost
	p.reply.refused = append(p.reply.refused, w)
	p.refused(Refused{Peer: p.from, Key: key, Err: err})
	return false
}
