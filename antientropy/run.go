package antientropy

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Run sends updates and reconciles until ctx ends, and returns the error of ctx
// when all that it started has ended too. A peer that appears is reconciled with
// at once; one that failed is tried again after a pause that grows from 50 ms to
// Interval, and at once when it calls this node. Run may be called again after it
// has returned; a second one at the same time returns [ErrRunning].
func (l *Loop) Run(ctx context.Context) error {
	if err := l.check(); err != nil {
		return err
	}
	if !l.enter() {
		return ErrRunning
	}
	defer l.exit()
	var work sync.WaitGroup
	defer work.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.refresh(ctx, &work)
	if u, ok := l.Store.(updates); ok {
		work.Go(func() { l.follow(ctx, u) })
	}
	if sw, ok := l.Store.(sweeper); ok {
		work.Go(func() { l.sweepNowAndThen(ctx, sw) })
	}
	if l.Propagation == Lazy {
		work.Go(func() { l.mend(ctx) })
	}
	if l.Epoch != nil && l.pace.CollectEvery > 0 {
		work.Go(func() { l.collectNowAndThen(ctx) })
	}
	return l.conduct(ctx, &work)
}

func (l *Loop) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setup()
	if l.running {
		return false
	}
	l.running = true
	l.runs++
	for _, p := range l.peers {
		p.verified, p.deferring = false, false
	}
	return true
}

// exit has nothing wait for anybody any more: nobody would send it.
func (l *Loop) exit() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running, l.joined = false, false
	l.turns = nil
	for id, p := range l.peers {
		p.leave = nil
		l.out.Close(id)
	}
}

// follow sends the store's updates.
func (l *Loop) follow(ctx context.Context, u updates) {
	for key, delta := range u.Updates(ctx) {
		if err := l.Push(ctx, key, delta); err != nil && ctx.Err() == nil && !isTooLarge(err) {
			l.telling(func(n *news) { l.refused(n, Refused{Key: key, Err: err}) })
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// conduct has the peers reconciled with, some at each interval.
func (l *Loop) conduct(ctx context.Context, work *sync.WaitGroup) error {
	last, timer := time.Now(), time.NewTimer(l.jitter(l.current()))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.hurry:
			timer.Reset(l.jitter(l.current()) - time.Since(last))
			continue
		case <-timer.C:
		}
		l.refresh(ctx, work)
		l.nextTurn()
		last = time.Now()
		timer.Reset(l.jitter(l.current()))
	}
}

func (l *Loop) current() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tempo.current(l.pace)
}

// nextTurn has the peers of one interval reconciled with. Those that do not answer
// are not among them: they are tried at their own pace.
func (l *Loop) nextTurn() {
	var n news
	ids := l.answering(&n)
	n.tell(&l.Events)
	for range l.pace.Fanout {
		if len(ids) == 0 {
			return
		}
		if l.Choose == nil {
			l.nextInTurn()
			continue
		}
		if i := l.Choose.Choose(ids, l.turn, l.dice); i >= 0 && i < len(ids) {
			l.Kick(ids[i])
			ids = slices.Delete(ids, i, i+1)
		}
		l.turn++
	}
}

// answering are the peers that answer.
func (l *Loop) answering(n *news) (ids []transport.NodeID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tick(n)
	for _, p := range l.shuffled() {
		ids = append(ids, p.id)
	}
	slices.Sort(ids)
	return ids
}

// nextInTurn takes the next of a turn in which each peer comes once.
func (l *Loop) nextInTurn() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.turns) == 0 {
		l.turns = l.shuffled()
	}
	if len(l.turns) > 0 {
		signal(l.turns[0].due)
		l.turns = l.turns[1:]
	}
}

// shuffled are the peers that answer, in random order. l.mu is held.
func (l *Loop) shuffled() []*peer {
	var ready []*peer
	for _, p := range l.peers {
		if p.leave != nil && p.failures == 0 && !p.stranger {
			ready = append(ready, p)
		}
	}
	slices.SortFunc(ready, func(a, b *peer) int { return cmp.Compare(a.id, b.id) })
	l.rand.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
	return ready
}

// refresh asks for the peers, starts the work for new ones and ends that for
// those who left.
func (l *Loop) refresh(ctx context.Context, work *sync.WaitGroup) {
	var ids []transport.NodeID
	if l.Peers != nil {
		ids = l.Peers()
	}
	strangers := l.strangers(ids)
	l.mu.Lock()
	defer l.mu.Unlock()
	member := make(map[transport.NodeID]bool, len(ids))
	for _, id := range ids {
		member[id] = true
		p := l.peer(id)
		if l.strange(p, strangers[id]) && !p.stranger {
			signal(p.due)
		}
		if p.leave == nil {
			l.join(ctx, p, work)
		}
	}
	for id, p := range l.peers {
		switch {
		case member[id]:
		case p.leave != nil:
			p.leave()
			p.leave = nil // an exchange under way has nothing more to do with the queue
			l.forget(p)
		case p.guests == 0:
			l.forget(p)
		}
	}
	l.turns = slices.DeleteFunc(l.turns, func(p *peer) bool { return p.leave == nil })
	l.joined = true
	l.change()
}

// forget drops all that is known of a node. Should it come back, it is another
// peer. l.mu is held.
func (l *Loop) forget(p *peer) {
	delete(l.peers, p.id)
	l.out.Forget(p.id)
}

// join starts the two goroutines of a peer. l.mu is held.
func (l *Loop) join(ctx context.Context, p *peer, work *sync.WaitGroup) {
	ctx, p.leave = context.WithCancel(ctx)
	p.failures, p.verified, p.deferring = 0, false, false
	l.out.Open(p.id)
	signal(p.due)
	work.Go(func() { l.pushTo(ctx, p) })
	work.Go(func() { l.keep(ctx, p) })
}

// keep reconciles with p whenever that is wanted, and after failures again and
// again.
func (l *Loop) keep(ctx context.Context, p *peer) {
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		l.setAlarm(again, p)
		select {
		case <-ctx.Done():
			return
		case <-p.failed:
			continue // the time of the next attempt is another
		case <-p.due:
		case <-again.C:
		}
		if !sleep(ctx, l.tooSoon(p)) {
			return
		}
		_, _ = l.exchange(ctx, &driving{peer: p, background: true}) // told to Events
	}
}

// setAlarm sets the time of the next attempt after a failure, if there was one.
func (l *Loop) setAlarm(t *time.Timer, p *peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.failures == 0 {
		t.Stop()
		return
	}
	t.Reset(l.pause(p.failures))
}

// tooSoon is how long to wait until the next attempt may start.
func (l *Loop) tooSoon(p *peer) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.lastTry.IsZero() {
		return 0
	}
	return leastPause - time.Since(p.lastTry)
}

// sleep reports false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
