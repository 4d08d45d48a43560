package storetest_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/antientropy/storetest"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// A forgetter is a right store that forgets, with one thing changed.
type forgetter struct {
	*store.Store
	generation func(s *store.Store) string
	since      func(s *store.Store, from string) ([][]byte, bool)
	settle     func(s *store.Store, record []byte) error
	adopt      func(s *store.Store, to string) (iter.Seq2[string, []byte], error)
	merge      func(s *store.Store, key string, state []byte) ([]byte, error)
	propose    func(s *store.Store, limit int) []byte
	prepare    func(s *store.Store, proposal []byte) ([]byte, error)
	conclude   func(s *store.Store, proposal []byte, replies [][]byte) ([]byte, error)
}

func (f *forgetter) Generation() string {
	if f.generation != nil {
		return f.generation(f.Store)
	}
	return f.Store.Generation()
}

func (f *forgetter) Since(from string, limit int) ([][]byte, bool) {
	if f.since != nil {
		return f.since(f.Store, from)
	}
	return f.Store.Since(from, limit)
}

func (f *forgetter) Settle(ctx context.Context, record []byte) error {
	if f.settle != nil {
		return f.settle(f.Store, record)
	}
	return f.Store.Settle(ctx, record)
}

func (f *forgetter) Adopt(ctx context.Context, to string) (iter.Seq2[string, []byte], error) {
	if f.adopt != nil {
		return f.adopt(f.Store, to)
	}
	return f.Store.Adopt(ctx, to)
}

func (f *forgetter) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	if f.merge != nil {
		return f.merge(f.Store, key, state)
	}
	return f.Store.Merge(ctx, key, state)
}

// MergeAll is there so that what the store itself merges at once is not behind the back of merge.
func (f *forgetter) MergeAll(ctx context.Context, keys []string, states [][]byte) (novel [][]byte, errs []error) {
	for i, key := range keys {
		n, err := f.Merge(ctx, key, states[i])
		novel, errs = append(novel, n), append(errs, err)
	}
	return novel, errs
}

func (f *forgetter) Propose(limit int, quiet time.Duration) []byte {
	if f.propose != nil {
		return f.propose(f.Store, limit)
	}
	return f.Store.Propose(limit, quiet)
}

func (f *forgetter) Prepare(ctx context.Context, proposal []byte) ([]byte, error) {
	if f.prepare != nil {
		return f.prepare(f.Store, proposal)
	}
	return f.Store.Prepare(ctx, proposal)
}

func (f *forgetter) Conclude(ctx context.Context, proposal []byte, replies [][]byte) ([]byte, error) {
	if f.conclude != nil {
		return f.conclude(f.Store, proposal, replies)
	}
	return f.Store.Conclude(ctx, proposal, replies)
}

func TestFlawedFollowersAreFound(t *testing.T) {
	ctx := context.Background()
	for _, f := range []struct {
		name, found string
		forgetter
	}{
		{"nothing wrong", "", forgetter{}},
		{"of a generation at once", "generations", forgetter{generation: func(s *store.Store) string { return s.Generation() + "x" }}},
		{"all are of one generation", "generations", forgetter{generation: func(s *store.Store) string { return s.Generation()[:min(1, len(s.Generation()))] }}},
		{"the way is always known", "generations", forgetter{since: func(*store.Store, string) ([][]byte, bool) { return nil, true }}},
		{"the way is forgotten but its end", "forgetting", forgetter{since: func(s *store.Store, from string) ([][]byte, bool) {
			_, ok := s.Since(from, 0)
			return nil, ok
		}}},
		{"any record is settled", "generations", forgetter{settle: func(s *store.Store, record []byte) error {
			_ = s.Settle(ctx, record)
			return nil
		}}},
		{"a record is settled once", "forgetting", forgetter{settle: func(s *store.Store, record []byte) error {
			before := s.Generation()
			if err := s.Settle(ctx, record); err != nil || s.Generation() != before {
				return err
			}
			return fmt.Errorf("duplicate row")
		}}},
		{"nothing is set aside", "a store that is emptied", forgetter{adopt: func(s *store.Store, to string) (iter.Seq2[string, []byte], error) {
			_, err := s.Adopt(ctx, to)
			return func(func(string, []byte) bool) {}, err
		}}},
		{"later states are taken for granted", "forgetting", forgetter{merge: func(s *store.Store, key string, state []byte) ([]byte, error) {
			novel, err := s.Merge(ctx, key, state)
			if _, stale := err.(interface{ Unwrap() error }); stale && len(state) > 0 && state[0] == 0x93 {
				return nil, nil
			}
			return novel, err
		}}},
		{"nothing is ever proposed", "forgetting", forgetter{propose: func(*store.Store, int) []byte { return nil }}},
		{"proposals are as long as they get", "forgetting", forgetter{propose: func(s *store.Store, _ int) []byte { return s.Propose(1<<20, 0) }}},
		{"what is prepared is not merged", "forgetting", forgetter{prepare: func(s *store.Store, proposal []byte) ([]byte, error) {
			elsewhere := store.New(store.Config{})
			if _, err := elsewhere.Adopt(ctx, s.Generation()); err != nil {
				return nil, err
			}
			return elsewhere.Prepare(ctx, proposal)
		}}},
		{"a promise is for ever", "only the last promise counts", forgetter{prepare: func(s *store.Store, proposal []byte) ([]byte, error) {
			if len(proposal) == 0 {
				return nil, nil
			}
			return s.Prepare(ctx, proposal)
		}}},
		{"a proposal is concluded whatever was promised", "only the last promise counts", forgetter{conclude: func(s *store.Store, proposal []byte, replies [][]byte) ([]byte, error) {
			record, err := s.Conclude(ctx, proposal, replies)
			if err != nil && record == nil {
				return proposal, nil
			}
			return record, err
		}}},
	} {
		t.Run(f.name, func(t *testing.T) {
			err := storetest.Check(t.Context(), storetest.Config{
				New: func() antientropy.Store {
					made := f.forgetter
					made.Store = store.New(store.Config{})
					return &made
				},
				State: func(i int) []byte {
					s := store.New(store.Config{Replica: vclock.Named(fmt.Sprint(i))})
					delta, _ := store.Update(s, "k", func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter { return c.Add(by.Replica, 1) })
					state, _ := delta.Bytes()
					return state
				},
				Delete: func(st antientropy.Store, key string) error {
					_, err := st.(*forgetter).Delete(key)
					return err
				},
			})
			if f.found == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "storetest: "+f.found+": ")
			t.Log(err)
		})
	}
}
