package store

import "sync"

// arrivals is how entries come along from one era to the next: each when its lock is taken for the first time, by
// whoever that is, so that what is read and written under the lock is of the era that is seen there.
type arrivals struct {
	record *record // to be settled; nil where the store is emptied

	mu    sync.Mutex
	aside []*entry // what an emptied store held
}

// lookup returns the locked entry of key, come along, and nil when the store has none. While it is locked, it is of the
// era returned, whatever the store goes on to.
func (s *Store) lookup(key string) (*entry, *era) {
	for {
		e := s.table.lookup(key)
		if e == nil {
			return nil, nil
		}
		if a := s.arrive(e); a != nil {
			return e, a
		}
	}
}

// acquire returns the locked entry of key, come along, and made if need be.
func (s *Store) acquire(key string) (*entry, *era) {
	for {
		e := s.table.acquire(key)
		if a := s.arrive(e); a != nil {
			return e, a
		}
	}
}

// arrive brings a locked entry to the present era. It returns nil if that was the end of it; then it is unlocked.
func (s *Store) arrive(e *entry) *era {
	a := s.era.Load()
	switch {
	case !e.written:
		e.tenure = a.tenure
	case e.tenure != a.tenure:
		s.setAside(a, e)
		return nil
	case a.arrivals != nil && a.arrivals.record != nil && !s.settleEntry(a, e):
		return nil
	}
	return a
}

// settleEntry settles the record that is being applied at a locked entry. To do so again does no harm.
func (s *Store) settleEntry(a *era, e *entry) bool {
	r := a.arrivals.record
	if !r.concerns(e.key) {
		return true
	}
	left, err := s.apply(r, e.key, &e.value)
	if left == nil || err != nil { // an error was excluded before, see Store.check
		s.remove(e)
		e.mu.Unlock()
		return false
	}
	s.changed(e, nil, false) // whoever follows loads the state
	return true
}

// setAside takes out a locked entry that an emptied store held.
func (s *Store) setAside(a *era, e *entry) {
	s.remove(e)
	if a.arrivals != nil {
		a.arrivals.keep(e)
	}
	e.mu.Unlock()
}

// remove takes a locked entry out, and tells so if it had anything to show.
func (s *Store) remove(e *entry) {
	live := e.live.Load()
	s.table.drop(e)
	if live {
		s.hub.publish(e.key, nil, false)
	}
}

func (a *arrivals) keep(e *entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.aside = append(a.aside, e)
}

// yield yields what was set aside, encoded. Nobody else has it any more.
func (a *arrivals) yield(yield func(key string, value []byte) bool) {
	for _, e := range a.aside {
		value, err := e.value.AppendBinary(nil)
		if err == nil && len(value) > 0 && !yield(e.key, value) {
			return
		}
	}
}

// drop takes a locked entry, that is empty of what was not agreed on, out of the table. The index hears of it.
func (t *table) drop(e *entry) {
	if e.live.Load() {
		e.live.Store(false)
		t.live.Add(-1)
	}
	t.shardOf(e.key).unbury(e)
	t.discard(e)
	if !e.dirty {
		e.dirty = true
		t.shardOf(e.key).enlist(e)
	}
}

// nothing is what a store yields that had nothing to set aside.
func nothing(func(string, []byte) bool) {}

// writerOf returns the identity under which a locked entry is written to: the one that it was first written to under,
// as long as it is there. A key that is made anew after it was forgotten has another, since identities change at each
// record: so what is numbered there was never numbered before.
func (s *Store) writerOf(e *entry, a *era) Writer {
	if e.writer.IsZero() {
		e.writer = a.writer
	}
	return Writer{Replica: e.writer, clock: s.clock}
}
