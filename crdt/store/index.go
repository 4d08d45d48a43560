package store

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/eventual-go/eventual/merkle"
)

// index is the tree of fingerprints. It lags behind the table by the dirty entries.
type index struct {
	mu    sync.Mutex
	tree  *merkle.Tree
	hash  func(part []byte) (hi, lo uint64)
	check merkle.Fingerprint // tells the secret, and the form of fingerprints

	doubt atomic.Bool // the rows on disk may not be right
}

func newIndex(secret []byte) *index {
	hasher := merkle.NewHasher(secret)
	return &index{
		tree:  merkle.New(hasher),
		check: hasher.Sum([]byte("eventual fingerprints 1")),
		hash: func(part []byte) (hi, lo uint64) {
			f := hasher.Sum(part)
			return f.Hi, f.Lo
		},
	}
}

// Index returns a snapshot of the index, key → fingerprint of its state, that
// covers every change that had returned before the call. Two stores with the same
// secret and the same states have the same root. Deleted keys are in it, with the
// fingerprint of what is left of them. The snapshot is immutable and belongs to
// the caller.
//
// The fingerprint of a key is that of its value, see [crdt.Value.Fingerprint]. A key
// that changed since the last call is hashed here, once however often it changed, at
// O(its state), under its lock; but a collection of many parts only the first time:
// from then on it is kept up to date at each write, at O(what changes). Then the
// snapshot costs O(1).
func (s *Store) Index() *merkle.Tree {
	if s.begin() == nil {
		defer s.end()
		s.index.mu.Lock()
		defer s.index.mu.Unlock()
		s.flush()
	} else {
		s.index.mu.Lock()
		defer s.index.mu.Unlock()
	}
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
}

// refresh sets the fingerprint of one key. A state that cannot be encoded keeps the
// one it had; the key counts as clean until it is written to again.
func (s *Store) refresh(e *entry) {
	state, err := s.fingerprint(e)
	switch {
	case err == errGone:
		s.refreshKey(e.key)
	case err != nil:
		if _, encoding := errors.AsType[*EncodeError](err); !encoding {
			s.again(e)
		}
	case state.IsZero():
		s.index.tree.Delete(e.key)
	default:
		s.index.tree.Set(e.key, state)
	}
}

// again has a fingerprint that could not be read looked for the next time.
func (s *Store) again(e *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.dirty && !e.gone && e.cold {
		e.dirty = true
		s.table.shardOf(e.key).enlist(e)
	}
}

// errGone says that an entry was taken out of the table.
var errGone = errors.New("store: the entry is gone")

// refreshKey is refresh for a key whose entry is gone: another may have taken its place.
func (s *Store) refreshKey(key string) {
	if e := s.table.lookup(key); e != nil {
		e.mu.Unlock()
		s.refresh(e)
		return
	}
	s.index.tree.Delete(key)
}

// fingerprint returns the fingerprint of e and marks it clean.
func (s *Store) fingerprint(e *entry) (merkle.Fingerprint, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone {
		return merkle.Fingerprint{}, errGone
	}
	e.dirty = false
	return s.fingerprintOf(e)
}

// fingerprintOf returns the fingerprint of a locked entry.
func (s *Store) fingerprintOf(e *entry) (merkle.Fingerprint, error) {
	if e.cold {
		return s.readFingerprint(e)
	}
	hi, lo, err := e.value.Fingerprint(s.index.hash)
	return merkle.Fingerprint{Hi: hi, Lo: lo}, err
}

// readFingerprint returns the fingerprint of a locked entry whose value is on disk alone.
func (s *Store) readFingerprint(e *entry) (merkle.Fingerprint, error) {
	b := newBatch()
	defer b.release()
	value, err := s.disk.backend.Get(b.key(spaceRow, e))
	if err != nil {
		return merkle.Fingerprint{}, err
	}
	r, ok := decodeRow(value)
	if !ok {
		return merkle.Fingerprint{}, ErrDamaged
	}
	return r.fingerprint, nil
}
