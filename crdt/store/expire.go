package store

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/eventual-go/eventual/crdt"
)

// Expire sets when key ends, in whole milliseconds; with the zero time it does not end any more. The deadline is a part of
// the key's state and travels with it ([crdt.Expiry]): of deadlines set concurrently the one set last stays.
//
// From the deadline on, by its own clock, a store shows nothing of the key: [View] and [Store.Keys] are without it, and an
// [Update] of it, whatever that does, takes what is left of it away and begins anew, without a deadline. The state, and so the index, stays what it was, however the clocks of
// replicas differ, until [Store.Sweep] deletes the key some time later. What another replica has written meanwhile, or
// a deadline that was put off elsewhere in the last moment, is not lost by that: with the
// new deadline the key is there again, with all that was not swept.
//
// A key that holds nothing may have a deadline, for what will be written to it.
//
// Errors: *[crdt.UnknownKindError] if crdt.Expiry is not one of Config.Kinds; [crdt.ErrGrowOnly] where the value cannot be
// reset; those of [Update]. Where something that cannot be reset comes later, it is not shown after the deadline, and never deleted.
func (s *Store) Expire(key string, at time.Time) (Delta, error) {
	if err := s.begin(); err != nil {
		return Delta{}, err
	}
	defer s.end()
	delta, c, err := s.expire(key, at)
	return delta, s.finish(c, err)
}

func (s *Store) expire(key string, at time.Time) (_ Delta, c Commit, err error) {
	e, a, err := s.acquire(key)
	if err != nil {
		return Delta{}, nil, err
	}
	done := true
	defer func() { s.leave(e, done, true) }()
	if !at.IsZero() && !e.value.Resettable() {
		return Delta{}, nil, fmt.Errorf("store: expire %q: %w", key, crdt.ErrGrowOnly)
	}
	if err := known[*crdt.Expiry](s.kinds); err != nil {
		return Delta{}, nil, fmt.Errorf("store: expire %q: %w", key, err)
	}
	s.preserve(e)
	done = false
	delta, err := s.date(e, a, at)
	done = true
	if err == nil && len(delta) == 0 {
		return Delta{}, nil, nil
	}
	return s.commit(e, a, delta, err)
}

// date sets the deadline of a locked entry.
func (s *Store) date(e *entry, a *era, at time.Time) (delta []byte, err error) {
	x, err := crdt.Ensure[*crdt.Expiry](s.kinds, &e.value)
	if err != nil {
		return nil, err
	}
	by := s.writerOf(e, a)
	if at.IsZero() {
		return encodeDelta(s.kinds, by, x.Reset())
	}
	return encodeDelta(s.kinds, by, x.Set(at, by.Stamp()))
}

// Expire adds a deadline to a batch: what [Store.Expire] does. So a key that has ended is there again, with what it had,
// and what is put after that is added to it.
func (b *Batch) Expire(key string, at time.Time) {
	b.steps = append(b.steps, step{
		key:   key,
		whole: true,
		dates: true,
		known: known[*crdt.Expiry],
		change: func(s *Store, e *entry, a *era) ([]byte, error) {
			return s.date(e, a, at)
		},
	})
}

// Deadline returns when key ends, and whether it does; also of a key that has ended, and was not swept.
//
// Errors: those of a disk ([Open]).
func (s *Store) Deadline(key string) (at time.Time, ok bool, err error) {
	if err := s.begin(); err != nil {
		return time.Time{}, false, err
	}
	defer s.end()
	e, _, err := s.lookup(key)
	if e == nil || err != nil {
		return time.Time{}, false, err
	}
	defer e.mu.Unlock()
	x, _ := crdt.Component[*crdt.Expiry](s.kinds, &e.value)
	at, ok = x.At()
	return at, ok, nil
}

// Sweep deletes the keys that have ended, unless their deadline has passed for less than Config.Grace, and returns how
// many there were; those that cannot be read wait for the next time. All replicas sweep, each for itself: what they do is the same, and merges into one. A loop of package
// antientropy calls it once each interval. It costs O(keys swept · log n).
//
// Errors: ctx's; those of a disk ([Open]).
func (s *Store) Sweep(ctx context.Context) (swept int, err error) {
	if err := s.begin(); err != nil {
		return 0, err
	}
	defer s.end()
	due := s.now().Add(-s.grace)
	var failed []string
	defer func() {
		for _, key := range failed { // next time
			s.deadlines.set(key, deadlineOf(due))
		}
	}()
	for ctx.Err() == nil {
		key, ok := s.deadlines.pop(deadlineOf(due))
		if !ok {
			return swept, err
		}
		gone, wrong := s.sweep(key, due)
		if wrong != nil {
			failed = append(failed, key)
			err = cmp.Or(err, wrong)
		}
		if gone {
			swept++
		}
	}
	return swept, ctx.Err()
}

