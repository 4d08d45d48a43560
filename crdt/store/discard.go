package store

import (
	"context"
	"errors"
	"slices"

	"github.com/eventual-go/eventual/merkle"
)

// Discard forgets the keys at these positions of the index, with all that this store has of them, and leaves nothing
// behind: other replicas hold them, and go on without this one. So a node gives up a part of the keys that it is to hold
// no more:
//
//	held := s.Index()
//	... // hand over what is in held: package antientropy's Loop.HandOver, to those who hold it from now on
//	kept, err := s.Discard(ctx, held, ranges)
//
// Only what is in held, and just as it is there, is forgotten: what was written or merged since then stays, and so
// does a key that held does not have. A write that came between is not lost, then; a write that comes later makes the key
// anew. kept is how many keys there are still at these positions: if there are any, hand over and discard again. The
// ranges should not overlap.
//
// This is no deletion. Nobody who follows the store is told ([Store.Watch], [Store.Updates]), nothing travels, and what is
// merged again is held again, deleted or not, also events that this store numbered itself. What it numbers
// after that, in a key that is made again, it numbers under a new identity, as after a record: see [Store.Replica]. A
// [Snapshot] that was taken before has the keys still; one that is taken meanwhile has some of them. The same holds
// for a crash: each key is there or it is not, with its value and its place in the index. Where it fails, and where ctx
// ends, it has forgotten some of the keys, and may be called again; after another [Open] with what the index is then.
//
// It costs O(keys in held there), with up to 256 of them locked at a time, and each is hashed, if it is not large, or
// what is on disk of it without the value is read. Errors: ctx's, and those of a disk ([Open]).
func (s *Store) Discard(ctx context.Context, held *merkle.Tree, ranges []merkle.Range) (kept int, err error) {
	const some = 256
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if err := s.begin(); err != nil {
		return 0, err
	}
	defer s.end()
	anew := false
	for lot := range slices.Chunk(keysIn(held, ranges), some) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		left, err := s.discard(held, lot, anew)
		if err == nil && left {
			if err = s.nextIncarnation(); err == nil {
				anew = true
				_, err = s.discard(held, lot, anew)
			}
		}
		if err != nil {
			return 0, err
		}
	}
	if err := s.settleDown(); err != nil {
		return 0, err
	}
	index := s.Index()
	for _, r := range ranges {
		_, n := index.Sum(r)
		kept += n
	}
	return kept, nil
}

// keysIn returns the keys that a tree has in some ranges, in ascending order, each once.
func keysIn(t *merkle.Tree, ranges []merkle.Range) (keys []string) {
	if t == nil {
		return nil
	}
	for _, r := range ranges {
		for key := range t.Range(r) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// nextIncarnation has keys that are made from now on written to under another identity, and waits until that is durable:
// a key that is forgotten without a residue may be made again, and must not number its events as before. Nothing is
// forgotten that was first written to under the new identity, since no index from before has it.
func (s *Store) nextIncarnation() error {
	s.turning.Lock()
	defer s.turning.Unlock()
	if err := s.ending(); err != nil {
		return err
	}
	a := *s.era.Load()
	a.writer = s.nextWriter(a.base)
	return s.become(&a)
}

// discard forgets some keys, in ascending order, that are as they are held; or reports that there are some, if keys that
// are made from now on would not be written to anew. On disk it is one step. Meanwhile no record is
// settled, so all entries are of the present era.
func (s *Store) discard(held *merkle.Tree, keys []string, anew bool) (left bool, err error) {
	s.turning.Lock()
	defer s.turning.Unlock()
	if err := s.ending(); err != nil {
		return false, err
	}
	gone, err := s.lockUnchanged(held, keys)
	defer func() {
		for _, e := range gone {
			e.mu.Unlock()
		}
	}()
	if err != nil || len(gone) == 0 || !anew {
		return err == nil && len(gone) > 0, err
	}
	s.preserve(gone...)
	if err := s.erase(gone...); err != nil {
		return false, err
	}
	for _, e := range gone {
		s.takeOut(e)
	}
	return false, nil
}

// lockUnchanged returns the locked entries of keys that are as they are held.
func (s *Store) lockUnchanged(held *merkle.Tree, keys []string) (all []*entry, err error) {
	for _, key := range keys {
		e := s.table.lookup(key)
		if e == nil {
			continue
		}
		same, err := s.unchanged(e, held)
		if same {
			all = append(all, e)
		} else {
			e.mu.Unlock()
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// unchanged reports whether a locked entry is as it is held. One of which that cannot be told is not.
func (s *Store) unchanged(e *entry, held *merkle.Tree) (bool, error) {
	was, ok := held.Get(e.key)
	if !ok || !e.written || e.unsaved {
		return false, nil
	}
	is, err := s.fingerprintOf(e)
	if err != nil && (!e.cold || errors.Is(err, ErrDamaged)) {
		return false, nil // it has no encoding, or none that can be read
	}
	return err == nil && was == s.index.tree.Hasher().Element(e.key, is), err
}

// settleDown waits until what was written without waiting is durable, if the store's policy says so.
func (s *Store) settleDown() error {
	switch {
	case s.disk == nil:
		return nil
	case s.disk.each:
		return s.force()
	case s.disk.every > 0:
		s.syncSoon()
	}
	return nil
}
