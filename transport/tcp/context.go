package tcp

import (
	"context"
	"sync"
	"time"
)

// A callContext is the context of one call that is being served. It costs one
// allocation until someone waits for its end: its channel and its timer are made
// when they are first asked for.
type callContext struct {
	deadline time.Time // zero: none

	mu    sync.Mutex
	err   error
	done  chan struct{} // nil until asked for
	timer *time.Timer   // nil until needed
	after []*func()     // to run at the end
}

var _ context.Context = (*callContext)(nil)

// Deadline returns the caller's deadline on this node's clock.
func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Value returns nil: a caller's values stay with the caller.
func (c *callContext) Value(any) any { return nil }

// Err returns why the call is over, nil while it is not.
func (c *callContext) Err() error {
	c.mu.Lock()
	err := c.err
	c.mu.Unlock()
	if err == nil && !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		c.end(context.DeadlineExceeded)
		return c.Err()
	}
	return err
}

// Done returns a channel that is closed when the call is over.
func (c *callContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
		c.startTimer()
	}
	return c.done
}

// AfterFunc has f run in its own goroutine when the call is over, unless stop is
// called before. Contexts made from this one use it instead of a goroutine each.
func (c *callContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	entry := &f
	c.after = append(c.after, entry)
	c.startTimer()
	return func() bool { return c.forget(entry) }
}

func (c *callContext) forget(entry *func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.after {
		if e == entry {
			c.after = append(c.after[:i], c.after[i+1:]...)
			return true
		}
	}
	return false
}

// startTimer needs c.mu.
func (c *callContext) startTimer() {
	if c.timer == nil && c.err == nil && !c.deadline.IsZero() {
		c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.end(context.DeadlineExceeded) })
	}
}

// end ends the call. Only the first end counts.
func (c *callContext) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	for _, f := range c.after {
		go (*f)()
	}
	c.after = nil
}
