package handoff

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// merger is what a [Replica] may offer besides.
type merger interface {
	MergeAll(ctx context.Context, keys []string, states [][]byte) (novel [][]byte, errs []error)
}

var errNoReplica = errors.New("handoff: this node takes no hints")

// Handler returns the handler of the replays of others, the method [MethodReplay]. It
// merges them into Replica, within Rate: see [Intake]. It decodes at most what it was
// sent, and refuses with a *[CorruptError], or with [ErrVersion]. A node that calls is
// there, so Run tries at once what is held for it. It may serve before, while and after
// Run runs.
func (h *Handoff) Handler() transport.Handler { return transport.HandlerFunc(h.serve) }

func (h *Handoff) serve(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
	switch {
	case method != MethodReplay:
		return nil, fmt.Errorf("%w %q", transport.ErrUnknownMethod, method)
	case h.Replica == nil:
		return nil, errNoReplica
	}
	h.setup()
	q, err := decodeReplay(req)
	if err != nil {
		return nil, err
	}
	next, ok := h.admit(from, len(req), &q)
	var a answer
	if ok && len(q.hints) > 0 {
		a = q.outcome(h.merge(ctx, &q))
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		h.received(&q, &a)
	}
	return a.encode(time.Now(), next), nil
}

func (h *Handoff) admit(from transport.NodeID, size int, q *replay) (turn, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if t := h.buffer.targets[from]; t != nil && t.failures > 0 {
		h.buffer.Kick(from)
		h.look()
	}
	return h.intake.admit(time.Now(), from, size, q)
}

// merge merges what a request brought, and returns an error for each hint.
func (h *Handoff) merge(ctx context.Context, q *replay) (errs []error) {
	keys, states := q.columns()
	if m, ok := h.Replica.(merger); ok {
		_, errs = m.MergeAll(ctx, keys, states)
		return errs
	}
	for i, key := range keys {
		_, err := h.Replica.Merge(ctx, key, states[i])
		errs = append(errs, err)
	}
	return errs
}

func (h *Handoff) received(q *replay, a *answer) {
	bytes, refusals := 0, a.refusals
	for i, e := range q.hints {
		if len(refusals) > 0 && refusals[0].index == i {
			refusals = refusals[1:]
			continue
		}
		bytes += len(e.state)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts.Received += uint64(len(q.hints) - len(a.refusals))
	h.counts.ReceivedBytes += uint64(bytes)
}
