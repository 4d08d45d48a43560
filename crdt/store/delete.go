package store

import "fmt"

// Delete resets everything that key holds here: exactly what this store has seen
// goes, and what others wrote concurrently stays. It returns the delta, to
// be merged elsewhere; a zero one when there was nothing to delete.
//
// The key keeps its causal residue, which is what makes the deletion travel and a
// later re-creation safe: it stays in the index and in [Store.Load], while
// [Store.View] and [Store.Keys] no longer show it. It goes once all replicas have it, see
// [Store.Propose].
//
// Errors: [crdt.ErrGrowOnly] where a value cannot be reset (then nothing changes),
// *[EncodeError], and those of a disk ([Open]).
func (s *Store) Delete(key string) (Delta, error) {
	if err := s.begin(); err != nil {
		return Delta{}, err
	}
	defer s.end()
	delta, c, err := s.delete(key)
	return delta, s.finish(c, err)
}

func (s *Store) delete(key string) (_ Delta, c Commit, err error) {
	e, a, err := s.lookup(key)
	if e == nil || err != nil {
		return Delta{}, nil, err
	}
	done := true
	defer func() { s.leave(e, done, true) }()
	if e.value.Empty() && e.deadline.Load() == 0 {
		return Delta{}, nil, nil
	}
	s.preserve(e)
	done = false
	d, err := e.value.Reset()
	if err != nil {
		done = true
		return Delta{}, nil, fmt.Errorf("store: delete %q: %w", key, err)
	}
	delta, err := d.AppendBinary(nil)
	done = true
	if err == nil && len(delta) == 0 {
		return Delta{}, nil, nil
	}
	return s.commit(e, a, delta, err)
}

// commit makes a local change of the locked entry known. delta is its encoding, or err says that there is none.
func (s *Store) commit(e *entry, a *era, delta []byte, err error) (Delta, Commit, error) {
	if err != nil {
		c, _ := s.changed(e, a.at, nil, true, true)
		return Delta{}, c, &EncodeError{Key: e.key, Err: err}
	}
	c, err := s.changed(e, a.at, delta, true, true)
	return Delta{key: e.key, at: a.at, value: delta}, c, err
}
