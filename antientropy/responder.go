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

	// Membership is that of this node, and its rounds. If nil, it is no member; then what
	// is known of generations is not kept.
	Membership *Membership

	// Outdated, if not nil, is told of a peer that called, whose generation prevails over
	// the one of this node: a Round with it is to readmit this node.
	Outdated func(peer transport.NodeID)

	// opened, if not nil, is told of each comparison that a peer's round asks for.
	opened func(from transport.NodeID, session uint64, req []byte)

	// arriving and arrived, if not nil, take the place of Learned: they are called
	// before and after each merge of a push, in pairs, and may keep an order among
	// those of several calls.
	arriving func() (ticket uint64)
	arrived  func(ticket uint64, a arrival)
}

var _ transport.Handler = (*Responder)(nil)

// ServeCall answers one call. It costs at most a constant times the bytes of req
// and of the answer, beside the calls to the Store: one Merge for each entry of a
// push, one Load for each key asked for (or one Seen and one LoadSince, of a [Differ]), or
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

func (s *Responder) push(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	entries, err := decodePush(req)
	if err != nil {
		return nil, err
	}
	var result pushed
	for i, e := range entries {
		if err := s.merge(ctx, &result, i, arrival{from: from, key: e.key, novel: e.state}); err != nil {
			return nil, err
		}
	}
	return encodePushed(&result), nil
}

func (s *Responder) deltas(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	deltas, err := decodeDeltas(req)
	if err != nil {
		return nil, err
	}
	var result pushed
	for i, d := range deltas {
		if err := s.merge(ctx, &result, i, arrival{from: from, key: d.key, novel: d.state, age: d.age, aged: true}); err != nil {
			return nil, err
		}
	}
	return encodePushed(&result), nil
}

// tree takes the deltas of a Broadcast, and nothing else that it says: to it this
// node is one that has whatever it is told of.
func (s *Responder) tree(ctx context.Context, from transport.NodeID, req []byte) ([]byte, error) {
	m, err := decodeTree(req)
	if err != nil {
		return nil, err
	}
	var result pushed
	var outcomes []outcome
	i := 0
	for _, r := range m.runs {
		for _, d := range r.deltas {
			if len(d.state) > 0 {
				if err := s.merge(ctx, &result, i, arrival{from: from, key: d.key, novel: d.state, age: d.age, aged: true}); err != nil {
					return nil, err
				}
			}
			i++
		}
		outcomes = append(outcomes, outcome{have: r.first + uint64(len(r.deltas)) - 1})
	}
	return encodeReceipt(&result, outcomes), nil
}

// merge merges entry i of a push and hands on what was new.
func (s *Responder) merge(ctx context.Context, result *pushed, i int, a arrival) error {
	if planted.Bug == planted.AckBeforeMerge && i > 0 {
		return nil
	}
	novel, err := s.mergeInOrder(ctx, a)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		result.refuse(i, err)
		s.refused(Refused{Peer: a.from, Key: a.key, Err: err})
		return nil
	}
	result.merged++
	if len(novel) > 0 {
		result.novel++
	}
	return nil
}

func (s *Responder) mergeInOrder(ctx context.Context, a arrival) (novel []byte, err error) {
	ticket, state := s.begin(), a.novel
	a.novel = nil
	defer func() { s.end(ticket, a) }() // whatever becomes of it: others wait
	novel, err = s.Store.Merge(ctx, a.key, state)
	if err == nil {
		a.novel = novel
	}
	return novel, err
}

func (s *Responder) begin() (ticket uint64) {
	if s.arriving != nil {
		return s.arriving()
	}
	return 0
}

func (s *Responder) end(ticket uint64, a arrival) {
	switch {
	case s.arrived != nil:
		s.arrived(ticket, a)
	case s.Learned != nil && len(a.novel) > 0:
		s.Learned(a.from, a.key, a.novel)
	}
}

func (s *Responder) refused(r Refused) {
	if s.Refused != nil {
		s.Refused(r)
	}
}
