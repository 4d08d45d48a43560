package store

import (
	"context"
	"iter"
)

// Watch follows the keys that start with prefix: it yields each key whose state
// changed after the call to Watch, by a local update, a deletion or a merge. The
// empty prefix is every key.
//
// Registration happens at the call, not when the range begins: whoever calls
// Watch, then reads, then ranges misses nothing. A key that changes again before
// it was yielded is yielded once. Once more keys wait than Config.MaxWatched, they
// are replaced by one: the prefix itself, with all being true, which says to read everything
// again that starts with it. So what is pending is bounded, nothing is lost, and a slow range
// delays no writer. What is yielded is a hint to
// look, not a value: the state read afterwards is at least as new as the change.
// Keys come in the order in which they first became pending.
//
// The watch ends when ctx ends, also if it is never ranged over, when the
// range is left, or when the store is closed. A watch serves one range; a second one yields nothing. The loop
// body runs with no lock held and may call the store.
//
// Each change costs every open watch one prefix comparison. That a key has expired is no change: it is one when it
// is swept.
func (s *Store) Watch(ctx context.Context, prefix string) iter.Seq2[string, bool] {
	f := newFeed(prefix, s.maxWatched)
	stop := s.hub.follow(ctx, f)
	return func(yield func(key string, all bool) bool) {
		defer stop()
		for {
			key, b, ok := f.next(ctx)
			if !ok || !yield(key, b == allChanged) {
				return
			}
		}
	}
}

// Updates follows what this store originated: each local [Update] and
// [Store.Delete] after the call, as the key and the encoded delta. What came in by
// [Store.Merge] is not repeated, so it is what a replicator feeds its buffers
// with.
//
// Nothing is left out. The deltas of a key follow one another in the order in
// which they were made, but for those of a [Batch], which may come later than others of its keys; those that pile up while the range is busy are joined into
// one, and once more than Config.MaxPending bytes wait (or an eighth of it under
// one key) the delta is nil, which says: load the state of this key yourself. A
// delta is also nil when fn panicked in an Update, when it could not be encoded, or
// when the store came to another [Store.Generation] between two. Keys come in the order
// in which they first became pending. The deltas of a [Batch] come as one, under one of its keys: it is merged like
// any other. The bytes yielded belong to the caller.
//
// Registration, end and locking are those of [Store.Watch].
func (s *Store) Updates(ctx context.Context) iter.Seq2[string, []byte] {
	f := newDeltaFeed(s.maxPending)
	stop := s.hub.follow(ctx, f)
	return func(yield func(string, []byte) bool) {
		defer stop()
		for {
			key, b, ok := f.next(ctx)
			if !ok || !yield(key, s.joined(key, b)) {
				return
			}
		}
	}
}

// joined is what waited under one key as one delta, or nil where it was given up.
// It runs in the reader's goroutine, so that a burst costs its writers no joins.
func (s *Store) joined(key string, b *backlog) []byte {
	if b.lost {
		return nil
	}
	return joinDeltas(s.kinds, key, b.deltas)
}