// sweep deletes a key if its deadline is over at a time; otherwise it waits for it.
func (s *Store) sweep(key string, due time.Time) (gone bool, err error) {
	e, a, err := s.lookup(key)
	if e == nil || err != nil {
		return false, err
	}
	done := true
	defer func() { s.leave(e, done, true) }()
	if !e.expired(due) {
		s.deadlines.set(key, e.deadline.Load())
		return false, nil
	}
	s.preserve(e)
	done = false
	d, err := e.value.Reset()
	if err != nil {
		done = true
		return false, nil // it cannot be: it is only not shown
	}
	delta, err := d.AppendBinary(nil)
	done = true
	if err != nil {
		delta = nil
	}
	_, err = s.changed(e, a.at, delta, true, false)
	if _, encoding := errors.AsType[*EncodeError](err); encoding {
		err = nil
	}
	return true, err
}

// revive empties a locked entry that has ended, before it is written to. What cannot be reset stays, without a deadline.
// It returns the delta.
func (s *Store) revive(e *entry) (delta []byte, err error) {
	d, err := e.value.Reset()
	if err != nil {
		x, _ := crdt.Component[*crdt.Expiry](s.kinds, &e.value)
		if d, err = crdt.Wrap(s.kinds, x.Reset()); err != nil {
			return nil, err
		}
	}
	e.deadline.Store(0)
	return d.AppendBinary(nil)
}

// dated notes the deadline of a locked entry whose value has changed.
func (s *Store) dated(e *entry) {
	var ms int64
	if x, ok := crdt.Component[*crdt.Expiry](s.kinds, &e.value); ok {
		if at, ok := x.At(); ok {
			ms = deadlineOf(at)
		}
	}
	if ms != e.deadline.Load() {
		e.deadline.Store(ms)
		s.deadlines.set(e.key, ms)
	}
}

// deadlineOf is a time as deadlines are kept, where 0 is none.
func deadlineOf(at time.Time) int64 { return cmp.Or(at.UnixMilli(), 1) }

// expired reports whether the deadline of a key has passed.
func (e *entry) expired(now time.Time) bool {
	at := e.deadline.Load()
	return at != 0 && deadlineOf(now) >= at
}

// deadlines are the keys that wait to be swept, the earliest first, each once.
type deadlines struct {
	mu    sync.Mutex
	queue deadlineQueue
}

type deadline struct {
	at  int64
	key string
}

// set has a key wait for a deadline, and for no other; for none if that is 0.
func (d *deadlines) set(key string, at int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i, waits := d.queue.places[key]
	switch {
	case at == 0 && waits:
		heap.Remove(&d.queue, i)
	case at == 0:
	case waits:
		d.queue.all[i].at = at
		heap.Fix(&d.queue, i)
	default:
		heap.Push(&d.queue, deadline{at, key})
	}
}

// pop takes the earliest one, if it is due.
func (d *deadlines) pop(due int64) (key string, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.queue.all) == 0 || d.queue.all[0].at > due {
		return "", false
	}
	return heap.Pop(&d.queue).(deadline).key, true
}

// A deadlineQueue is a heap that knows where each key is.
type deadlineQueue struct {
	all    []deadline
	places map[string]int
}

func (q *deadlineQueue) Len() int           { return len(q.all) }
func (q *deadlineQueue) Less(i, j int) bool { return cmp.Less(q.all[i].at, q.all[j].at) }
func (q *deadlineQueue) Swap(i, j int) {
	q.all[i], q.all[j] = q.all[j], q.all[i]
	q.places[q.all[i].key], q.places[q.all[j].key] = i, j
}
func (q *deadlineQueue) Push(x any) {
	if q.places == nil {
		q.places = make(map[string]int)
	}
	d := x.(deadline)
	q.places[d.key] = len(q.all)
	q.all = append(q.all, d)
}
func (q *deadlineQueue) Pop() any {
	last := q.all[len(q.all)-1]
	q.all[len(q.all)-1] = deadline{}
	q.all = q.all[:len(q.all)-1]
	delete(q.places, last.key)
	return last
}
