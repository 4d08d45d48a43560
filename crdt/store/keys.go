package store

import (
	"iter"
	"maps"
	"slices"
	"strings"
)

// Keys yields the keys that start with prefix and have something to show, in
// ascending byte order; deleted keys are left out. The list is made when the range
// begins: a key that was there before and was not deleted until then is in it, and
// one that is written or deleted meanwhile may or may not be. The loop body runs
// with no lock held and may call the store. The list costs O(all keys + n log n)
// for n keys yielded.
func (s *Store) Keys(prefix string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, key := range s.table.liveKeys(prefix) {
			if !yield(key) {
				return
			}
		}
	}
}

// Len is the number of keys that have something to show, deleted ones left out.
func (s *Store) Len() int { return int(s.table.live.Load()) }

func (t *table) liveKeys(prefix string) []string {
	var keys []string
	for i := range t.shards {
		keys = t.shards[i].appendLive(keys, prefix)
	}
	slices.Sort(keys)
	return keys
}

func (sh *shard) appendLive(keys []string, prefix string) []string {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for key, e := range sh.entries {
		if e.live.Load() && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	return keys
}

// all yields the keys of the table at the time, in no order, with no lock held.
func (t *table) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := range t.shards {
			for _, key := range t.shards[i].keys() {
				if !yield(key) {
					return
				}
			}
		}
	}
}

func (sh *shard) keys() []string {
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return slices.Collect(maps.Keys(sh.entries))
}
