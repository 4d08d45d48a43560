package quorum

import (
	"context"
	"sync/atomic"
	"time"
)

// terms are the contexts of messages: all that begin at about the same time have one,
// which ends when the time of the last of them is over. So a message needs no timer of
// its own.
type terms struct {
	last atomic.Pointer[term]
}

type term struct {
	ctx   context.Context
	until time.Time // to be used by what begins before that
}

// context returns a context that ends after the timeout, or up to a sixteenth later.
func (t *terms) context(timeout time.Duration) context.Context {
	now := time.Now()
	if last := t.last.Load(); last != nil && now.Before(last.until) {
		return last.ctx
	}
	slice := timeout / 16
	ctx, cancel := context.WithDeadline(context.Background(), now.Add(timeout+slice))
	context.AfterFunc(ctx, cancel)
	t.last.Store(&term{ctx, now.Add(slice)})
	return ctx
}
