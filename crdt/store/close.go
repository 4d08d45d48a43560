package store

import "errors"

// Close ends the store: calls that are under way come to their end, later ones fail with [ErrClosed], ranges over what
// happens ([Store.Watch], [Store.Updates]) end, and what was written is durable. It says in the backend that the identity
// is free again, and closes it. An error says that not all of that could be done; what was acknowledged is on disk as far as
// Config.Sync says. A second Close waits for the first, and returns what that did. A store in memory may be closed, too, and has nothing to lose by it but itself.
func (s *Store) Close() error {
	s.life.closing.Do(func() { s.life.closed = s.shut() })
	s.reports.deliver()
	return s.life.closed
}

// shut closes the store for the first time.
func (s *Store) shut() error {
	first, why := s.stop()
	s.hub.end()
	if s.disk == nil {
		return nil
	}
	s.disk.quiet()
	if first {
		why = s.farewell()
	}
	return errors.Join(why, s.disk.backend.Close())
}

// quiet stops the timer. One that has gone off finds the store ended.
func (d *disk) quiet() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}

// farewell writes down that the identity is free, and what all rows add up to. It is not free if it may have numbered
// something that has no encoding, and so is lost.
func (s *Store) farewell() error {
	h := s.head(s.era.Load())
	h.closed = !s.disk.behind.Load()
	ops := []Op{{OpSet, []byte{spaceHead}, h.encode()}, {Kind: OpDelete, Key: []byte{spaceSummary}}}
	if !s.index.doubt.Load() {
		s.index.mu.Lock()
		defer s.index.mu.Unlock()
		s.flush()
		sum := summary{keys: s.index.tree.Len(), root: s.index.tree.Root()}
		ops[1] = Op{OpSet, []byte{spaceSummary}, sum.encode()}
	}
	return s.force(ops...)
}
