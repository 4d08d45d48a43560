package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/eventual-go/eventual/antientropy"
)

// A merger is a store that is an [antientropy.Merger] too.
type merger interface {
	antientropy.Store
	antientropy.Merger
}

// merger is a new store, if it merges many at once; nil if it does not.
func (s *suite) merger() merger {
	m, _ := s.New().(merger)
	return m
}

// many are states to be merged at once.
type many struct {
	keys   []string
	states [][]byte
}

func (m *many) add(key string, state []byte) {
	m.keys, m.states = append(m.keys, key), append(m.states, state)
}

// into merges them, and checks that there is a result for each.
func (m *many) into(ctx context.Context, st merger) (novel [][]byte, errs []error, err error) {
	novel, errs = st.MergeAll(ctx, m.keys, m.states)
	if n := len(m.keys); len(novel) != n || len(errs) != n {
		err = fmt.Errorf("a MergeAll of %d states returned %d results and %d errors", n, len(novel), len(errs))
	}
	return novel, errs, err
}

// mixture is many states under a few keys, which come several times, with bad states among
// them and states that are known.
func (s *suite) mixture() *many {
	m := new(many)
	for i := range 300 {
		k := fmt.Sprint("key ", i*i%11)
		if m.add(k, s.State(i*7%states)); i%9 == 4 && len(s.Bad) > 0 {
			m.add(k, slices.Clone(s.Bad))
			m.add(fmt.Sprint("bad ", i%2), slices.Clone(s.Bad))
		}
	}
	return m
}

// mergingMany checks a store that merges many at once, if it does.
func (s *suite) mergingMany() error {
	if s.merger() == nil {
		return nil
	}
	for _, check := range []func() error{s.asOneByOne, s.refusedAlone, s.manyOrNone, s.manyOwners, s.manyEnded, s.manyInOrder, s.manyAtOnce} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// asOneByOne compares with a store that merges the same one by one: what it holds, what it says
// was new, and what it refuses.
func (s *suite) asOneByOne() error {
	for _, size := range []int{1, 2, 7, 1000} {
		all, once, each := s.mixture(), s.merger(), s.New()
		news, olds := s.New(), s.New() // what was new, by either
		for first := 0; first < len(all.keys); first += size {
			end := min(first+size, len(all.keys))
			some := &many{all.keys[first:end], all.states[first:end]}
			novel, errs, err := some.into(s.ctx, once)
			if err != nil {
				return err
			}
			for i, k := range some.keys {
				one, err := each.Merge(s.ctx, k, some.states[i])
				if (err == nil) != (errs[i] == nil) || len(one) > 0 != (len(novel[i]) > 0) {
					return fmt.Errorf("of %d states the one at %d, under %q: MergeAll says that %x was new (%v), and Merge %x (%v)", len(some.keys), i, k, novel[i], errs[i], one, err)
				}
				if err := s.learns(news, olds, k, novel[i], one); err != nil {
					return fmt.Errorf("of %d states the one at %d, under %q: %w", len(some.keys), i, k, err)
				}
			}
			if !same(once, each) {
				return fmt.Errorf("%d states merged at once are not the same as one by one: the roots differ", len(some.keys))
			}
		}
	}
	return nil
}

// learns has two stores learn what was said to be new, and compares them.
func (s *suite) learns(a, b antientropy.Store, key string, one, other []byte) error {
	if len(one) == 0 {
		return nil
	}
	if _, err := s.merge(a, key, one); err != nil {
		return err
	}
	if _, err := s.merge(b, key, other); err != nil {
		return err
	}
	if !same(a, b) {
		return fmt.Errorf("MergeAll says that %x was new, and Merge %x", one, other)
	}
	return nil
}

// refusedAlone puts a bad state between good ones.
func (s *suite) refusedAlone() error {
	if len(s.Bad) == 0 {
		return nil
	}
	st, all := s.merger(), new(many)
	for i := range 9 {
		if all.add(fmt.Sprint(i), s.State(i)); i%3 == 1 {
			all.states[i] = slices.Clone(s.Bad)
		}
	}
	novel, errs, err := all.into(s.ctx, st)
	if err != nil {
		return err
	}
	for i, k := range all.keys {
		bad := i%3 == 1
		if bad != (errs[i] != nil) || bad == (len(novel[i]) > 0) {
			return fmt.Errorf("key %q has a bad state: %t. It is said that %x was new (%v)", k, bad, novel[i], errs[i])
		}
		if state, err := s.load(st, k); err != nil || bad == (len(state) > 0) {
			return fmt.Errorf("key %q has a bad state: %t. Afterwards it has %x (%v)", k, bad, state, err)
		}
	}
	if n := st.Index().Len(); n != 6 {
		return fmt.Errorf("six keys were merged and three refused, and the index has %d", n)
	}
	return nil
}

// manyOrNone merges nothing, and the empty state.
func (s *suite) manyOrNone() error {
	st := s.merger()
	if _, _, err := new(many).into(s.ctx, st); err != nil {
		return err
	}
	all := new(many)
	for i := range 3 {
		all.add(key, nil)
		all.add(fmt.Sprint(i), []byte{})
	}
	novel, errs, err := all.into(s.ctx, st)
	if err != nil {
		return err
	}
	for i := range novel {
		if errs[i] == nil && len(novel[i]) > 0 {
			return fmt.Errorf("a MergeAll of nothing says that %x was new", novel[i])
		}
	}
	if n := st.Index().Len(); n != 0 {
		return fmt.Errorf("a MergeAll of nothing made %d keys", n)
	}
	return nil
}

// manyOwners checks who owns what: what is given may be used again at once, and what is returned
// stays as it is.
func (s *suite) manyOwners() error {
	st, alone := s.merger(), s.New()
	given := new(many)
	for i := range states {
		given.add(fmt.Sprint(i%5), s.State(i))
	}
	for i, k := range given.keys {
		if _, err := s.merge(alone, k, given.states[i]); err != nil {
			return err
		}
	}
	keys, copies := slices.Clone(given.keys), slices.Clone(given.states)
	for i := range copies {
		copies[i] = bytes.Clone(copies[i])
	}
	novel, errs, err := given.into(s.ctx, st)
	if err != nil {
		return err
	}
	if !slices.Equal(keys, given.keys) || !slices.EqualFunc(copies, given.states, bytes.Equal) {
		return errors.New("a MergeAll changed what it was given")
	}
	for i := range given.keys {
		spoil(given.states[i])
		given.keys[i], given.states[i] = "spoilt", nil
	}
	kept := slices.Clone(novel)
	for i := range kept {
		kept[i] = bytes.Clone(kept[i])
	}
	if !same(st, alone) {
		return errors.New("after what MergeAll was given was changed the root is another")
	}
	if _, _, err := s.mixture().into(s.ctx, st); err != nil {
		return err
	}
	if err := errors.Join(errs...); err != nil || !slices.EqualFunc(novel, kept, bytes.Equal) {
		return fmt.Errorf("what MergeAll returned changed afterwards (%v)", err)
	}
	return nil
}

// A fading context ends when it has been looked at so many times.
type fading struct {
	context.Context
	end  context.CancelFunc
	mu   sync.Mutex
	left int
}

func (c *fading) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left--; c.left < 0 {
		c.end()
	}
	return c.Context.Err()
}

