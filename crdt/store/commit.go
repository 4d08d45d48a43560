package store

// changed makes a change of the locked entry known: to the disk, to the index and to the followers. A nil delta says
// that there was none to be had. Unless nobody is going to wait, and where the store's policy says so, there is a Commit,
// to be waited for with no lock held.
//
// Followers may hear of it before it is durable. If the process ends in between, the store has lost what others have,
// and gets it back from them: it has another identity then (see [Open]), so what it numbers meanwhile is not
// mistaken for that.
func (s *Store) changed(e *entry, at stamp, delta []byte, local, wait bool) (Commit, error) {
	if !e.written {
		s.cache.admit(e, 0)
	}
	s.touched(e)
	c, err := s.save(e, delta, wait)
	s.hub.publish(e.key, at, delta, local)
	return c, err
}

// touched notes that the value of the locked entry has changed.
func (s *Store) touched(e *entry) {
	s.table.touched(e, s.now)
	if s.dates {
		s.dated(e)
	}
}

// finish is what a call says of a change, after it has waited until it is durable if it must be. A call that has
// changed nothing waits for those that did and are waiting still, because it says that all of it is there.
func (s *Store) finish(c Commit, err error) error {
	if c == nil && err == nil {
		return s.land()
	}
	if failed := s.await(c); failed != nil {
		return failed
	}
	return err
}

// leave unlocks e. Unless done, foreign code was left by a panic (or a Goexit)
// half way: whatever it did to the value has happened, so it is made known.
func (s *Store) leave(e *entry, done, local bool) {
	if c := s.unlock(e, done, local); c != nil {
		_ = s.await(c) // an error ends the store
	}
}

func (s *Store) unlock(e *entry, done, local bool) (c Commit) {
	known := done
	defer func() {
		if !known && s.disk != nil { // it cannot be encoded either
			e.unsaved = true
			s.disk.behind.Store(true)
		}
		if !e.written {
			s.table.discard(e)
		}
		e.mu.Unlock()
	}()
	if !done {
		c, _ = s.changed(e, stamp{}, nil, local, true)
		known = true
	}
	return c
}
