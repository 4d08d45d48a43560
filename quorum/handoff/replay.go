package handoff

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

const defaultTimeout = 5 * time.Second

// Run replays what is held, to each target for itself, until ctx ends, and returns the
// error of ctx when all that it started has ended too. A target that does not answer is
// tried again after a pause that grows from 100 ms to five seconds, by a small request;
// one that answers says when it takes how much. Before anything else what the Log has
// is read, so that a restart of this node strands nothing. If it cannot be read that is
// a *[LogError]. Run may be called again after it has returned; a second one at the
// same time returns [ErrRunning].
//
// When ctx ends nothing more is sent, and the calls under way end as Caller heeds their
// ctx. What came of them is noted before Run returns, which may wait for one write of the
// Log that others have begun, and does one of its own.
func (h *Handoff) Run(ctx context.Context) error {
	if h.Caller == nil {
		return errNoCaller
	}
	if err := h.load(ctx); err != nil {
		return err
	}
	if !h.enter() {
		return ErrRunning
	}
	defer h.exit()
	var work sync.WaitGroup
	defer work.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	if h.Holds != nil {
		work.Go(func() { h.reclaimAtIntervals(ctx) })
	}
	for {
		next, err := h.launch(ctx, &work)
		if err != nil {
			return err
		}
		timer.Stop()
		if !next.IsZero() {
			timer.Reset(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.wake:
		case <-timer.C:
		}
	}
}

// reclaimAtIntervals reclaims until ctx ends. What fails is tried again.
func (h *Handoff) reclaimAtIntervals(ctx context.Context) {
	again := time.NewTicker(reclaimEvery)
	defer again.Stop()
	for {
		_, _ = h.Reclaim(ctx)
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

var errNoCaller = errors.New("handoff: Handoff without a Caller")

func (h *Handoff) enter() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.running {
		return false
	}
	h.running = true
	return true
}

func (h *Handoff) exit() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = false
}

// launch sends what may be sent now, and returns when there may be more.
func (h *Handoff) launch(ctx context.Context, work *sync.WaitGroup) (next time.Time, err error) {
	type call struct {
		to    transport.NodeID
		batch Batch
	}
	var calls []call
	defer func() { // also if another's Join has panicked: they count as on their way
		for _, c := range calls {
			work.Go(func() { _, _ = h.send(ctx, c.to, c.batch) }) // told to Events
		}
	}()
	err = h.do(ctx, false, func() {
		h.change(func(b *Buffer) {
			b.Tick(time.Now())
			var ready []transport.NodeID
			ready, next = b.Ready()
			for _, id := range ready {
				if batch, ok := b.Batch(id); ok {
					calls = append(calls, call{id, batch})
				}
			}
		})
	})
	return next, err
}

// send makes the call of a batch, and notes what came of it.
func (h *Handoff) send(ctx context.Context, to transport.NodeID, batch Batch) (done Replayed, err error) {
	if err := ctx.Err(); err != nil {
		h.unsent(to, batch)
		return Replayed{Target: to}, err
	}
	resp, err := h.call(ctx, to, batch)
	note := func(b *Buffer) { done, err = b.Acked(to, batch.ID, resp) }
	if err != nil {
		failed := err
		note = func(b *Buffer) { b.Failed(to, batch.ID, failed) }
	}
	// It has to be noted, whatever has become of ctx.
	_ = h.do(context.WithoutCancel(ctx), false, func() { h.change(note) })
	h.land()
	h.Events.replayed(done)
	return done, err
}

// unsent puts a batch back that was not sent. It needs no turn, since neither what is
// held nor a row of it changes: so who gives up does not wait for the Log.
func (h *Handoff) unsent(to transport.NodeID, batch Batch) {
	h.mu.Lock()
	h.buffer.unsent(to, batch.ID)
	h.mu.Unlock()
	h.land()
}

func (h *Handoff) call(ctx context.Context, to transport.NodeID, batch Batch) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, positive(h.Timeout, defaultTimeout))
	defer cancel()
	return h.Caller.Call(ctx, to, batch.Method, batch.Request)
}

// land tells all who wait for a batch that one has come back.
func (h *Handoff) land() {
	h.mu.Lock()
	close(h.landed)
	h.landed = make(chan struct{})
	h.mu.Unlock()
	h.look()
}

// Replay sends all that is held for a node now, at the pace at which it takes it, also
// while Run is not running. It returns what was delivered. It ends early with the error
// of a call that failed, with that of ctx, and without an error, but with Refused, if
// the node refuses what is left. When ctx ends nothing more is sent; what came of a call
// that was made is noted first, as for Run.
func (h *Handoff) Replay(ctx context.Context, node transport.NodeID) (total Replayed, err error) {
	total.Target = node
	if h.Caller == nil {
		return total, errNoCaller
	}
	if err := h.load(ctx); err != nil {
		return total, err
	}
	for {
		n, err := h.next(ctx, node)
		if err != nil || n.nothing {
			return total, err
		}
		if !n.ok {
			if err := n.wait(ctx); err != nil {
				return total, err
			}
			continue
		}
		done, err := h.send(ctx, node, n.batch)
		total.Hints += done.Hints
		total.Bytes += done.Bytes
		total.Refused = done.Refused
		if err != nil || done.Refused > 0 && done.Hints == 0 {
			return total, err
		}
	}
}

// A step is what is next for one node.
type step struct {
	nothing bool // is held for it
	batch   Batch
	ok      bool // there is a batch
	due     time.Time
	landed  <-chan struct{} // if there is none: when to look again
}

func (h *Handoff) next(ctx context.Context, node transport.NodeID) (s step, err error) {
	returned := false
	defer func() {
		if s.ok && !returned { // another's Join has panicked in this turn
			h.unsent(node, s.batch)
		}
	}()
	err = h.do(ctx, false, func() {
		h.change(func(b *Buffer) {
			b.Kick(node)
			t := b.targets[node]
			if s.nothing = t == nil; s.nothing {
				return
			}
			s.due, s.landed = t.due(), h.landed
			s.batch, s.ok = b.Batch(node)
		})
	})
	returned = true
	return s, err
}

// wait waits until the node takes more, or until a batch that is on its way has landed.
func (s *step) wait(ctx context.Context) error {
	var due <-chan time.Time
	if d := time.Until(s.due); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.landed:
	case <-due:
	}
	return nil
}
