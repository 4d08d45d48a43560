package store

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/eventual-go/eventual/crdt"
)

// A cache bounds how much of what is on disk is also in memory. Keys and what is in the index always are; values are
// read when they are used, and given up when others need the room and they were not used for a while (the second
// chance, or clock, algorithm).
type cache struct {
	limit  int64 // 0 in a store that has no disk
	bytes  atomic.Int64
	values atomic.Int64 // in memory

	hits, misses, evictions atomic.Uint64

	mu   sync.Mutex
	ring []*entry // whose values may be in memory, each once
	hand int
	gone atomic.Int64 // entries in the ring that were taken out of the table, about
}

// valueOverhead is what a value is counted beside its encoded size.
const valueOverhead = 64

// admit counts an entry whose value has come into memory.
func (c *cache) admit(e *entry, size int) {
	if c.limit == 0 {
		return
	}
	e.size = size
	c.bytes.Add(int64(size) + valueOverhead)
	c.values.Add(1)
	if e.ringed {
		return
	}
	e.ringed = true
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ring = append(c.ring, e)
}

// resize counts another size for the locked entry.
func (c *cache) resize(e *entry, size int) {
	if c.limit == 0 {
		return
	}
	c.bytes.Add(int64(size - e.size))
	e.size = size
}

// dismiss counts out an entry whose value is in memory no more.
func (c *cache) dismiss(e *entry) {
	if c.limit == 0 {
		return
	}
	c.bytes.Add(-int64(e.size) - valueOverhead)
	c.values.Add(-1)
	e.size = 0
}

// forget notes that a locked entry is taken out of the table. Once there are many of them the ring is cleared of them.
func (c *cache) forget(e *entry) {
	if !e.cold {
		c.dismiss(e)
	}
	if e.ringed {
		c.gone.Add(1)
	}
}

// sweep takes the entries that are gone out of the ring, if they are many. No lock is held.
func (c *cache) sweep() {
	const few = 64
	if c.gone.Load() < few || !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	if c.gone.Load() < int64(len(c.ring)/2) {
		return
	}
	c.gone.Store(0)
	c.ring = slices.DeleteFunc(c.ring, func(e *entry) bool {
		if !e.mu.TryLock() {
			return false
		}
		defer e.mu.Unlock()
		return e.gone
	})
}

// trim gives values up until the rest is within the limit, or all have had their chance. No lock is held.
func (c *cache) trim(s *Store) {
	c.sweep()
	if c.bytes.Load() <= c.limit || !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	for n := 2 * len(c.ring); n > 0 && len(c.ring) > 0 && c.bytes.Load() > c.limit; n-- {
		c.hand %= len(c.ring)
		if c.turn(s, c.ring[c.hand]) {
			last := len(c.ring) - 1
			c.ring[c.hand], c.ring[last] = c.ring[last], nil
			c.ring = c.ring[:last]
		} else {
			c.hand++
		}
	}
}

// turn gives the value of an entry up, unless it was used since the last turn, and reports whether the entry leaves
// the ring. One that is in use stays.
func (c *cache) turn(s *Store, e *entry) (leaves bool) {
	if !e.mu.TryLock() {
		return false
	}
	defer e.mu.Unlock()
	switch {
	case e.gone:
	case e.used, e.unsaved, !e.written:
		e.used = false
		return false
	default:
		e.cold, e.value = true, crdt.Value{}
		c.dismiss(e)
		c.evictions.Add(1)
	}
	e.ringed = false
	return true
}

// warm reads the value of a locked entry if it is not in memory.
func (s *Store) warm(a *era, e *entry) error {
	if s.disk == nil {
		return nil
	}
	e.used = true
	if !e.cold {
		s.cache.hits.Add(1)
		return nil
	}
	s.cache.misses.Add(1)
	value, size, piled, err := s.read(e)
	if errors.Is(err, ErrDamaged) {
		return s.salvage(a, e, value, err)
	}
	if err != nil {
		return fmt.Errorf("store: read %q: %w", e.key, err)
	}
	e.value, e.cold, e.measured = *value, false, size
	s.cache.admit(e, size)
	if piled {
		_, err = s.save(e, nil, false)
	}
	return err
}

// read returns what there is on disk of a locked entry, and whether it lies there in several parts, which another
// version could not join. With an ErrDamaged it is what could be read of it.
func (s *Store) read(e *entry) (value *crdt.Value, size int, piled bool, err error) {
	value = new(crdt.Value)
	b := newBatch()
	defer b.release()
	stored, err := s.disk.backend.Get(b.key(spaceValue, e))
	if err != nil {
		return value, 0, false, err
	}
	v, encoded, damaged, err := s.decode(stored)
	switch {
	case beyond(err):
		return value, len(encoded), false, err
	case len(stored) == 0:
		return v, 0, false, s.mustBeEmpty(b, e)
	case err != nil:
		return value, len(encoded), false, fmt.Errorf("%w: %w", ErrDamaged, err)
	case damaged:
		return v, len(encoded), false, fmt.Errorf("%w: a part of it did not decode", ErrDamaged)
	}
	return v, len(encoded), bytes.HasPrefix(stored, pileMark), nil
}

// decode returns the value in what is stored, and whether a part of it was left out.
func (s *Store) decode(stored []byte) (v *crdt.Value, encoded []byte, damaged bool, err error) {
	if pile := unpiled([][]byte{stored}); bytes.HasPrefix(stored, pileMark) {
		stored = Joined(s.kinds, pile...)
		for _, b := range pile {
			if v, err = s.kinds.Decode(b); beyond(err) { // as before
				return v, stored, false, err
			}
		}
	}
	encoded, damaged = readable(stored)
	v, err = s.kinds.Decode(encoded)
	return v, encoded, damaged, err
}

// mustBeEmpty is ErrDamaged if there was a value of a locked entry, by its row. Without it, nobody knows how far its
// events were numbered.
func (s *Store) mustBeEmpty(b *batch, e *entry) error {
	stored, err := s.disk.backend.Get(b.key(spaceRow, e))
	if r, ok := decodeRow(stored); err == nil && ok && r.fingerprint.IsZero() {
		return nil
	}
	if err == nil || errors.Is(err, ErrDamaged) {
		return fmt.Errorf("%w: it is not there", ErrDamaged)
	}
	return err
}

// salvage goes on with what could be read of a locked entry. What is lost was numbered, so from now on this key is
// written to under a name of its own.
func (s *Store) salvage(a *era, e *entry, value *crdt.Value, damage error) error {
	e.value, e.cold = *value, false
	e.writer, e.rotation = s.fresh(), a.rotation
	s.cache.admit(e, 0)
	s.damages.Add(1)
	key := e.key
	s.reports.add(func() { s.events.damaged(key, damage) })
	_, err := s.changed(e, stamp{}, nil, false, false)
	if _, encoding := errors.AsType[*EncodeError](err); encoding {
		return nil
	}
	return err
}

// row returns what is known of the locked entry besides its value.
func (e *entry) row(hi, lo uint64) row {
	r := row{live: e.live.Load(), rotation: e.rotation, writer: e.writer, deadline: e.deadline.Load()}
	r.fingerprint.Hi, r.fingerprint.Lo = hi, lo
	return r
}
