package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/antientropy"
)

// A telling is a store that is an [antientropy.Differ] too.
type telling interface {
	antientropy.Store
	antientropy.Differ
}

// tells is a store with these states under one key that tells what lacks, if stores do. Its
// index was asked for, as it is before a round.
func (s *suite) tells(numbers ...int) (telling, error) {
	st, err := s.holding(numbers...)
	if err != nil {
		return nil, err
	}
	st.Index()
	t, _ := st.(telling)
	return t, nil
}

// differing checks what a store tells of what another lacks, if it does.
func (s *suite) differing() error {
	if t, err := s.tells(); t == nil || err != nil {
		return err
	}
	for _, c := range []struct{ to, from []int }{
		{[]int{1, 2, 3}, []int{1, 2, 3, 4}},
		{[]int{1, 2, 3, 4}, []int{1, 2, 3}},
		{[]int{1, 2, 5}, []int{3, 4, 5}},
		{[]int{1}, []int{2}},
		{[]int{7, 8, 9}, []int{9, 8, 7}},
		{nil, []int{1, 2}},
		{[]int{1, 2}, nil},
	} {
		if err := s.lacks(c.to, c.from); err != nil {
			return fmt.Errorf("one with the states %v, another with %v: %w", c.to, c.from, err)
		}
	}
	if err := s.noSight(); err != nil {
		return err
	}
	return s.tellsOnce()
}

// lacks has one store take what it lacks of another.
func (s *suite) lacks(to, from []int) error {
	a, err := s.tells(to...)
	if err != nil {
		return err
	}
	b, err := s.tells(from...)
	if err != nil {
		return err
	}
	seen, err := a.Seen(s.ctx, key)
	if err != nil {
		return fmt.Errorf("Seen(%q): %w", key, err)
	}
	if len(to) == 0 && len(seen) > 0 {
		return fmt.Errorf("of a key that is not there %x was seen", seen)
	}
	since, err := b.LoadSince(s.ctx, key, seen)
	if err != nil {
		return fmt.Errorf("LoadSince(%q): %w", key, err)
	}
	if a.Index().Len() > len(to) || b.Index().Len() > len(from) {
		return errors.New("telling made a key")
	}
	if len(seen) > 0 && len(since) > 0 && same(a, b) {
		return fmt.Errorf("nothing lacks, and LoadSince says %x", since)
	}
	if novel, err := s.merge(b, key, since); len(since) > 0 && (err != nil || len(novel) > 0) {
		return fmt.Errorf("LoadSince returns more than there is: %x was new (%v)", novel, err)
	}
	return s.asGood(a, b, since, to)
}

// asGood checks that what lacks is as good as all, in the store that lacks it and in one that
// has learned more since.
func (s *suite) asGood(a, b antientropy.Store, since []byte, to []int) error {
	whole, err := s.load(b, key)
	if err != nil {
		return err
	}
	for _, more := range [][]int{nil, {11}, {4, 12}} {
		one, err := s.holding(append(more, to...)...)
		if err != nil {
			return err
		}
		other, err := s.holding(append(more, to...)...)
		if err != nil {
			return err
		}
		if _, err := one.Merge(s.ctx, key, since); len(since) > 0 && err != nil {
			return fmt.Errorf("merging what lacks: %w", err)
		}
		if _, err := other.Merge(s.ctx, key, whole); len(whole) > 0 && err != nil {
			return err
		}
		if err := s.mustEqual("what lacks is not as good as all", one, other); err != nil {
			return err
		}
	}
	return nil
}

// noSight gives a store what no store has said: that is refused, or answered with all.
func (s *suite) noSight() error {
	st, err := s.tells(1, 2, 3)
	if err != nil {
		return err
	}
	before, err := s.look(st)
	if err != nil {
		return err
	}
	for _, bad := range [][]byte{nil, {}, {0xff}, {0xc1, 0xff, 0x00}, bytes.Repeat([]byte{0xdd}, 40), s.Bad} {
		state, err := st.LoadSince(s.ctx, key, bytes.Clone(bad))
		if err != nil && len(bad) == 0 {
			return fmt.Errorf("to one who has seen nothing: %w", err)
		}
		if err := s.unchanged("LoadSince", st, before); err != nil {
			return err
		}
		if err != nil {
			continue
		}
		other := s.New()
		if _, err := s.merge(other, key, state); err != nil {
			return err
		}
		if !same(st, other) {
			return fmt.Errorf("to one who has seen %x, which means nothing, LoadSince says %x, and that is not all", bad, state)
		}
	}
	return nil
}

// tellsOnce checks who owns what was told, and that a context that ended is no other error.
func (s *suite) tellsOnce() error {
	a, err := s.tells(1, 2, 3)
	if err != nil {
		return err
	}
	b, err := s.tells(1, 2, 3, 4)
	if err != nil {
		return err
	}
	before, err := s.look(b)
	if err != nil {
		return err
	}
	seen, _ := a.Seen(s.ctx, key)
	given := bytes.Clone(seen)
	since, err := b.LoadSince(s.ctx, key, given)
	if err != nil || !bytes.Equal(given, seen) {
		return fmt.Errorf("LoadSince changed what it was given (%v)", err)
	}
	kept := bytes.Clone(since)
	spoil(given)
	if !bytes.Equal(kept, since) {
		return errors.New("LoadSince returned what it was given")
	}
	spoil(since)
	if err := s.unchanged("changing what LoadSince returned", b, before); err != nil {
		return err
	}
	if again, err := b.LoadSince(s.ctx, key, seen); err != nil || !bytes.Equal(again, kept) {
		return fmt.Errorf("LoadSince says %x, and then %x (%v)", kept, again, err)
	}
	spoil(seen)
	again, err := a.Seen(s.ctx, key)
	spoil(again)
	if err != nil || !bytes.Equal(again, seen) {
		return fmt.Errorf("after what Seen returned was changed it says %x (%v)", again, err)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, err := a.Seen(ctx, key); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("a Seen with a context that ended: %w", err)
	}
	if _, err := b.LoadSince(ctx, key, nil); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("a LoadSince with a context that ended: %w", err)
	}
	return nil
}