// manyEnded has the context end before and while states are merged: what has its error was not
// merged, and will be told as new when it is.
func (s *suite) manyEnded() error {
	for _, looks := range []int{0, 1, 2, 3, 5, 8, 13, 21, 34} {
		st, all := s.merger(), new(many)
		for i := range states {
			all.add(fmt.Sprint(i), s.State(i))
		}
		ctx, cancel := context.WithCancel(s.ctx)
		novel, errs, err := all.into(&fading{Context: ctx, end: cancel, left: looks}, st)
		cancel()
		if err != nil {
			return err
		}
		for i, k := range all.keys {
			switch err := errs[i]; {
			case err != nil && !errors.Is(err, context.Canceled):
				return fmt.Errorf("a MergeAll with a context that ended: %w", err)
			case err != nil && len(novel[i]) > 0:
				return errors.New("a MergeAll with a context that ended says that something was new, and an error")
			}
			again, err := s.merge(st, k, all.states[i])
			if err != nil {
				return err
			}
			if len(novel[i]) > 0 == (len(again) > 0) {
				return fmt.Errorf("a MergeAll whose context ended says that %x was new (%v), and Merge of the same afterwards %x", novel[i], errs[i], again)
			}
		}
	}
	return nil
}

// manyInOrder looks at a store while it merges: a state is there only if those before it are.
func (s *suite) manyInOrder() error {
	for range 20 {
		st, all, done, wrong := s.merger(), new(many), make(chan struct{}), make(chan error, 1)
		for i := range states {
			all.add(fmt.Sprint(i), s.State(i))
		}
		go func() {
			wrong <- s.watch(st, all.keys, done)
		}()
		_, _, err := all.into(s.ctx, st)
		close(done)
		if err := errors.Join(err, <-wrong); err != nil {
			return err
		}
	}
	return nil
}

// watch looks at keys from the last to the first until all are there.
func (s *suite) watch(st antientropy.Store, keys []string, done <-chan struct{}) error {
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		later := ""
		for _, k := range slices.Backward(keys) {
			state, err := s.load(st, k)
			if err != nil {
				return err
			}
			if len(state) > 0 && later == "" {
				later = k
			}
			if len(state) == 0 && later != "" {
				return fmt.Errorf("the state under %q was there before the one under %q, which comes before it", later, k)
			}
		}
	}
	return nil
}

// manyAtOnce has several goroutines merge the same states, each in an order of its own, some of
// them one by one.
func (s *suite) manyAtOnce() error {
	const workers = 4
	st, failed := s.merger(), make([]error, workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() { failed[w] = s.mergeMany(st, w) })
		all.Go(func() { _ = st.Index().Root() })
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	alone := s.New()
	if err := s.mergeAll(alone, 5, 0); err != nil {
		return err
	}
	if !same(st, alone) {
		return errors.New("merged from several goroutines at once: the roots differ")
	}
	return nil
}

// mergeMany merges what mergeAll does, half of it several at a time, at last too.
func (s *suite) mergeMany(st merger, worker int) error {
	const keys = 5
	for i := range states {
		m := new(many)
		for k := range keys {
			m.add(fmt.Sprint((k*(worker+1)+worker)%keys), s.State((i*(2*worker+1)+worker)%states))
		}
		if i%2 == 0 {
			for k, key := range m.keys {
				if _, err := s.merge(st, key, m.states[k]); err != nil {
					return err
				}
			}
			continue
		}
		_, errs, err := m.into(s.ctx, st)
		if err := errors.Join(append(errs, err)...); err != nil {
			return fmt.Errorf("MergeAll: %w", err)
		}
	}
	return nil
}
