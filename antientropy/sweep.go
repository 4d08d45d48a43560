package antientropy

import (
	"context"
	"time"
)

// A sweeper is what a [Store] may offer besides: to delete what has come to its end, by a deadline say. Run has it
// sweep once each interval. What it deletes is an update like any other, and what all replicas delete alike is not new
// to any of them.
type sweeper interface {
	Sweep(ctx context.Context) (swept int, err error)
}

// sweepNowAndThen sweeps until ctx ends. An error is one of the store, which every other call meets too.
func (l *Loop) sweepNowAndThen(ctx context.Context, s sweeper) {
	timer := time.NewTimer(l.current())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		_, _ = s.Sweep(ctx)
		timer.Reset(l.current())
	}
}
