package store

import (
	"cmp"
	"slices"
	"sync"

	"github.com/eventual-go/eventual/merkle"
)

// index is the tree of fingerprints. It lags behind the table by the dirty entries.
type index struct {
	mu     sync.Mutex
	tree   *merkle.Tree
	buffer []byte // scratch for encodings
}

func newIndex(secret []byte) index {
	return index{tree: merkle.New(merkle.NewHasher(secret))}
}

// Index returns a snapshot of the index, key → fingerprint of its state, that
// covers every change that had returned before the call. Two stores with the same
// secret and the same states have the same root. Deleted keys are in it, with the
// fingerprint of what is left of them. The snapshot is immutable and belongs to
// the caller.
//
// The fingerprint of a key is the hash of its whole encoded state. It is computed
// here and not at the write: a key that changed since the last call is encoded
// once, however often it changed, at O(its state) under its lock; then the
// snapshot costs O(1). So one element added to a large set between two calls costs
// one encoding of the set.
func (s *Store) Index() *merkle.Tree {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	s.flush()
	return s.index.tree.Snapshot()
}

// flush brings the tree up to date, key by key in ascending order.
func (s *Store) flush() {
	dirty := s.table.takeDirty()
	slices.SortFunc(dirty, func(a, b *entry) int { return cmp.Compare(a.key, b.key) })
	defer func() { s.table.putBack(dirty) }() // what a panicking encoder left undone
	for len(dirty) > 0 {
		e := dirty[0]
		dirty = dirty[1:]
		s.refresh(e)
	}
	const keep = 1 << 20
	if cap(s.index.buffer) > keep {
		s.index.buffer = nil
	}
}

// refresh sets the fingerprint of one key. A state that cannot be encoded keeps the
// one it had; the key counts as clean until it is written to again.
func (s *Store) refresh(e *entry) {
	state, err := s.present(e)
	switch {
	case err != nil:
	case len(state) == 0:
		s.index.tree.Delete(e.key)
	default:
		s.index.tree.Set(e.key, s.index.tree.Hasher().Sum(state))
	}
}

// present encodes the state of e into the scratch buffer and marks e clean.
func (s *Store) present(e *entry) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dirty = false
	state, err := e.encode(s.index.buffer[:0])
	if err == nil {
		s.index.buffer = state
	}
	return state, err
}
