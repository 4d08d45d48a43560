package antientropy

import (
	"context"
	"fmt"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/transport"
)

// A Responder answers the calls that other nodes make to reconcile and to push.
// It is what [Loop.Handler] is made of, and most users will not need it: it is
// for those who drive [Round] and [Outbox] themselves. It has no goroutine, clock
// or lock and keeps nothing between calls, so any message may be repeated, lost
// or answered after a restart. Its fields are set before its first use; it is
// then as safe for concurrent use as its Store and its functions are.
type Responder struct {
	Store Store

	// MaxMessage is the most bytes that an answer may have. If zero, 1 MiB; at
	// least 1 KiB.
	MaxMessage int

	// Learned, if not nil, is told what a push brought that was new, so that it can
	// be passed on to others than from. novel is not changed afterwards.
	Learned func(from transport.NodeID, key string, novel []byte)

	// InFlight, if not nil, reports whether deltas of key are on their way to a
	// peer: if so, that peer need not be sent the state.
	InFlight func(to transport.NodeID, key string) bool

	// Refused, if not nil, is told of every key that the Store refused.
	Refused func(Refused)
}

var _ transport.Handler = (*Responder)(nil)

// ServeCall answers one call. It costs at most a constant times the bytes of req
// and of the answer, beside the calls to the Store: one Merge for each entry of a
// push, one Load for each key asked for, and at most two Index. Errors are a
// *[CorruptError], [ErrVersion], [transport.ErrUnknownMethod], one of the session,
// or that of ctx.
func (s *Responder) ServeCall(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
	switch method {
	case methodPush:
		return s.push(ctx, from, req)
	case methodReconcile:
		return s.reconcile(req)
	case methodPull:
		return s.pull(ctx, from, req)
	}
	return nil, fmt.Errorf("antientropy: %w: %q", transport.ErrUnknownMethod, cut(method, maxToldKey))
}

func (s *Responder) reconcile(req []byte) ([]byte, error) {
	_, msg, err := decodeReconcile(req)
	if err != nil {
		return nil, err
	}
	reply, err := answer(s.Store.Index(), maxMessage(s.MaxMessage)-messageOverhead, msg)
	if err != nil {
		return nil, fmt.Errorf("antientropy: reconcile: %w", err)
	}
	return encodeReconciled(reply), nil
}

func (s *Responder) push(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	entries, err := decodePush(req)
	if err != nil {
		return nil, err
	}
	var result pushed
	for i, e := range entries {
		if planted.Bug == planted.AckBeforeMerge && i > 0 {
			break
		}
		novel, err := s.Store.Merge(ctx, e.key, e.state)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			result.refuse(i, err)
			s.refused(Refused{Peer: from, Key: e.key, Err: err})
		default:
			result.merged++
			if len(novel) > 0 {
				result.novel++
				s.learned(from, e.key, novel)
			}
		}
	}
	return encodePushed(&result), nil
}

func (s *Responder) learned(from transport.NodeID, key string, novel []byte) {
	if s.Learned != nil {
		s.Learned(from, key, novel)
	}
}

func (s *Responder) refused(r Refused) {
	if s.Refused != nil {
		s.Refused(r)
	}
}
