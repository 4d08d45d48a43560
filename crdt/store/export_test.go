package store

// Rings is how many entries the cache knows, and Deadlines how many keys wait for theirs.
func (s *Store) Rings() int { return len(s.cache.ring) }

func (s *Store) Deadlines() int { return len(s.deadlines.queue.all) }

// Locked reports whether somebody works on a key.
func Locked(s *Store, key string) bool {
	sh := s.table.shardOf(key)
	sh.mu.RLock()
	e := sh.entries[key]
	sh.mu.RUnlock()
	if e == nil || !e.mu.TryLock() {
		return e != nil
	}
	e.mu.Unlock()
	return false
}
