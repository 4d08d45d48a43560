package carry

import (
	"context"
	"errors"
	"fmt"
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

// errCut is what becomes of a call that was under way when Close was called. It may
// have run, so it is not transport.ErrClosed.
var errCut = fmt.Errorf("%w: this side was closed while the call was under way", transport.ErrUnreachable)

// Do makes a call. Its context ends with ctx and when Close is called. What is said of
// it then is the error of ctx as it is, or transport.ErrUnreachable; after Close it is
// transport.ErrClosed, and the call is not made.
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
	case err != nil && base.Err() != nil && !answered(err):
		return nil, errCut
	case err != nil:
		return nil, err
	}
	return resp, nil
}

// answered says whether an error is what came of the call, and not of its end.
func answered(err error) bool {
	_, remote := errors.AsType[*transport.RemoteError](err)
	_, tooLarge := errors.AsType[*transport.TooLargeError](err)
	return remote || tooLarge
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

// Close ends the calls under way, has later ones fail with transport.ErrClosed, and
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
