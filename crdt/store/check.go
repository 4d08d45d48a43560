package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/merkle"
)

// A Report is what [Store.Check] has found. Of each list it has the first hundred.
type Report struct {
	Keys  int   // that were looked at
	Bytes int64 // of their values, encoded

	Faults  int      // how many were found, listed or not
	Damaged []string // keys of which not all can be read on disk
	Differ  []string // keys that are something else on disk than in memory
	Index   []string // keys of which the index, or the row on disk, does not have the fingerprint
	Foreign []string // keys that only another version, or one with other Config.Kinds, can read; not a fault
	Strays  [][]byte // keys of the backend under which nothing should be

	// Rebuilding says that the index was being made anew ([Open]), so that it was not looked at, nor were the rows.
	Rebuilding bool
}

// listed is how many of each kind are listed.
const listed = 100

// list adds to a list, unless it is long enough.
func list[T any](list *[]T, one T) {
	if len(*list) < listed {
		*list = append(*list, one)
	}
}

func fault[T any](r *Report, to *[]T, one T) {
	r.Faults++
	list(to, one)
}

// Check goes through all keys: whether the value on disk decodes, and is the one in memory if it is there, too; whether
// its fingerprint, made from the value alone, is the one on disk and the one in the index; and whether anything is
// there besides. Each key is looked at under its lock, so the store may be in use; keys that come meanwhile may be left
// out. It costs reading and hashing all values, and of those on disk alone none comes into memory.
//
// What it finds it mends where it is sure how: what is damaged on disk and sound in memory is written again; what is
// damaged on disk alone is held on to as far as it can be read, and the rest comes from other replicas, as if it had
// been used ([Events].Damaged); a fingerprint is made again. What differs and what is astray is left as it is: the one is
// a bug of the backend, or somebody has written to it, and nobody knows which is right.
//
// In memory there is only the index to look at. A state that cannot be encoded is in no index, and is no fault.
//
// Errors: ctx's, and those of a disk ([Open]); the report is of what was looked at until then.
func (s *Store) Check(ctx context.Context) (Report, error) {
	r := Report{Rebuilding: s.index.doubt.Load()}
	s.Index() // most keys are in it then
	for key := range s.table.all() {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		if err := s.checkKey(&r, key); err != nil {
			return r, err
		}
	}
	if !r.Rebuilding {
		s.checkStrayIndex(&r)
	}
	err := s.checkStrays(ctx, &r)
	for _, keys := range [][]string{r.Damaged, r.Differ, r.Index, r.Foreign} {
		slices.Sort(keys)
	}
	return r, err
}

// A finding is what there is to say of a key.
type finding struct{ damaged, differs, index, foreign bool }

func (f *finding) note(r *Report, key string) {
	switch {
	case f.foreign:
		list(&r.Foreign, key)
	case f.damaged:
		fault(r, &r.Damaged, key)
	case f.differs:
		fault(r, &r.Differ, key)
	case f.index:
		fault(r, &r.Index, key)
	}
}

// checkKey looks at a key, if it is there still, and mends it.
func (s *Store) checkKey(r *Report, key string) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	f, err := s.inspect(r, key)
	if err == nil && f == (finding{}) && !r.Rebuilding {
		f.index, err = s.misindexed(key)
	}
	f.note(r, key)
	if err == nil && (f.damaged || f.index) {
		err = s.mend(key)
	}
	return err
}

// inspect looks at the entry of a key alone.
func (s *Store) inspect(r *Report, key string) (f finding, err error) {
	e := s.table.lookup(key)
	if e == nil {
		return finding{}, nil
	}
	defer e.mu.Unlock()
	if !e.written || e.unsaved {
		return finding{}, nil
	}
	v, size, err := s.reread(e)
	r.Keys++
	r.Bytes += int64(size)
	switch {
	case beyond(err):
		return finding{foreign: true}, nil
	case errors.Is(err, ErrDamaged):
		return finding{damaged: true}, s.rewrite(e)
	case err != nil:
		return finding{}, inspecting(key, err)
	}
	if f.differs, err = e.differs(v); err == nil && !f.differs && !r.Rebuilding {
		f.index, err = s.fingerprintDiffers(e, v)
	}
	return f, inspecting(key, err)
}

