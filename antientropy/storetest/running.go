package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/eventual-go/eventual/antientropy"
)

// ended calls a store with a context that is over: it does its work or returns the
// error of the context, and no other.
func (s *suite) ended() error {
	st, err := s.holding(1)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	before, err := s.look(st)
	if err != nil {
		return err
	}
	if _, err := st.Load(ctx, key); err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("a Load with a context that ended: %w", err)
	}
	_, err = st.Merge(ctx, key, s.State(2))
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, context.Canceled):
		return fmt.Errorf("a Merge with a context that ended: %w", err)
	}
	if err := s.unchanged("a Merge that returned the error of its context", st, before); err != nil {
		return err
	}
	_, err = s.merge(st, key, s.State(2))
	return err
}

// concurrent merges the same states from several goroutines, each in an order of its
// own, while others look.
func (s *suite) concurrent() error {
	const workers, keys = 4, 5
	st, failed := s.New(), make([]error, 2*workers)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() { failed[w] = s.mergeAll(st, keys, w) })
		all.Go(func() { failed[workers+w] = s.lookAround(st, keys) })
	}
	all.Wait()
	if err := errors.Join(failed...); err != nil {
		return err
	}
	alone := s.New()
	if err := s.mergeAll(alone, keys, 0); err != nil {
		return err
	}
	return s.mustEqual("merged from several goroutines", st, alone)
}

func (s *suite) mergeAll(st antientropy.Store, keys, worker int) error {
	for k := range keys {
		for i := range states {
			if _, err := s.merge(st, fmt.Sprint((k+worker)%keys), s.State((i*(2*worker+1)+worker)%states)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *suite) lookAround(st antientropy.Store, keys int) error {
	for i := range states {
		index := st.Index()
		if n := index.Len(); n > keys {
			return fmt.Errorf("%d keys were merged, and the index has %d", keys, n)
		}
		for k := range index.All() {
			if state, err := s.load(st, k); err != nil || len(state) == 0 {
				return fmt.Errorf("key %q is in the index, and has no state (%v)", k, err)
			}
		}
		if _, err := s.load(st, fmt.Sprint(i%keys)); err != nil {
			return err
		}
	}
	return nil
}

// reconcile has two stores exchange what differs, by the protocol itself.
func (s *suite) reconcile() error {
	a, b := s.New(), s.New()
	const both, single = 50, 10
	for i := range both {
		for _, st := range []antientropy.Store{a, b} {
			if _, err := s.merge(st, fmt.Sprint("both ", i), s.State(i%states)); err != nil {
				return err
			}
		}
	}
	for i := range single {
		if _, err := s.merge(a, fmt.Sprint("a ", i), s.State(i)); err != nil {
			return err
		}
		if _, err := s.merge(b, fmt.Sprint("b ", i), s.State(i)); err != nil {
			return err
		}
	}
	x, err := s.exchange(a, b)
	switch {
	case err != nil:
		return err
	case !same(a, b):
		return errors.New("two stores have reconciled, and their roots differ")
	case x.KeysSent != single || x.KeysReceived != single || x.KeysRefused > 0:
		return fmt.Errorf("of %d keys each only here and there, %d were sent, %d received and %d refused", single, x.KeysSent, x.KeysReceived, x.KeysRefused)
	}
	x, err = s.exchange(a, b)
	if err == nil && x.RoundTrips > 1 {
		err = errors.New("two stores that are equal do not see it")
	}
	return err
}

func (s *suite) exchange(a, b antientropy.Store) (antientropy.Exchange, error) {
	responder := antientropy.Responder{Store: b}
	round := antientropy.NewRound(a, antientropy.RoundConfig{})
	for {
		method, req, more := round.Next()
		if !more {
			return round.Result(), nil
		}
		resp, err := responder.ServeCall(s.ctx, "a", method, req)
		if err == nil {
			err = round.Step(s.ctx, resp)
		}
		if err != nil {
			return round.Result(), err
		}
	}
}

// updates checks that the sequence of local updates, if a store has one, ends with
// its context and does not have what Merge brought.
func (s *suite) updates() error {
	st := s.New()
	u, ok := st.(interface {
		Updates(ctx context.Context) iter.Seq2[string, []byte]
	})
	if !ok {
		return nil
	}
	ctx, cancel := context.WithCancel(s.ctx)
	seen := make(chan string, 1)
	var done sync.WaitGroup
	done.Go(func() {
		for key := range u.Updates(ctx) {
			select {
			case seen <- key:
			default:
			}
		}
	})
	_, err := s.merge(st, key, s.State(1))
	cancel()
	done.Wait()
	select {
	case key := <-seen:
		return fmt.Errorf("the updates have key %q, which Merge brought", key)
	default:
		return err
	}
}
