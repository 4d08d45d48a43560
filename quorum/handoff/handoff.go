package handoff

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Replica is what hints are merged into at their target. If it also has a method
//
//	MergeAll(ctx context.Context, keys []string, states [][]byte) (novel [][]byte, errs []error)
//
// what comes together is merged by that. Implementations are safe for concurrent use.
type Replica interface {
	// Merge joins state into what is held under key, and returns what of it was new.
	// When it returns nil the state is held as safely as this replica ever holds one:
	// then the hint is dropped by who sent it. It must neither keep nor change state.
	Merge(ctx context.Context, key string, state []byte) (novel []byte, err error)
}

// A Handoff is one node's hints: it holds deltas for nodes that are away, replays them
// when they are back, and takes the replays of others. The fields are set before first
// use and not changed afterwards. Join is needed to keep hints, Caller to replay them,
// Replica to take those of others; everything else has a default. A Handoff must not be
// copied. Its methods are safe for concurrent use.
type Handoff struct {
	// Self is this node. Nothing is held for it.
	Self transport.NodeID

	// Join merges two states, of which the first may be empty; the result may be one
	// of them. What it refuses is not kept. crdt/store.Store has one.
	Join func(a, b []byte) ([]byte, error)

	// Log is where hints are kept while this node is down. It is read when the Handoff
	// is first used. If nil, they are held in memory alone, and go with the process:
	// then they shorten the time in which replicas differ, and promise nothing.
	Log Log

	// Caller reaches the targets.
	Caller transport.Caller

	// Replica is what replays of others are merged into, and hints that Holds says to have
	// lost their target.
	Replica Replica

	// Holds reports whether a node holds a key, or is to: usually Keeper.Holds of package
	// ring. Hints for one that does not are taken over by this node: see [Handoff.Reclaim].
	// It must not wait. If nil, all nodes hold all keys.
	Holds func(node transport.NodeID, key string) bool

	// Limits bound what is held.
	Limits

	// Rate is how many bytes of replays this node takes in a second, from all nodes
	// together. A quarter of a second, or one message, may be used up ahead. If zero,
	// 8 MiB; if negative, no bound.
	Rate int

	// Timeout bounds each call. If zero, 5 s.
	Timeout time.Duration

	// Seed picks the jitter of pauses. If zero, a random one.
	Seed uint64

	// Events are told what happens.
	Events Events

	once   sync.Once
	turn   chan struct{} // holds a token while somebody carries out what is queued
	wake   chan struct{} // holds a token when Run is to look again
	loaded atomic.Bool   // what the Log had is in the buffer

	mu      sync.Mutex // guards what follows; never held while anything foreign is called
	queue   []*task
	buffer  Buffer        // what is held, and the rows of it, are changed only by who holds the turn
	failed  error         // of the Log, for good
	unread  error         // the same, if what it has could not be read
	landed  chan struct{} // closed when a batch has come back
	running bool
	intake  Intake
	counts  Counts // of what was received
}

var errSelf = errors.New("handoff: a node keeps no hints for itself")

// setup makes what the zero Handoff lacks.
func (h *Handoff) setup() {
	h.once.Do(func() {
		h.buffer = h.empty()
		h.intake = Intake{Rate: h.Rate, MaxMessage: h.MaxMessage}
		h.turn, h.wake = make(chan struct{}, 1), make(chan struct{}, 1)
		h.landed = make(chan struct{})
	})
}

func (h *Handoff) empty() Buffer {
	seed := h.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	return Buffer{Join: h.Join, Limits: h.Limits, Seed: seed, volatile: h.Log == nil}
}

// Keep holds delta for a node that is away, joined to what is held for it under key.
// When it returns nil, the delta is durable if there is a Log. It disappears only by
// being delivered, or as Events.OnDropped tells. delta may be changed afterwards.
// Races: none, deltas join in any order.
//
// Keeps that wait at the same time share one write of the Log. The error is a
// *[FullError] if bounds forbid it: then the delta is left to anti-entropy. It is what
// Join says of a delta that it refuses, a *[LogError], or that of ctx. After the latter
// two it may be held nevertheless.
//
// ctx bounds how long it waits for others, and for the Log while another writes it. A
// Join of delta that has begun, and a write that this call does for all who wait, are
// waited for.
func (h *Handoff) Keep(ctx context.Context, to transport.NodeID, key string, delta []byte) error {
	switch {
	case to == h.Self || to == "":
		return errSelf
	case h.Join == nil:
		return errors.New("handoff: Handoff without a Join")
	}
	var refused error
	err := h.do(ctx, true, func() {
		var p prepared
		if p, refused = prepare(h.Join, h.state(to, key), delta); refused == nil {
			h.change(func(b *Buffer) { refused = b.keep(to, key, p) })
		}
	})
	if err != nil {
		return err
	}
	return refused
}

// Durable reports whether what Keep took is held when this node comes back after a crash: whether there is a Log. A
// quorum.Coordinator counts it as such where durable answers are asked for.
func (h *Handoff) Durable() bool { return h.Log != nil }

func (h *Handoff) state(to transport.NodeID, key string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.buffer.state(to, key)
}

// Held returns what is held under key for anybody, joined; empty if nothing is. The
// state must not be changed. The error is that of Join, of ctx, or a *[LogError].
func (h *Handoff) Held(ctx context.Context, key string) (state []byte, err error) {
	if err := h.load(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	all := h.buffer.states(key)
	h.mu.Unlock()
	for i, s := range all {
		if i == 0 {
			state = s
		} else if state, err = h.Join(state, s); err != nil {
			return nil, err
		}
	}
	return state, nil
}

// Forget drops all that is held for a node that has departed for good, which is told to
// Events.OnDropped, and all that is remembered of it. What is dropped may be held nowhere
// else: so first change the ring, then let [Handoff.Reclaim] take over what is held for
// the node, and only then forget it. What is kept for it later is held as for any other.
// The error is that of ctx, or a *[LogError]; after them it may be forgotten nevertheless.
func (h *Handoff) Forget(ctx context.Context, node transport.NodeID) error {
	return h.do(ctx, true, func() {
		h.change(func(b *Buffer) { b.Forget(node) })
	})
}

// Kick has Run try a node at once, if hints are held for it: somebody knows that it is
// back. A node that asked for a pause gets it nevertheless.
func (h *Handoff) Kick(node transport.NodeID) {
	h.setup()
	h.mu.Lock()
	h.buffer.Kick(node)
	h.mu.Unlock()
	h.look()
}

// look has Run look again what is to be done.
func (h *Handoff) look() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// Stats returns what is held, and what was done up to now. What the Log has is among it
// once it was read.
func (h *Handoff) Stats() Stats {
	h.setup()
	h.mu.Lock()
	defer h.mu.Unlock()
	s := h.buffer.Stats()
	s.Received, s.ReceivedBytes = h.counts.Received, h.counts.ReceivedBytes
	return s
}
