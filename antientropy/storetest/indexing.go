package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eventual-go/eventual/merkle"
)

func (s *suite) empty() error {
	st := s.New()
	if n := st.Index().Len(); n != 0 || !st.Index().Root().IsZero() {
		return fmt.Errorf("a new store has %d keys, and root %v", n, st.Index().Root())
	}
	if state, err := s.load(st, key); err != nil || len(state) > 0 {
		return fmt.Errorf("a key that is not there has state %x (%v)", state, err)
	}
	if n := st.Index().Len(); n != 0 {
		return fmt.Errorf("a Load made %d keys", n)
	}
	return nil
}

func (s *suite) indexAgrees() error {
	st := s.New()
	const n = 100
	for i := range 3 * n {
		if _, err := s.merge(st, fmt.Sprint(i%n), s.State(i%states)); err != nil {
			return err
		}
		if _, found := st.Index().Get(fmt.Sprint(i % n)); !found {
			return errors.New("a key is not in the index that was merged just before")
		}
	}
	index := st.Index()
	if index.Len() != n {
		return fmt.Errorf("%d keys were merged, and the index has %d", n, index.Len())
	}
	twin := s.New()
	for k := range index.All() {
		state, err := s.load(st, k)
		if err != nil {
			return err
		}
		if len(state) == 0 {
			return fmt.Errorf("key %q is in the index, and has no state", k)
		}
		if _, err := s.merge(twin, k, state); err != nil {
			return err
		}
	}
	if index.Root() != twin.Index().Root() {
		return errors.New("the index is not that of what Load returns")
	}
	if a, b := index.Hasher().Position(key), s.New().Index().Hasher().Position(key); a != b {
		return fmt.Errorf("two stores have one key at different positions, %v and %v: they hash with different secrets", a, b)
	}
	return nil
}

func (s *suite) fingerprints() error {
	seen := make(map[merkle.Fingerprint]int)
	st := s.New()
	for i := range states {
		alone, err := s.holding(i)
		if err != nil {
			return err
		}
		if _, err := s.merge(st, key, s.State(i)); err != nil {
			return err
		}
		for _, sum := range []merkle.Fingerprint{alone.Index().Root(), st.Index().Root()} {
			if other, twice := seen[sum]; twice && other != i {
				return fmt.Errorf("different states of numbers %d and %d have one fingerprint", other, i)
			}
			seen[sum] = i
		}
	}
	if sum, _ := st.Index().Get(key); sum != st.Index().Root() {
		return errors.New("the root of one key is not its element")
	}
	return nil
}

func (s *suite) snapshot() error {
	st, err := s.holding(1)
	if err != nil {
		return err
	}
	index := st.Index()
	root, sum := index.Root(), slices.Collect(func(yield func(string) bool) {
		for k := range index.All() {
			if !yield(k) {
				return
			}
		}
	})
	for i := range states {
		if _, err := s.merge(st, fmt.Sprint(i), s.State(i)); err != nil {
			return err
		}
		if _, err := s.merge(st, key, s.State(i)); err != nil {
			return err
		}
	}
	if index.Root() != root || index.Len() != len(sum) {
		return errors.New("an index changed after it was returned")
	}
	if now := st.Index(); now.Root() == root || now.Len() != states+1 {
		return errors.New("an index does not cover what was merged before it was asked for")
	}
	index.Set("set by the caller", merkle.Fingerprint{Hi: 1})
	if _, found := st.Index().Get("set by the caller"); found {
		return errors.New("an index is shared with its caller")
	}
	return nil
}

func (s *suite) ownership() error {
	st, before := s.New(), s.State(1)
	given := bytes.Clone(before)
	novel, err := s.merge(st, key, given)
	if err != nil {
		return err
	}
	if !bytes.Equal(given, before) {
		return errors.New("a Merge changed the state that it was given")
	}
	spoil(given)
	kept := bytes.Clone(novel)
	first, err := s.look(st)
	if err != nil {
		return err
	}
	twin, err := s.holding(1)
	if err != nil {
		return err
	}
	if err := s.mustEqual("after what Merge was given was changed", st, twin); err != nil {
		return err
	}
	loaded, err := s.load(st, key)
	if err != nil {
		return err
	}
	spoil(loaded)
	if err := s.unchanged("changing what Load returned", st, first); err != nil {
		return err
	}
	for i := range states {
		if _, err := s.merge(st, key, s.State(i)); err != nil {
			return err
		}
	}
	if !bytes.Equal(novel, kept) {
		return errors.New("what Merge returned changed afterwards")
	}
	return nil
}

// spoil changes bytes as their owner may.
func spoil(b []byte) {
	for i := range b {
		b[i] ^= 0xa5
	}
}

func (s *suite) anyKey() error {
	st := s.New()
	keys := []string{"", " ", "\x00", "a", "A", "a ", "a\x00", "é", "e\u0301", "\xff\xfe", "a/b", "a'b\"c", "%s", strings.Repeat("long ", 200)}
	for i, k := range keys {
		if novel, err := s.merge(st, k, s.State(i)); err != nil || len(novel) == 0 {
			return fmt.Errorf("a Merge under key %q brought nothing (%v)", k, err)
		}
	}
	for i, k := range keys {
		alone := s.New()
		state, err := s.load(st, k)
		if err != nil {
			return err
		}
		if _, err := s.merge(alone, key, state); err != nil {
			return fmt.Errorf("key %q: %w", k, err)
		}
		if novel, err := s.merge(alone, key, s.State(i)); err != nil || len(novel) > 0 {
			return fmt.Errorf("key %q does not have what was merged there (%v)", k, err)
		}
		if _, found := st.Index().Get(k); !found {
			return fmt.Errorf("key %q is not in the index", k)
		}
	}
	if n := st.Index().Len(); n != len(keys) {
		return fmt.Errorf("%d keys were merged, and the index has %d", len(keys), n)
	}
	return nil
}
