package store

import (
	"fmt"

	"github.com/eventual-go/eventual/crdt"
)

// mergeBundle merges the deltas of several keys in one step.
func (s *Store) mergeBundle(key string, state []byte) (novel []byte, c Commit, err error) {
	u, err := unbundle(state)
	if err != nil {
		return nil, nil, fmt.Errorf("store: merge %q: %w", key, err)
	}
	keys, values := make([]string, len(u.items)), make([]*crdt.Value, len(u.items))
	for i, it := range u.items {
		if values[i], err = s.accept(it.value); err != nil {
			return nil, nil, fmt.Errorf("store: merge %q: %w", it.key, err)
		}
		keys[i] = it.key
	}
	if err := s.meet(u.at); err != nil {
		return nil, nil, err
	}
	return s.unseen(func() ([]byte, Commit, error) { return s.mergeAllInto(key, u.at, keys, values) })
}

// mergeAllInto is mergeInto for several keys, in ascending order: all or none.
func (s *Store) mergeAllInto(key string, at stamp, keys []string, values []*crdt.Value) (novel []byte, c Commit, err error) {
	g, err := s.acquireAll(keys, false)
	if err != nil {
		return nil, nil, err
	}
	defer g.leave()
	lifted := make([]*crdt.Value, len(values))
	for i, e := range g.entries {
		in, err := s.lift(g.era, at, e.key, values[i])
		if err == nil {
			err = s.keepsPromise(g.era, e, in)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("store: merge %q: %w", e.key, err)
		}
		if seen := s.guard(g.era, e, in); seen != nil {
			return nil, nil, seen
		}
		lifted[i] = in
	}
	s.preserve(g.entries...)
	g.done = false
	var failed error
	for i, e := range g.entries {
		g.begun[i] = true
		part, changed := e.value.MergeNovel(lifted[i])
		if !changed {
			continue
		}
		b, err := part.AppendBinary(nil)
		if err != nil {
			failed, e.unsaved = &EncodeError{Key: e.key, Err: err}, true
			continue
		}
		g.deltas[i] = append(g.deltas[i], b)
	}
	g.done = true
	items := g.items()
	if c, err = s.changedAll(g, items); err == nil {
		err = failed
	}
	return bundled(g.era.at, key, items), c, err
}
