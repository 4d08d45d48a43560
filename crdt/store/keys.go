package store

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"time"
)

// Keys yields the keys that start with prefix and have something to show, in
// ascending byte order; deleted keys are left out. The list is made when the range
// begins: a key that was there before and was not deleted until then is in it, and
// one that is written or deleted meanwhile may or may not be. The loop body runs
// with no lock held and may call the store. For n keys that start with prefix, deleted ones
// among them, it costs O(n log n); the first call sorts all keys, and from then on the store
// keeps them sorted, at 16 bytes a key.
func (s *Store) Keys(prefix string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, key := range s.table.liveKeys(prefix, s.now()) {
			if !yield(key) {
				return
			}
		}
	}
}

// Len is the number of keys that have something to show, deleted ones left out. Those that have ended
// count until they are swept ([Store.Sweep]).
func (s *Store) Len() int { return int(s.table.live.Load()) }

func (t *table) liveKeys(prefix string, now time.Time) []string {
	var keys []string
	for i := range t.shards {
		keys = t.shards[i].appendLive(keys, prefix, now)
	}
	slices.Sort(keys)
	return keys
}

func (sh *shard) appendLive(keys []string, prefix string, now time.Time) []string {
	sh.arrange()
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	for _, run := range [...][]string{sh.sorted, sh.recent} {
		for key := range startingWith(run, prefix) {
			if e := sh.entries[key]; e != nil && e.shows(now) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// startingWith yields the keys of a sorted list that start with prefix.
func startingWith(sorted []string, prefix string) iter.Seq[string] {
	return func(yield func(string) bool) {
		first, _ := slices.BinarySearch(sorted, prefix)
		for _, key := range sorted[first:] {
			if !strings.HasPrefix(key, prefix) || !yield(key) {
				return
			}
		}
	}
}

// arrange sorts the keys that came since the last time. They are a list of their own until they are many, so that a
// few new keys do not cost a pass over all.
func (sh *shard) arrange() {
	sh.mu.RLock()
	arranged := sh.listed && len(sh.added) == 0
	sh.mu.RUnlock()
	if arranged {
		return
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if !sh.listed {
		sh.listed = true
		sh.sorted = slices.Sorted(maps.Keys(sh.entries))
		return
	}
	sh.recent = append(sh.recent, sh.added...)
	sh.added = nil
	slices.Sort(sh.recent)
	sh.recent = slices.Compact(sh.recent)
	if many := 64 + len(sh.sorted)/16; len(sh.recent) < many && sh.dropped < many {
		sh.recent = slices.DeleteFunc(sh.recent, func(key string) bool {
			_, there := slices.BinarySearch(sh.sorted, key) // it was dropped, and came again
			return there
		})
		return
	}
	sh.sorted = sh.merged()
	sh.recent, sh.dropped = nil, 0
}

// list notes a new key, if the keys are kept in order. If nobody has asked for so long that sorting all would be no
// more work, they are not any more.
func (sh *shard) list(key string) {
	if !sh.listed {
		return
	}
	if sh.added = append(sh.added, key); len(sh.added) > 1024+len(sh.entries) {
		sh.listed = false
		sh.sorted, sh.recent, sh.added, sh.dropped = nil, nil, nil, 0
	}
}

// merged returns the keys of both lists that are in the table, in order.
func (sh *shard) merged() []string {
	all := make([]string, 0, len(sh.entries))
	older, newer := sh.sorted, sh.recent
	for len(older)+len(newer) > 0 {
		var key string
		switch {
		case len(newer) == 0 || len(older) > 0 && older[0] < newer[0]:
			key, older = older[0], older[1:]
		case len(older) > 0 && older[0] == newer[0]:
			older = older[1:]
			continue
		default:
			key, newer = newer[0], newer[1:]
		}
		if sh.entries[key] != nil {
			all = append(all, key)
		}
	}
	return all
}

// shows reports whether there is anything to show of a key at a time.
func (e *entry) shows(now time.Time) bool { return e.live.Load() && !e.expired(now) }

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
