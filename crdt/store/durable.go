package store

// Durable reports whether what a call of Update or Merge has written is on disk when it
// returns: the store has a [Backend], and Config.Sync is zero. Package quorum asks for it.
func (s *Store) Durable() bool { return s.disk != nil && s.disk.each }
