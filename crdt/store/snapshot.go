package store

// preserve keeps the state of a locked entry for the snapshots that do not have it yet, before it changes.
func (s *Store) preserve(e *entry) {}
