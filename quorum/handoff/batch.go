package handoff

import (
	"errors"
	"fmt"
	"time"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/transport"
)

// maxRefusals is how often a target may refuse a hint before it is dropped.
const maxRefusals = 8

// A Batch is a number of hints on their way to their target.
type Batch struct {
	ID      uint64 // for Acked and Failed
	Method  string
	Request []byte // to call Method with
	Hints   int    // how many it holds; none if it only asks whether the target is there, and how much it takes
}

// Batch returns what is to be sent to a node now: as many hints as it allows, in the
// order in which they were kept first. They are held on until Acked. ok is false if
// there are none, if a batch is on its way, or if one has to wait.
func (b *Buffer) Batch(to transport.NodeID) (batch Batch, ok bool) {
	t := b.targets[to]
	if t == nil || t.flight.id != 0 || t.due().After(b.now) {
		return Batch{}, false
	}
	limit := b.filled().MaxMessage
	hints := t.take(min(positive(t.allowance, firstAllowance), limit))
	for _, h := range hints {
		h.sent, h.fresh = h.seq, time.Time{}
	}
	b.batches++
	t.flight = flight{id: b.batches, hints: hints}
	r := replay{hints: make([]entry, len(hints))}
	for i, h := range hints {
		r.hints[i] = entry{h.key, h.state}
	}
	r.least, r.want = t.wants(limit)
	t.flight.least = r.least
	batch = Batch{ID: b.batches, Method: MethodReplay, Request: r.encode(), Hints: len(hints)}
	if planted.Bug == planted.HintDeletedEarly {
		for _, h := range hints {
			b.remove(h)
		}
	}
	return batch, true
}

// wants is how many bytes the request after this one has at least, and how many it
// would best have; zero if there is nothing more to send.
func (t *target) wants(limit int) (least, want int) {
	h := t.first()
	if h == nil {
		return 0, 0
	}
	least = requestOverhead + wireSize(h.key, len(h.state))
	for _, h := range t.queue {
		if want += wireSize(h.key, len(h.state)); want >= limit {
			break
		}
	}
	return least, min(requestOverhead+want, limit)
}

// Acked takes the response to a batch. What was merged is not held any more, but for
// what was joined to it since; what was refused is tried again, behind the others and
// not for ever. If the response is not to be understood it is an error, and the batch
// has failed. A batch that is not on its way any more is no error.
func (b *Buffer) Acked(to transport.NodeID, id uint64, resp []byte) (Replayed, error) {
	done := Replayed{Target: to}
	t := b.targets[to]
	if t == nil || id == 0 || t.flight.id != id {
		return done, nil
	}
	a, err := decodeAnswer(resp, len(t.flight.hints))
	if err != nil {
		b.Failed(to, id, err)
		return done, err
	}
	f := t.flight
	t.flight = flight{}
	t.back(f.hints[a.taken:])
	b.merged(f.hints[:a.taken], a, &done)
	b.counts.Replayed += uint64(done.Hints)
	b.counts.ReplayedBytes += uint64(done.Bytes)
	b.heed(t, f, a, done.Hints > 0)
	b.settle(t)
	return done, nil
}

// merged lets go of what was merged of the hints that the target has looked at.
func (b *Buffer) merged(hints []*hint, a answer, done *Replayed) {
	refusals := a.refusals
	for i, h := range hints {
		var why error
		if len(refusals) > 0 && refusals[0].index == i {
			why, refusals = &RefusedError{Reason: refusals[0].reason}, refusals[1:]
		}
		switch {
		case h.gone():
		case why != nil:
			done.Refused++
			b.refused(h, Refused, why)
		default:
			done.Hints++
			done.Bytes += len(h.state)
			b.delivered(h)
		}
	}
}

// delivered lets go of h, or of what was in it when it was sent.
func (b *Buffer) delivered(h *hint) {
	if h.seq == h.sent {
		b.remove(h)
		return
	}
	t := h.target
	t.renew(h)
	t.queue = append(t.queue, h)
	b.set(h)
}

// refused has h wait behind all others, or drops it if it was refused too often.
func (b *Buffer) refused(h *hint, why Reason, err error) {
	if h.refusals++; h.refusals < maxRefusals {
		h.target.queue = append(h.target.queue, h)
		return
	}
	d := Dropped{Target: h.target.id, Hints: 1, Bytes: h.cost(), Reason: why, Key: h.key, Err: err}
	b.remove(h)
	b.drop(d)
}

// heed notes when and how much the target takes next. A target that refuses all that it
// has looked at is tried less and less often; one that only asked to wait is not.
func (b *Buffer) heed(t *target, f flight, a answer, progress bool) {
	t.allowance, t.polite = a.allowance, b.now.Add(min(a.pause, longestPause))
	waits := a.taken < len(f.hints)
	small := !waits && a.allowance < f.least
	if h := t.first(); h != nil && small {
		t.queue = t.queue[1:]
		b.refused(h, TooLarge, fmt.Errorf("handoff: %s takes %d bytes at once", t.id, a.allowance))
	}
	if waits {
		t.polite = later(t.polite, b.now.Add(shortestPause))
	}
	t.alone = t.alone && !progress
	if progress || waits || len(f.hints) == 0 && !small {
		t.failures, t.retry = 0, time.Time{}
		return
	}
	b.slowDown(t)
}

func (b *Buffer) slowDown(t *target) {
	t.failures++
	most := mostPause
	if len(t.hints) == 0 {
		most = rarePause
	}
	t.retry = b.now.Add(b.pause(t.failures, most))
}

// Failed says that a batch was not acknowledged, and why: the call failed. It will be
// sent again, a small part of it first.
func (b *Buffer) Failed(to transport.NodeID, id uint64, err error) {
	t := b.targets[to]
	if t == nil || id == 0 || t.flight.id != id {
		return
	}
	hints := t.flight.hints
	t.flight, t.allowance = flight{}, 0
	t.alone = t.alone || errors.Is(err, transport.ErrTooLarge)
	b.slowDown(t)
	if len(hints) == 1 && !hints[0].gone() && errors.Is(err, transport.ErrTooLarge) {
		b.refused(hints[0], TooLarge, err)
		b.tidy(t)
		return
	}
	t.back(hints)
}

// unsent puts a batch back that was not sent at all, which is no fault of its target.
func (b *Buffer) unsent(to transport.NodeID, id uint64) {
	t := b.targets[to]
	if t == nil || id == 0 || t.flight.id != id {
		return
	}
	hints := t.flight.hints
	t.flight = flight{}
	t.back(hints)
}
