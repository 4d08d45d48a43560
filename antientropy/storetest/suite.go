package storetest

import (
	"context"
	"fmt"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/merkle"
)

// A suite is one check under way.
type suite struct {
	Config
	ctx context.Context
}

const key = "key"

// merge merges a state that must be accepted.
func (s *suite) merge(st antientropy.Store, key string, state []byte) (novel []byte, err error) {
	novel, err = st.Merge(s.ctx, key, state)
	if err != nil {
		return nil, fmt.Errorf("Merge(%q): %w", key, err)
	}
	return novel, nil
}

func (s *suite) load(st antientropy.Store, key string) ([]byte, error) {
	state, err := st.Load(s.ctx, key)
	if err != nil {
		return nil, fmt.Errorf("Load(%q): %w", key, err)
	}
	return state, nil
}

// holding is a new store with these states under one key.
func (s *suite) holding(numbers ...int) (antientropy.Store, error) {
	st := s.New()
	for _, i := range numbers {
		if _, err := s.merge(st, key, s.State(i)); err != nil {
			return nil, err
		}
	}
	return st, nil
}

// same reports whether two stores have the same under all keys.
func same(a, b antientropy.Store) bool { return a.Index().Root() == b.Index().Root() }

// mustEqual checks that two stores have the same, and that they know.
func (s *suite) mustEqual(what string, a, b antientropy.Store) error {
	if same(a, b) {
		return nil
	}
	x, err := s.load(a, key)
	if err != nil {
		return err
	}
	y, err := s.load(b, key)
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: the roots differ; the states are %x and %x", what, x, y)
}

// A record is all that there is to see of a store.
type record struct {
	root  merkle.Fingerprint
	len   int
	state string
}

func (s *suite) look(st antientropy.Store) (record, error) {
	state, err := s.load(st, key)
	index := st.Index()
	return record{index.Root(), index.Len(), string(state)}, err
}

// unchanged checks that a store looks as it did.
func (s *suite) unchanged(what string, st antientropy.Store, before record) error {
	after, err := s.look(st)
	if err != nil {
		return err
	}
	if after != before {
		return fmt.Errorf("%s changed the store: %x became %x, and root %v %v", what, before.state, after.state, before.root, after.root)
	}
	return nil
}
