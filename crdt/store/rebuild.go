package store

import (
	"encoding/binary"
	"errors"

	"github.com/eventual-go/eventual/merkle"
)

// verify looks whether the rows can be relied on: they are hashed as this store hashes, and add up to what they did
// when it was closed. After a crash nothing says what they add up to; each was written together with its value then.
func (s *Store) verify(h *head, tenure uint32) error {
	sum, err := s.readSummary()
	if err != nil {
		return err
	}
	x := s.index
	present := summary{keys: x.tree.Len(), root: x.tree.Root()}
	if h.check != x.check {
		present.root = sum.root // under another secret only the number of keys can be compared
	}
	damaged := x.doubt.Load() || h.closed && !h.check.IsZero() && sum != present
	if damaged {
		h.closed = false // whatever is missing was numbered
	}
	if damaged || h.check.IsZero() { // or the rows were being made again, and are not all there
		err = s.readValues(tenure)
	}
	if damaged || h.check != x.check {
		x.doubt.Store(true)
		x.tree = merkle.New(x.tree.Hasher())
	}
	return err
}

// readValues has an entry for each value on disk: rows that are damaged may be missing, too.
func (s *Store) readValues(tenure uint32) error {
	now := s.now()
	return s.disk.backend.Scan(appendKey(nil, spaceValue, tenure, ""), nil, func(key, _ []byte) error {
		name := string(key[tenurePrefix:])
		if sh := s.table.shardOf(name); sh.entries[name] == nil {
			s.table.restore(name, new(row), now).tenure = tenure
		}
		return nil
	})
}

func (s *Store) readSummary() (summary, error) {
	b, err := s.disk.backend.Get([]byte{spaceSummary})
	if errors.Is(err, ErrDamaged) {
		err = nil
	}
	if err != nil || len(b) != 24 {
		return summary{keys: -1}, err
	}
	sum := summary{keys: int(binary.BigEndian.Uint64(b))}
	sum.root.Hi, sum.root.Lo = binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
	return sum, nil
}

// checked is what tells the secret of the rows, if all of them are of it.
func (x *index) checked() merkle.Fingerprint {
	if x.doubt.Load() {
		return merkle.Fingerprint{}
	}
	return x.check
}

// rebuild has all rows made again from the values, if they are in doubt. The goroutine is inside the store for one key at
// a time, so it can do nothing to one that was closed; and what it reports may close the store.
func (s *Store) rebuild() {
	if s.index.doubt.Load() {
		go s.reindexAll()
	}
}

func (s *Store) reindexAll() {
	for key := range s.table.all() {
		if s.reindex(key) != nil && s.unindex(key) != nil {
			return // the store has ended, and the next one that opens it will do that again
		}
	}
	if s.begin() != nil {
		return
	}
	defer s.end()
	s.turning.Lock()
	defer s.turning.Unlock()
	s.index.doubt.Store(false)
	_ = s.persist(s.era.Load())
}

// unindex takes a key that cannot be read out of the index: another version may read it, or the disk later. A round with a
// peer finds that it differs.
func (s *Store) unindex(key string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	e := s.table.lookup(key)
	if e == nil {
		return nil
	}
	defer e.mu.Unlock()
	b := newBatch()
	defer b.release()
	r := e.row(0, 0)
	b.add(OpSet, b.key(spaceRow, e), b.grow(r.appendTo))
	_, err := s.write(b, false)
	return err
}

// reindex makes the row of a key again.
func (s *Store) reindex(key string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	return s.reindexInside(key)
}

// reindexInside is reindex for who is inside.
func (s *Store) reindexInside(key string) error {
	e, _, err := s.lookup(key)
	if e == nil || err != nil {
		return err
	}
	defer e.mu.Unlock()
	hi, lo, err := e.value.Fingerprint(s.index.hash)
	if err != nil {
		return nil // it cannot be in the index
	}
	s.touched(e)
	b := newBatch()
	defer b.release()
	r := e.row(hi, lo)
	b.add(OpSet, b.key(spaceRow, e), b.grow(r.appendTo))
	_, err = s.write(b, false)
	return err
}
