package store

// Rings is how many entries the cache knows, and Deadlines how many keys wait for theirs.
func (s *Store) Rings() int { return len(s.cache.ring) }

func (s *Store) Deadlines() int { return len(s.deadlines.queue.all) }
