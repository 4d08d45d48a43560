package carry

import (
	"context"
	"sync"

	"github.com/eventual-go/eventual/transport"
)

// Calls are the calls that one caller has under way. The zero value is ready. It is
// safe for concurrent use.
type Calls struct {
	mu      sync.Mutex
	base    context.Context // ends when Close is called; nil before the first call
	stop    context.CancelFunc
	closed  bool
	running sync.WaitGroup
}

// Do makes a call. Its context ends with ctx and when Close is called, and so does
// what is said of it: the error of ctx as it is, or transport.ErrClosed.
func (c *Calls) Do(ctx context.Context, call func(ctx context.Context) ([]byte, error)) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	base, err := c.begin()
	if err != nil {
		return nil, err
	}
	defer c.running.Done()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(base, cancel)()
	resp, err := call(inner)
	switch over := Ended(ctx); {
	case over != nil:
		return nil, over
	case err != nil && base.Err() != nil:
		return nil, transport.ErrClosed
	case err != nil:
		return nil, err
	}
	return resp, nil
}

func (c *Calls) begin() (context.Context, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, transport.ErrClosed
	}
	if c.base == nil {
		c.base, c.stop = context.WithCancel(context.Background())
	}
	c.running.Add(1)
	return c.base, nil
}

// Close ends the calls under way and all later ones with transport.ErrClosed, and
// returns when the last has returned.
func (c *Calls) Close() {
	c.mu.Lock()
	c.closed = true
	stop := c.stop
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
	c.running.Wait()
}
