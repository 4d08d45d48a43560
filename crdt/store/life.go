package store

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// ErrClosed says that a store was closed.
var ErrClosed = errors.New("store: closed")

// A FailedError says that the backend of a store has failed, once and for all: whether what was written last is on the
// disk, nobody can say, and what would be written now may be lost, whatever the disk says. The store is closed; open
// it again to see what there is.
type FailedError struct{ Err error }

// Error implements error.
func (e *FailedError) Error() string { return fmt.Sprintf("store: the disk has failed: %v", e.Err) }

// Unwrap returns e.Err.
func (e *FailedError) Unwrap() error { return e.Err }

// A life is how a store ends: at once for those who come, and for good as soon as those who are there have left.
type life struct {
	ended   atomic.Pointer[error]
	closing sync.Once
	closed  error // what came of it
	inside  atomic.Int64
	mu      sync.Mutex
	left    sync.Cond
}

// begin is called by whoever uses the store, and end after that unless it fails. They may be nested.
func (s *Store) begin() error {
	if s.disk != nil {
		s.life.inside.Add(1)
	}
	if err := s.ending(); err != nil {
		s.depart()
		return err
	}
	return nil
}

// ending is why the store has ended, if it has.
func (s *Store) ending() error {
	if err := s.life.ended.Load(); err != nil {
		return *err
	}
	return nil
}

// end is called with no lock held.
func (s *Store) end() {
	if s.disk != nil {
		s.cache.trim(s)
		s.depart()
	}
	s.reports.deliver()
}

func (s *Store) depart() {
	if s.disk == nil || s.life.inside.Add(-1) > 0 || s.life.ended.Load() == nil {
		return
	}
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	s.life.left.Broadcast()
}

// fail ends the store because of an error of its backend, and returns what to say of it.
func (s *Store) fail(err error) error {
	var failed error = &FailedError{err}
	if s.life.ended.CompareAndSwap(nil, &failed) {
		s.reports.add(func() { s.events.failed(failed) })
	}
	return failed
}

// stop ends the store and waits until nobody is inside. It reports whether this was the end, and not an earlier one.
func (s *Store) stop() (first bool, earlier error) {
	closed := ErrClosed
	first = s.life.ended.CompareAndSwap(nil, &closed)
	s.life.mu.Lock()
	defer s.life.mu.Unlock()
	for s.life.inside.Load() > 0 {
		s.life.left.Wait()
	}
	return first, *s.life.ended.Load()
}

// reports are calls of the program's functions that wait until no lock is held.
type reports struct {
	waiting atomic.Int64
	mu      sync.Mutex
	calls   []func()
}

func (r *reports) add(call func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, call)
	r.waiting.Add(1)
}

func (r *reports) deliver() {
	if r.waiting.Load() == 0 {
		return
	}
	r.mu.Lock()
	calls := r.calls
	r.calls = nil
	r.waiting.Add(-int64(len(calls)))
	r.mu.Unlock()
	for _, call := range calls {
		call()
	}
}
