package antientropy

import (
	"context"
	"fmt"

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

	// Membership is that of this node, and its rounds. If nil, it is no member; then what
	// is known of generations is not kept.
	Membership *Membership

	// Outdated, if not nil, is told of a peer that called, whose generation prevails over
	// the one of this node: a Round with it is to readmit this node.
	Outdated func(peer transport.NodeID)

	// opened, if not nil, is told of each comparison that a peer's round asks for.
	opened func(from transport.NodeID, session uint64, req []byte)

	// arriving, if not nil, takes the place of Learned: it is called before so many states
	// of a push are merged at once, and arrived after that, with what came of each. It may
	// wait, and keep an order among those of several calls.
	arriving func(ctx context.Context, states int) (arrived func([]arrival), err error)
}

var _ transport.Handler = (*Responder)(nil)

// ServeCall answers one call. It costs at most a constant times the bytes of req
// and of the answer, beside the calls to the Store: one Merge for each entry of a
// push (or one MergeAll for many, of a [Merger]), one Load for each key asked for (or one Seen and one LoadSince, of a [Differ]), or
// that fits into a stream and one besides,
// and at most two Index. Errors are a
// *[CorruptError], [ErrVersion], [transport.ErrUnknownMethod], one of the session,
// or that of ctx.
func (s *Responder) ServeCall(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
	switch method {
	case methodPush:
		return s.push(ctx, from, req)
	case methodDeltas:
		return s.deltas(ctx, from, req)
	case methodTree:
		return s.tree(ctx, from, req)
	case methodReconcile:
		return s.reconcile(ctx, from, req)
	case methodPull:
		return s.pull(ctx, from, req)
	case methodStream:
		return s.stream(ctx, from, req)
	case methodSettle:
		return s.settle(ctx, from, req)
	case methodPrepare:
		return s.prepare(ctx, from, req)
	}
	return nil, fmt.Errorf("antientropy: %w: %q", transport.ErrUnknownMethod, cut(method, maxToldKey))
}

func (s *Responder) reconcile(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	session, theirs, msg, err := decodeReconcile(req)
	if err != nil {
		return nil, err
	}
	if s.opened != nil {
		s.opened(from, session, req)
	}
	e, together, err := s.meet(ctx, from, theirs)
	if err != nil {
		return nil, err
	}
	if !together {
		return encodeElsewhere(e), nil
	}
	reply, err := answer(s.Store.Index(), maxMessage(s.MaxMessage)-messageOverhead, msg)
	if err != nil {
		return nil, fmt.Errorf("antientropy: reconcile: %w", err)
	}
	return encodeReconciled(e.rank, reply), nil
}

func (s *Responder) refused(r Refused) {
	if s.Refused != nil {
		s.Refused(r)
	}
}
