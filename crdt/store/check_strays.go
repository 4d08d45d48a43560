package store

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
)

// checkStrayIndex takes keys out of the index that are not there.
func (s *Store) checkStrayIndex(r *Report) {
	for key := range s.Index().All() {
		if s.strayInIndex(key) {
			fault(r, &r.Index, key)
		}
	}
}

func (s *Store) strayInIndex(key string) bool {
	if s.table.has(key) {
		return false
	}
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	s.flush() // who takes a key out of the table has told so before
	return !s.table.has(key) && s.index.tree.Delete(key)
}

func (t *table) has(key string) bool {
	sh := t.shardOf(key)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.entries[key] != nil
}

// checkStrays looks for what should not be in the backend.
func (s *Store) checkStrays(ctx context.Context, r *Report) error {
	if s.disk == nil {
		return nil
	}
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	return s.disk.backend.Scan(nil, nil, func(key, _ []byte) error {
		if err := cmp.Or(ctx.Err(), s.ending()); err != nil {
			return err
		}
		stray, err := s.stray(key)
		if stray {
			fault(r, &r.Strays, slices.Clone(key))
		}
		return err
	})
}

// stray reports whether there should be nothing under a key of the backend.
func (s *Store) stray(key []byte) (bool, error) {
	if len(key) == 0 {
		return true, nil
	}
	switch key[0] {
	case spaceHead, spacePromise, spaceClock, spaceSummary:
		return len(key) > 1, nil
	case spaceRecord:
		return len(key) != len(recordKey(0)), nil
	case spaceValue, spaceRow:
		return s.strayOfKey(key)
	}
	return true, nil
}

// strayOfKey is stray for what belongs to a key of the store. What is of an earlier tenure goes when the store is opened.
func (s *Store) strayOfKey(key []byte) (bool, error) {
	if len(key) < tenurePrefix {
		return true, nil
	}
	name, tenure := string(key[tenurePrefix:]), binary.BigEndian.Uint32(key[1:])
	if present := s.era.Load().tenure; tenure != present || s.table.has(name) {
		return tenure > present, nil
	}
	e := s.table.acquire(name) // so that nobody makes it meanwhile
	defer e.mu.Unlock()
	if e.written {
		return false, nil
	}
	defer s.table.discard(e)
	b, err := s.disk.backend.Get(key)
	if err != nil {
		return false, fmt.Errorf("store: check %q: %w", name, err)
	}
	return b != nil, nil
}
