package store

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/vclock"
)

// A disk is how a store uses its backend. All of it is nil for a store in memory.
type disk struct {
	backend Backend
	place   string
	each    bool          // every write waits until it is durable
	every   time.Duration // otherwise, what is written is durable after that; 0 if whenever the backend likes

	mu    sync.Mutex
	timer *time.Timer // runs while something waits to be synced

	behind atomic.Bool  // there was something that could not be encoded, so it may have numbered what is not on disk
	flying atomic.Int64 // writes that somebody waits for, and that may not be durable

	floorMu sync.Mutex
	floor   atomic.Int64 // no stamp that was written is later
}

// A batch is a number of steps in the making. It is reused.
type batch struct {
	ops     []Op
	buf     []byte
	entries []*entry // whose values it changes; locked
}

var batches = sync.Pool{New: func() any { return new(batch) }}

func newBatch() *batch { return batches.Get().(*batch) }

func (b *batch) release() {
	const large = 64 << 10
	clear(b.ops)
	clear(b.entries)
	b.ops, b.buf, b.entries = b.ops[:0], b.buf[:0], b.entries[:0]
	if cap(b.buf) <= large {
		batches.Put(b)
	}
}

// grow appends to the buffer and returns what was appended. What was returned before stays valid.
func (b *batch) grow(add func(buf []byte) []byte) []byte {
	n := len(b.buf)
	b.buf = add(b.buf)
	return b.buf[n:len(b.buf):len(b.buf)]
}

func (b *batch) key(space byte, e *entry) []byte {
	return b.grow(func(buf []byte) []byte { return appendKey(buf, space, e.tenure, e.key) })
}

func (b *batch) add(kind OpKind, key, value []byte) { b.ops = append(b.ops, Op{kind, key, value}) }

// save writes a change of the locked entry to disk: delta joins what is there, and if there is none all is written. The
// Commit is nil if nobody is going to wait, or has to.
func (s *Store) save(e *entry, delta []byte, wait bool) (Commit, error) {
	if s.disk == nil {
		return nil, nil
	}
	b := newBatch()
	defer b.release()
	if err := s.put(b, e, delta); err != nil {
		return nil, err
	}
	return s.apply(b, wait)
}

// put adds a change of the locked entry to a batch, and its row.
func (s *Store) put(b *batch, e *entry, delta []byte) error {
	if len(delta) == 0 || e.unsaved {
		whole, err := e.encode(nil)
		if err != nil {
			s.disk.behind.Store(true)
			e.unsaved = true
			return err
		}
		e.unsaved = false
		s.cache.resize(e, len(whole))
		e.measured = len(whole)
		b.add(OpSet, b.key(spaceValue, e), whole)
	} else {
		s.cache.resize(e, e.size+len(delta))
		s.measure(e)
		b.add(OpJoin, b.key(spaceValue, e), delta)
	}
	hi, lo, err := e.value.Fingerprint(s.index.hash)
	if err != nil {
		s.disk.behind.Store(true)
		e.unsaved = true
		b.ops = b.ops[:len(b.ops)-1]
		return &EncodeError{Key: e.key, Err: err}
	}
	b.entries = append(b.entries, e)
	r := e.row(hi, lo)
	b.add(OpSet, b.key(spaceRow, e), b.grow(r.appendTo))
	if planted.Bug == planted.RowBeforeValue {
		_, err = s.write(&batch{ops: b.ops[len(b.ops)-1:]}, false)
	}
	return err
}

// measure finds out how large the value of a locked entry is once the deltas since the last time may have doubled it: so
// it costs O(delta), on average, and a value that does not grow is not taken for one that does.
func (s *Store) measure(e *entry) {
	const small = 1 << 10
	if e.size < small+2*e.measured {
		return
	}
	if whole, err := e.encode(nil); err == nil {
		e.measured = len(whole)
		s.cache.resize(e, len(whole))
	}
}

// erase takes locked entries from the disk, all or none.
func (s *Store) erase(all ...*entry) error {
	if s.disk == nil {
		return nil
	}
	b := newBatch()
	defer b.release()
	for _, e := range all {
		b.add(OpDelete, b.key(spaceValue, e), nil)
		b.add(OpDelete, b.key(spaceRow, e), nil)
	}
	_, err := s.write(b, false)
	return err
}

// apply writes a batch as the store's policy says.
func (s *Store) apply(b *batch, wait bool) (Commit, error) {
	d := s.disk
	if err := s.coverClock(); err != nil {
		return nil, err
	}
	if wait && d.each {
		return s.fly(b)
	}
	c, err := s.write(b, false)
	if err == nil && d.every > 0 {
		s.syncSoon()
	}
	return c, err
}

// land waits for what others have written and may still be waiting for: who says that something was there already
// says that it is durable.
func (s *Store) land() error {
	if s.disk == nil || s.disk.flying.Load() == 0 {
		return nil
	}
	return s.force()
}

// write applies a batch. An error is final.
func (s *Store) write(b *batch, sync bool) (Commit, error) {
	c, err := s.disk.backend.Apply(b.ops, sync)
	if err != nil {
		return nil, s.fail(err)
	}
	return c, nil
}

// force writes steps and waits until they are durable, whatever the policy.
func (s *Store) force(ops ...Op) error {
	c, err := s.write(&batch{ops: ops}, true)
	if err != nil {
		return err
	}
	if err := c.Wait(); err != nil {
		return s.fail(err)
	}
	return nil
}

// A store that is opened begins to stamp at the moment that is written down. It is so far ahead of the physical clock,
// or of the stamps if they are ahead of it already: only a little then, or a store that crashes again and again would be
// further ahead each time, until nobody takes its stamps.
const (
	clockLease = int64(time.Second)
	clockStep  = int64(10 * time.Millisecond)
)

// coverClock writes down a moment that is later than all stamps so far, before any of them is written.
func (s *Store) coverClock() error {
	d := s.disk
	if s.clock.Last().Wall <= d.floor.Load() || planted.Bug == planted.ClockForgotten {
		return nil
	}
	d.floorMu.Lock()
	defer d.floorMu.Unlock()
	last := s.clock.Last().Wall
	if last <= d.floor.Load() {
		return nil
	}
	floor := max(later(last, clockStep), later(s.now().UnixNano(), clockLease))
	b := newBatch()
	defer b.release()
	b.add(OpSet, []byte{spaceClock}, appendMoment(nil, floor))
	if _, err := s.write(b, false); err != nil {
		return err
	}
	d.floor.Store(floor)
	return nil
}

// later is a moment after another, or the last there is.
func later(wall, by int64) int64 { return wall + min(by, math.MaxInt64-max(wall, 0)) }

// syncSoon has what was written synced after a while, once.
func (s *Store) syncSoon() {
	d := s.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == nil {
		d.timer = time.AfterFunc(d.every, s.syncNow)
	}
}

func (s *Store) syncNow() {
	if s.begin() != nil {
		return
	}
	defer s.end()
	s.disk.mu.Lock()
	s.disk.timer = nil
	s.disk.mu.Unlock()
	_ = s.force() // an error ends the store
}

// floorOf is the timestamp that a store begins after.
func floorOf(wall int64) vclock.Timestamp {
	return vclock.Timestamp{Wall: wall, Logical: 1<<32 - 1}
}
