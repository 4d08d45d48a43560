package store

// Stats are figures about a store, as of about one moment. Counts are since it was opened.
type Stats struct {
	Keys    int // that have something to show, as Len says
	Deleted int // keys that show nothing and have a state still, which goes once all have agreed ([Store.Propose])

	Cached      int    // values in memory, of a store on disk
	CachedBytes int64  // what they take of Config.Cache
	Hits        uint64 // how often a value was in memory when it was used, on disk
	Misses      uint64 // and how often it had to be read
	Evictions   uint64 // how often one was given up for others

	Pending       int   // bytes of deltas that wait in all ranges over [Store.Updates]
	Snapshots     int   // that are open
	SnapshotBytes int64 // that are kept for them, but for the keys

	Damages    uint64 // keys that could not be read, or not all of them, when they were used
	Rotations  uint64 // how often the store has taken another identity
	Rebuilding bool   // the index does not have all keys yet, see [Open]
}

// Stats returns figures about the store. It costs nothing that has to do with the number of keys.
func (s *Store) Stats() Stats {
	st := Stats{
		Keys:        s.Len(),
		Cached:      int(s.cache.values.Load()),
		CachedBytes: s.cache.bytes.Load(),
		Hits:        s.cache.hits.Load(),
		Misses:      s.cache.misses.Load(),
		Evictions:   s.cache.evictions.Load(),
		Pending:     s.hub.pending(),
		Damages:     s.damages.Load(),
		Rotations:   s.rotations.Load(),
		Rebuilding:  s.index.doubt.Load(),
	}
	for i := range s.table.shards {
		st.Deleted += s.table.shards[i].showNothing()
	}
	if open := s.snapshots.Load(); open != nil {
		st.Snapshots = len(*open)
		for _, p := range *open {
			st.SnapshotBytes += p.size()
		}
	}
	return st
}

// showNothing is how many keys there are to be buried.
func (sh *shard) showNothing() int {
	sh.dirtyMu.Lock()
	defer sh.dirtyMu.Unlock()
	return len(sh.buried)
}

// pending is how many bytes wait in all feeds.
func (h *hub) pending() (n int) {
	feeds := h.feeds.Load()
	if feeds == nil {
		return 0
	}
	for _, f := range *feeds {
		n += f.waiting()
	}
	return n
}

func (f *feed) waiting() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bytes
}

func (p *Snapshot) size() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}
