package store

import (
	"context"
	"slices"
	"sync"

	"github.com/eventual-go/eventual/internal/planted"
)

// A flight is a batch on its way to the disk, and the values that it changes. Whoever has been told of such a value
// may count on it, so it is not told of before it has landed: see [Store.Load].
type flight struct {
	Commit
	of []*entry

	mu     sync.Mutex
	landed bool
	err    error
	signal chan struct{} // closed when it has landed; made for those who wait
}

// fly applies a batch that somebody waits for.
func (s *Store) fly(b *batch) (Commit, error) {
	s.disk.flying.Add(1)
	f := &flight{of: slices.Clone(b.entries)}
	c, err := s.write(b, true)
	if err != nil {
		return nil, err
	}
	f.Commit = c
	for _, e := range f.of {
		e.flight.Store(f) // an earlier one lands before this one
	}
	return f, nil
}

// await waits until what fly wrote is durable, if anybody has to.
func (s *Store) await(c Commit) (err error) {
	if c == nil {
		return nil
	}
	if planted.Bug != planted.AckBeforeSync {
		err = c.Wait()
	}
	if err != nil {
		err = s.fail(err)
	}
	if f, ok := c.(*flight); ok {
		f.land(err)
	}
	if err == nil {
		s.disk.flying.Add(-1) // after a failure it stays: nobody is to say that anything is durable
	}
	return err
}

func (f *flight) land(err error) {
	f.mu.Lock()
	f.landed, f.err = true, err
	if f.signal != nil {
		close(f.signal)
	}
	f.mu.Unlock()
	if err == nil {
		for _, e := range f.of {
			e.flight.CompareAndSwap(f, nil)
		}
	}
}

// wait waits until f has landed, as whoever wrote it does.
func (f *flight) wait(ctx context.Context) error {
	signal := f.landing()
	if signal == nil {
		return f.err
	}
	select {
	case <-signal:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// landing returns what is closed when f has landed; nil if it has.
func (f *flight) landing() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.landed {
		return nil
	}
	if f.signal == nil {
		f.signal = make(chan struct{})
	}
	return f.signal
}