// inspecting says of which key an error is. A state that cannot be encoded is no fault.
func inspecting(key string, err error) error {
	if _, encoding := errors.AsType[*EncodeError](err); err == nil || encoding {
		return nil
	}
	return fmt.Errorf("store: check %q: %w", key, err)
}

// reread returns the value of a locked entry as its bytes have it: on disk, and in memory if there is no disk.
func (s *Store) reread(e *entry) (v *crdt.Value, size int, err error) {
	if s.disk != nil {
		v, size, _, err = s.read(e)
		return v, size, err
	}
	b, err := e.encode(nil)
	if err != nil {
		return nil, 0, err
	}
	v, err = s.kinds.Decode(b)
	return v, len(b), err
}

// rewrite writes a locked entry anew whose value is in memory, and is damaged on disk.
func (s *Store) rewrite(e *entry) error {
	if e.cold {
		return nil
	}
	_, err := s.save(e, nil, false)
	return inspecting(e.key, err)
}

// differs reports whether a locked entry has another value in memory.
func (e *entry) differs(v *crdt.Value) (bool, error) {
	if e.cold {
		return false, nil
	}
	mine, err := e.encode(nil)
	if err != nil {
		return false, err
	}
	other, err := v.AppendBinary(nil)
	return !bytes.Equal(mine, other), err
}

// fingerprintDiffers reports whether a locked entry or its row has another fingerprint than its value, or the row says
// something else of it. What is in memory is replaced by an equal value that has none yet.
func (s *Store) fingerprintDiffers(e *entry, v *crdt.Value) (bool, error) {
	want, err := s.hashed(v)
	if err != nil {
		return false, &EncodeError{Key: e.key, Err: err}
	}
	if !e.cold {
		have, err := s.hashed(&e.value)
		if err != nil {
			return false, &EncodeError{Key: e.key, Err: err}
		}
		if have != want {
			e.value = *v
			return true, nil
		}
	}
	if s.disk == nil {
		return false, nil
	}
	b := newBatch()
	defer b.release()
	stored, err := s.disk.backend.Get(b.key(spaceRow, e))
	if err != nil && !errors.Is(err, ErrDamaged) {
		return false, err
	}
	r, ok := decodeRow(stored)
	return !ok || r.fingerprint != want || r.live != e.live.Load() || r.deadline != e.deadline.Load(), nil
}

func (s *Store) hashed(v *crdt.Value) (merkle.Fingerprint, error) {
	hi, lo, err := v.Fingerprint(s.index.hash)
	return merkle.Fingerprint{Hi: hi, Lo: lo}, err
}

// misindexed reports whether the index has something else of a key than its entry, unless it is behind.
func (s *Store) misindexed(key string) (bool, error) {
	s.index.mu.Lock()
	defer s.index.mu.Unlock()
	e := s.table.lookup(key)
	if e == nil {
		return false, nil
	}
	defer e.mu.Unlock()
	if e.dirty || !e.written || e.unsaved {
		return false, nil
	}
	want, err := s.present(e)
	if err != nil {
		return false, inspecting(key, err)
	}
	have, found := s.index.tree.Get(key)
	if want.IsZero() {
		return found, nil
	}
	return !found || have != s.index.tree.Hasher().Element(key, want), nil
}

// present is the fingerprint of a locked entry.
func (s *Store) present(e *entry) (merkle.Fingerprint, error) {
	if e.cold {
		return s.readFingerprint(e)
	}
	f, err := s.hashed(&e.value)
	if err != nil {
		return f, &EncodeError{Key: e.key, Err: err}
	}
	return f, nil
}

// mend has the fingerprint of a key made again. What is damaged is read for that as any use of it does.
func (s *Store) mend(key string) error {
	if s.disk != nil {
		return s.reindexInside(key)
	}
	e, _, err := s.lookup(key)
	if e == nil || err != nil {
		return err
	}
	defer e.mu.Unlock()
	s.touched(e)
	return nil
}
