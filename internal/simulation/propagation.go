package simulation

import (
	"context"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/transport"
)

// outgoing is what deltas are sent from: an antientropy.Outbox or a Broadcast.
type outgoing interface {
	Open(peer transport.NodeID)
	Close(peer transport.NodeID) (dropped int)
	Closed(peer transport.NodeID) bool
	Pending(peer transport.NodeID) (bytes int)
	Holds(peer transport.NodeID, key string) bool
	Put(key string, delta []byte, origin transport.NodeID) (overflowed []antientropy.Dropped, err error)
	Tick(now time.Duration) (overdue []antientropy.Dropped)
	Batch(peer transport.NodeID) (antientropy.Batch, bool)
	Acked(peer transport.NodeID, id uint64, resp []byte) ([]antientropy.Refused, error)
	Failed(peer transport.NodeID, id uint64) (dropped int, closed bool)
}

var (
	_ outgoing = (*antientropy.Outbox)(nil)
	_ outgoing = (*antientropy.Broadcast)(nil)
)

// propagation says how deltas travel.
type propagation uint8

const (
	timeless     propagation = iota // from an outbox in which nothing gets old
	aging                           // from an outbox
	lazy                            // along trees
	propagations = iota
)

func (p propagation) String() string { return [...]string{"timeless", "aging", "lazy"}[p] }

func (r *run) newOutgoing() outgoing {
	p := &r.plan
	if p.propagation != lazy {
		return &antientropy.Outbox{MaxMessage: p.maxMessage, MaxBytes: p.maxPending, MaxAge: p.maxAge}
	}
	return &antientropy.Broadcast{
		Self:       r.turns.Uint64(),
		MaxMessage: p.maxMessage,
		MaxBytes:   4 * p.maxPending, // for all peers
		MaxAge:     p.maxAge,
		Patience:   p.patience,
	}
}

// unmet reports whether a node has met nobody. It sends nothing then that it has: it will
// keep that when it meets the others, as nothing which is known to them alone.
func (n *node) unmet() bool { return n.replica.run.plan.collects && n.replica.Generation() == "" }

// age tells what deltas are sent from what time it is.
func (a *replication) age() {
	r := a.run
	if r.plan.propagation == timeless {
		return
	}
	for _, dropped := range a.out.Tick(r.now) {
		r.did("deltas that got too old")
		a.mirror[r.number(dropped.Peer)] = mirrored{}
	}
}

// mend asks, now and then, for what was announced and did not arrive.
func (a *replication) mend() {
	r := a.run
	r.after(r.plan.patience/4, a.node, push, a.mend)
	a.age()
	a.pushAll()
}

// trees answers what comes along trees, and leaves all else to others.
type trees struct {
	node *node
	rest transport.Handler
}

func (h *trees) ServeCall(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
	b, lazily := h.node.repl.out.(*antientropy.Broadcast)
	if method != "antientropy/tree" || !lazily {
		return h.rest.ServeCall(ctx, from, method, req)
	}
	h.node.repl.age()
	in, err := b.Receive(from, req)
	if err != nil {
		return nil, err
	}
	for in.Run() {
		for key, state, more := in.Next(); more; key, state, more = in.Next() {
			h.merge(ctx, from, in, key, state)
		}
	}
	h.node.repl.arm()
	return in.Response(), nil
}

func (h *trees) merge(ctx context.Context, from transport.NodeID, in *antientropy.Receipt, key string, state []byte) {
	p := h.node.replica
	novel, err := p.Merge(ctx, key, state)
	if err != nil {
		p.run.refusedKey(antientropy.Refused{Peer: from, Key: key, Err: err})
	}
	if len(novel) > 0 {
		p.run.learned(h.node, key, novel, from)
	}
	in.Merged(novel, err)
}
