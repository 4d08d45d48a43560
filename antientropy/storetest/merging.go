package storetest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/eventual-go/eventual/antientropy"
)

func (s *suite) anyOrder() error {
	forward, backward, again := s.New(), s.New(), s.New()
	for i := range states {
		if _, err := s.merge(forward, key, s.State(i)); err != nil {
			return err
		}
		if _, err := s.merge(backward, key, s.State(states-1-i)); err != nil {
			return err
		}
	}
	if err := s.mustEqual("the same states in another order", forward, backward); err != nil {
		return err
	}
	for from := range states { // joined in groups before they are merged
		part, err := s.holding(from, (from+7)%states, (from+13)%states)
		if err != nil {
			return err
		}
		state, err := s.load(part, key)
		if err != nil {
			return err
		}
		if _, err := s.merge(again, key, state); err != nil {
			return err
		}
	}
	return s.mustEqual("the same states in groups", forward, again)
}

func (s *suite) idempotent() error {
	st, err := s.holding(1, 2, 3)
	if err != nil {
		return err
	}
	before, err := s.look(st)
	if err != nil {
		return err
	}
	whole := []byte(before.state)
	for _, state := range [][]byte{s.State(1), s.State(3), whole, s.State(2)} {
		novel, err := s.merge(st, key, state)
		if err != nil {
			return err
		}
		if len(novel) > 0 {
			return fmt.Errorf("a Merge of what was known says that %x was new", novel)
		}
		if err := s.unchanged("a Merge of what was known", st, before); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) novelty() error {
	st, err := s.holding(1, 2)
	if err != nil {
		return err
	}
	for _, numbers := range [][]int{{3}, {2, 4, 6}, {1, 2, 3, 5, 7}} {
		if err := s.noveltyOf(numbers, st); err != nil {
			return err
		}
	}
	return nil
}

// noveltyOf checks what a store says was new of a state: another that had the same
// before learns from it all that there was in the state, and nothing else.
func (s *suite) noveltyOf(numbers []int, st antientropy.Store) error {
	had, err := s.load(st, key)
	if err != nil {
		return err
	}
	from, err := s.holding(numbers...)
	if err != nil {
		return err
	}
	state, err := s.load(from, key)
	if err != nil {
		return err
	}
	novel, err := s.merge(st, key, state)
	if err != nil {
		return err
	}
	if len(novel) == 0 {
		return errors.New("a Merge of something new says that nothing was")
	}
	twin := s.New()
	for _, part := range [][]byte{had, novel} {
		if _, err := s.merge(twin, key, part); err != nil {
			return err
		}
	}
	if err := s.mustEqual("what Merge says was new is not all that was", st, twin); err != nil {
		return err
	}
	if more, err := s.merge(from, key, novel); err != nil {
		return err
	} else if len(more) > 0 {
		return fmt.Errorf("what Merge says was new has more than was merged: %x", more)
	}
	return nil
}

func (s *suite) nothing() error {
	st := s.New()
	for _, state := range [][]byte{nil, {}} {
		novel, err := st.Merge(s.ctx, key, state) // may be refused
		if err == nil && len(novel) > 0 {
			return fmt.Errorf("a Merge of nothing says that %x was new", novel)
		}
		if n := st.Index().Len(); n != 0 {
			return fmt.Errorf("a Merge of nothing made %d keys", n)
		}
	}
	if _, err := s.merge(st, key, s.State(0)); err != nil {
		return err
	}
	before, err := s.look(st)
	if err != nil {
		return err
	}
	_, _ = st.Merge(s.ctx, key, nil)
	return s.unchanged("a Merge of nothing", st, before)
}

func (s *suite) refusal() error {
	if len(s.Bad) == 0 {
		return nil
	}
	st := s.New()
	novel, err := st.Merge(s.ctx, key, slices.Clone(s.Bad))
	if err == nil {
		return fmt.Errorf("a Merge took a bad state, and says that %x was new", novel)
	}
	if state, err := s.load(st, key); err != nil || len(state) > 0 || st.Index().Len() > 0 {
		return fmt.Errorf("a refused key exists: %x (%v), and the index has %d", state, err, st.Index().Len())
	}
	if _, err := s.merge(st, key, s.State(0)); err != nil {
		return err
	}
	before, err := s.look(st)
	if err != nil {
		return err
	}
	if _, err := st.Merge(s.ctx, key, slices.Clone(s.Bad)); err == nil {
		return errors.New("a Merge took a bad state into one that it had")
	}
	if err := s.unchanged("a refused Merge", st, before); err != nil {
		return err
	}
	if novel, err := s.merge(st, key, s.State(1)); err != nil || len(novel) == 0 {
		return fmt.Errorf("after a refusal Merge of something new says %x (%v)", novel, err)
	}
	_, err = s.merge(st, "another "+key, s.State(1))
	return err
}
