package antientropy

import (
	"context"
	"time"
)

// What a reconciliation waits for between two of its requests: foreground work, the
// rate, and its share of what may go on at once.

// glance is how often a busy application is looked at again.
const glance = 5 * time.Millisecond

// yield waits until the next request of a reconciliation may be sent. The first one
// of all, which is short and finds out whether there is anything to do, goes at once.
func (l *Loop) yield(ctx context.Context, d *driving) error {
	if err := d.occupy(ctx); err != nil {
		return err
	}
	if d.background && !l.giveWay(ctx) || !sleep(ctx, l.toWait()) {
		return ctx.Err()
	}
	return nil
}

// giveWay waits while the application is busy, for a while. It reports false if ctx
// ended.
func (l *Loop) giveWay(ctx context.Context) bool {
	if l.Busy == nil {
		return true
	}
	for left := l.pace.GiveWay; left > 0 && l.Busy(); left -= glance {
		if !sleep(ctx, min(glance, left)) {
			return false
		}
	}
	return true
}

func (l *Loop) toWait() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.bucket.wait(time.Since(l.epoch))
}

// spend counts bytes that were carried.
func (l *Loop) spend(bytes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.bucket.take(time.Since(l.epoch), bytes)
}

// occupy takes one of the slots of those who repair, unless d has one.
func (d *driving) occupy(ctx context.Context) error {
	if d.occupying || d.slots == nil {
		return nil
	}
	select {
	case d.slots <- struct{}{}:
		d.occupying = true
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// vacate gives the slot back, if d has one.
func (d *driving) vacate() {
	if d.occupying {
		d.occupying = false
		<-d.slots
	}
}
