package antientropy

import (
	"context"
	"time"
)

// pushTo sends p what waits for it, a batch at a time, each once the one before
// was acknowledged.
func (l *Loop) pushTo(ctx context.Context, p *peer) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.pending:
		}
		if !sleep(ctx, l.pace.PushDelay) {
			return
		}
		for l.pushBatch(ctx, p) {
			if !l.backlog(p) { // what came meanwhile waits for others again
				signal(p.pending)
				break
			}
		}
	}
}

// backlog reports whether a whole message waits for p.
func (l *Loop) backlog(p *peer) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Pending(p.id) >= maxMessage(l.MaxMessage)
}

// pushBatch sends one batch and reports whether there may be another.
func (l *Loop) pushBatch(ctx context.Context, p *peer) (more bool) {
	var n news
	call, b, ok := l.nextBatch(ctx, &n, p)
	n.tell(&l.Events)
	if !ok {
		return false
	}
	start := time.Now()
	resp, err := l.callOnce(call, p.id, b.Method, b.Request, l.pace.Timeout)
	abandoned, reached, lost := call.Err() != nil, answered(err), unreached(err)
	l.finish(p)
	x := Exchange{Peer: p.id, Strategy: Deltas, BytesSent: len(b.Request), BytesReceived: len(resp), RoundTrips: 1}
	if err == nil {
		x.KeysSent = b.Keys
		x.KeysRefused, err = l.acked(&n, p, b, resp)
	}
	x.Err, x.Duration = err, time.Since(start)
	l.count(p, x)
	n.exchange(x)
	n.tell(&l.Events)
	if ctx.Err() != nil || abandoned {
		return false
	}
	if reached {
		l.answered(&n, p)
		n.tell(&l.Events)
	}
	return err == nil || l.failed(ctx, p, b, err, lost)
}

// nextBatch takes what waits for p, unless p does not answer: then only
// reconciliations find out when it does. The context ends when p stops answering.
func (l *Loop) nextBatch(ctx context.Context, n *news, p *peer) (context.Context, Batch, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.reached == down || ctx.Err() != nil {
		return nil, Batch{}, false
	}
	l.tick(n)
	b, ok := l.out.Batch(p.id)
	if !ok {
		return nil, Batch{}, false
	}
	call, cancel := context.WithCancel(ctx)
	p.abandon = cancel
	return call, b, true
}

func (l *Loop) finish(p *peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p.abandon()
	p.abandon = nil
}

func (l *Loop) acked(n *news, p *peer, b Batch, resp []byte) (refused int, err error) {
	l.mu.Lock()
	l.tick(n)
	told, err := l.out.Acked(p.id, b.ID, resp)
	if p.leave != nil && l.out.Closed(p.id) {
		signal(p.due) // it takes nothing, or lacks what is kept no more
	}
	l.mu.Unlock()
	for _, r := range told {
		l.refused(n, r)
	}
	return len(told), err
}

// failed has the batch tried again after a pause, or, after one failure too many,
// has a reconciliation take the place of all that waits.
func (l *Loop) failed(ctx context.Context, p *peer, b Batch, err error, lost bool) (again bool) {
	var n news
	if !l.gaveUp(&n, p, b, err) {
		return sleep(ctx, leastPause)
	}
	if lost {
		l.unanswered(&n, p, err)
	} else {
		signal(p.due)
	}
	n.tell(&l.Events)
	return false
}

func (l *Loop) gaveUp(n *news, p *peer, b Batch, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	bytes, closed := l.out.Failed(p.id, b.ID)
	l.dropped(n, p, bytes, err)
	return closed
}

func (l *Loop) count(p *peer, x Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(p, x)
}
