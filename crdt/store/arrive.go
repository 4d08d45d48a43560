package store

import (
	"errors"
	"sync"
)

// arrivals is how entries come along from one era to the next: each when its lock is taken for the first time, by
// whoever that is, so that what is read and written under the lock is of the era that is seen there.
type arrivals struct {
	record *record // to be settled; nil where the store is emptied

	mu    sync.Mutex
	aside []*entry // what an emptied store held
}

// lookup returns the locked entry of key, come along and with its value in memory, and nil when the store has none.
// While it is locked, it is of the era returned, whatever the store goes on to.
func (s *Store) lookup(key string) (*entry, *era, error) {
	for {
		e := s.table.lookup(key)
		if e == nil {
			return nil, nil, nil
		}
		if a, err := s.arrive(e); a != nil || err != nil {
			return e, a, err
		}
	}
}

// acquire returns the locked entry of key, come along, with its value in memory, and made if need be.
func (s *Store) acquire(key string) (*entry, *era, error) {
	for {
		e := s.table.acquire(key)
		if a, err := s.arrive(e); a != nil || err != nil {
			return e, a, err
		}
	}
}

// arrive brings a locked entry to the present era. It returns no era if that was the end of it; then, and if it fails,
// the entry is unlocked.
func (s *Store) arrive(e *entry) (*era, error) {
	a := s.era.Load()
	switch {
	case !e.written:
		e.tenure = a.tenure
		return a, nil
	case e.tenure != a.tenure:
		s.setAside(a, e)
		return nil, nil
	}
	if err := s.warm(a, e); err != nil {
		e.mu.Unlock()
		return nil, err
	}
	if a.arrivals != nil && a.arrivals.record != nil && a.arrivals.record.concerns(e.key) {
		return s.settleEntry(a, e)
	}
	return a, nil
}

// settleEntry settles the record that is being applied at a locked entry that it concerns. To do so again does no harm.
func (s *Store) settleEntry(a *era, e *entry) (*era, error) {
	s.preserve(e)
	left, err := s.settled(a.arrivals.record, e.key, &e.value)
	if left == nil || err != nil { // an error was excluded before, see Store.check
		err := s.erase(e) // before somebody makes it anew
		s.remove(e)
		e.mu.Unlock()
		return nil, err
	}
	_, err = s.changed(e, a.at, nil, false, false) // whoever follows loads the state
	if _, encoding := errors.AsType[*EncodeError](err); err != nil && !encoding {
		e.mu.Unlock()
		return nil, err
	}
	return a, nil
}

// setAside takes out a locked entry that an emptied store held.
func (s *Store) setAside(a *era, e *entry) {
	s.preserve(e)
	s.remove(e)
	if a.arrivals != nil {
		a.arrivals.keep(e)
	}
	e.mu.Unlock()
}

// remove takes a locked entry out, and tells so if it had anything to show.
func (s *Store) remove(e *entry) {
	live := e.live.Load()
	s.takeOut(e)
	if live {
		s.hub.publish(e.key, stamp{}, nil, false)
	}
}

// takeOut takes a locked entry out, and tells nobody.
func (s *Store) takeOut(e *entry) {
	s.cache.forget(e)
	s.deadlines.set(e.key, 0)
	s.table.drop(e)
}

func (a *arrivals) keep(e *entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.aside = append(a.aside, e)
}

// yield yields what was set aside, encoded. Nobody else has it any more. It reports whether that was all.
func (s *Store) yield(a *arrivals, yield func(key string, value []byte) bool) (all bool) {
	for _, e := range a.aside {
		value, err := s.left(e)
		if err == nil && len(value) > 0 && !yield(e.key, value) {
			return false
		}
	}
	return true
}

// forgetTenure takes what was set aside from the disk, after it was yielded. Where that fails, the next Open does it.
func (s *Store) forgetTenure(tenure uint32) {
	if s.disk == nil || s.begin() != nil {
		return
	}
	defer s.end()
	_ = s.dropTenure(spaceRow, tenure)
	_ = s.dropTenure(spaceValue, tenure)
}

// left is what an entry holds that was set aside.
func (s *Store) left(e *entry) ([]byte, error) {
	if err := s.begin(); err != nil {
		return nil, err
	}
	defer s.end()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.cold {
		return e.value.AppendBinary(nil)
	}
	v, _, _, _ := s.read(e) // of what is damaged, as much as can be read
	return v.AppendBinary(nil)
}

// drop takes a locked entry, that is empty of what was not agreed on, out of the table. The index hears of it.
func (t *table) drop(e *entry) {
	if e.live.Load() {
		e.live.Store(false)
		t.live.Add(-1)
	}
	t.shardOf(e.key).unbury(e)
	if !e.dirty {
		e.dirty = true
		t.shardOf(e.key).enlist(e)
	}
	t.discard(e)
}

// nothing is what a store yields that had nothing to set aside.
func nothing(func(string, []byte) bool) {}

// writerOf returns the identity under which a locked entry is written to: the one that it was first written to under,
// as long as it is there. A key that is made anew after it was forgotten has another, since identities change at each
// record: so what is numbered there was never numbered before.
func (s *Store) writerOf(e *entry, a *era) Writer {
	if e.writer.IsZero() || e.rotation != a.rotation {
		e.writer, e.rotation = a.writer, a.rotation
	}
	return Writer{Replica: e.writer, clock: s.clock}
}
