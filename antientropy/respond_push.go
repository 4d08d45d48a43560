package antientropy

import (
	"context"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/transport"
)

func (s *Responder) push(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	entries, err := decodePush(req)
	if err != nil {
		return nil, err
	}
	result, err := s.merge(ctx, len(entries), func(i int) arrival {
		return arrival{from: from, key: entries[i].key, novel: entries[i].state}
	})
	if err != nil {
		return nil, err
	}
	return encodePushed(result), nil
}

func (s *Responder) deltas(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	deltas, err := decodeDeltas(req)
	if err != nil {
		return nil, err
	}
	result, err := s.merge(ctx, len(deltas), func(i int) arrival { return deltas[i].arrival(from) })
	if err != nil {
		return nil, err
	}
	return encodePushed(result), nil
}

// tree takes the deltas of a Broadcast, and nothing else that it says: to it this
// node is one that has whatever it is told of.
func (s *Responder) tree(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	m, err := decodeTree(req)
	if err != nil {
		return nil, err
	}
	var outcomes []outcome
	for _, r := range m.runs {
		outcomes = append(outcomes, outcome{have: r.first + uint64(len(r.deltas)) - 1})
	}
	deltas, places := m.states()
	result, err := s.merge(ctx, len(deltas), func(i int) arrival { return deltas[i].arrival(from) })
	if err != nil {
		return nil, err
	}
	for i := range result.told {
		t := &result.told[i]
		t.index = places[t.index]
	}
	return encodeReceipt(result, outcomes), nil
}

// merge merges the entries of a push and hands on what was new. of is what arrives, with its
// state in the place of what was new.
func (s *Responder) merge(ctx context.Context, n int, of func(i int) arrival) (*pushed, error) {
	if planted.Bug == planted.AckBeforeMerge {
		n = min(n, 1)
	}
	result, all := new(pushed), []arrival(nil)
	for first, in := range lots(s.Store, n, func(i int) (string, []byte) { a := of(i); return a.key, a.novel }) {
		all = all[:0]
		for i := range in.len() {
			all = append(all, of(first+i))
			all[i].novel = nil
		}
		if err := s.mergeInOrder(ctx, in, all); err != nil {
			return nil, err
		}
		for i, err := range in.errs {
			switch {
			case err == nil:
				result.merge(in.novel[i])
			case ctx.Err() == nil:
				result.refuse(first+i, err)
				s.refused(Refused{Peer: all[i].from, Key: all[i].key, Err: err})
			}
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return result, nil
}

// mergeInOrder merges a lot, and hands on what was new, if it was not refused.
func (s *Responder) mergeInOrder(ctx context.Context, in *lot, all []arrival) error {
	arrived, err := s.begin(ctx, len(all))
	if err != nil {
		return err
	}
	defer func() { arrived(all) }() // whatever becomes of it: others wait
	in.merge(ctx)
	for i, err := range in.errs {
		if err == nil {
			all[i].novel = in.novel[i]
		}
	}
	return nil
}

func (s *Responder) begin(ctx context.Context, states int) (arrived func([]arrival), err error) {
	if s.arriving != nil {
		return s.arriving(ctx, states)
	}
	return s.learned, nil
}

func (s *Responder) learned(all []arrival) {
	for _, a := range all {
		if s.Learned != nil && len(a.novel) > 0 {
			s.Learned(a.from, a.key, a.novel)
		}
	}
}
