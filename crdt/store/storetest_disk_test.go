package store_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/antientropy/storetest"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/internal/disk"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/vclock"
)

// A reopening is a store on disk that is closed and opened again at every so many calls, when nobody is in it.
type reopening struct {
	t     *testing.T
	cfg   store.Config
	disk  *disk.Disk
	every int // 0 for never

	mu    sync.RWMutex
	s     *store.Store
	calls int
}

func newReopening(t *testing.T, cfg store.Config, every int) *reopening {
	r := &reopening{t: t, cfg: cfg, every: every, disk: disk.New(crdt.Standard(), "here")}
	r.open()
	return r
}

func (r *reopening) open() {
	s, err := store.Open(r.cfg, r.disk.Mount())
	require.NoError(aside{r.t}, err)
	r.s = s
}

// use calls the store, which is not reopened meanwhile.
func (r *reopening) use(call func(s *store.Store)) {
	r.count()
	r.mu.RLock()
	defer r.mu.RUnlock()
	call(r.s)
}

func (r *reopening) count() {
	if r.every == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls++; r.calls%r.every == 0 {
		require.NoError(aside{r.t}, r.s.Close())
		r.open()
	}
}

func (r *reopening) Index() (tree *merkle.Tree) {
	r.use(func(s *store.Store) { tree = s.Index() })
	return tree
}

func (r *reopening) Load(ctx context.Context, key string) (state []byte, err error) {
	r.use(func(s *store.Store) { state, err = s.Load(ctx, key) })
	return state, err
}

func (r *reopening) Merge(ctx context.Context, key string, state []byte) (novel []byte, err error) {
	r.use(func(s *store.Store) { novel, err = s.Merge(ctx, key, state) })
	return novel, err
}

func (r *reopening) MergeAll(ctx context.Context, keys []string, states [][]byte) (novel [][]byte, errs []error) {
	r.use(func(s *store.Store) { novel, errs = s.MergeAll(ctx, keys, states) })
	return novel, errs
}

func (r *reopening) Seen(ctx context.Context, key string) (seen []byte, err error) {
	r.use(func(s *store.Store) { seen, err = s.Seen(ctx, key) })
	return seen, err
}

func (r *reopening) LoadSince(ctx context.Context, key string, seen []byte) (state []byte, err error) {
	r.use(func(s *store.Store) { state, err = s.LoadSince(ctx, key, seen) })
	return state, err
}

func (r *reopening) Generation() (generation string) {
	r.use(func(s *store.Store) { generation = s.Generation() })
	return generation
}

func (r *reopening) Since(generation string, limit int) (records [][]byte, ok bool) {
	r.use(func(s *store.Store) { records, ok = s.Since(generation, limit) })
	return records, ok
}

func (r *reopening) Settle(ctx context.Context, record []byte) (err error) {
	r.use(func(s *store.Store) { err = s.Settle(ctx, record) })
	return err
}

// Adopt has what is set aside taken at once: it ends with the store.
func (r *reopening) Adopt(ctx context.Context, generation string) (aside iter.Seq2[string, []byte], err error) {
	type item struct {
		key   string
		value []byte
	}
	var items []item
	r.use(func(s *store.Store) {
		var all iter.Seq2[string, []byte]
		all, err = s.Adopt(ctx, generation)
		for key, value := range all {
			items = append(items, item{key, value})
		}
	})
	return func(yield func(string, []byte) bool) {
		for _, it := range items {
			if !yield(it.key, it.value) {
				return
			}
		}
	}, err
}

func (r *reopening) Propose(limit int, quiet time.Duration) (proposal []byte) {
	r.use(func(s *store.Store) { proposal = s.Propose(limit, quiet) })
	return proposal
}

func (r *reopening) Prepare(ctx context.Context, proposal []byte) (reply []byte, err error) {
	r.use(func(s *store.Store) { reply, err = s.Prepare(ctx, proposal) })
	return reply, err
}

func (r *reopening) Conclude(ctx context.Context, proposal []byte, replies [][]byte) (record []byte, err error) {
	r.use(func(s *store.Store) { record, err = s.Conclude(ctx, proposal, replies) })
	return record, err
}

func (r *reopening) Delete(key string) (delta store.Delta, err error) {
	r.use(func(s *store.Store) { delta, err = s.Delete(key) })
	return delta, err
}

var _ interface { // so that all of it is checked
	antientropy.Collector
	antientropy.Follower
	antientropy.Differ
} = (*reopening)(nil)

// A store on disk does what those who replicate rely on, however much of it is in memory, and whenever it is closed.
func TestAStoreOnDiskIsWhatReplicationNeeds(t *testing.T) {
	retained := []int{1, 1 << 20}
	if testing.Short() {
		retained = retained[:1]
	}
	for _, retain := range retained {
		for name, c := range map[string]struct {
			cache int64
			sync  time.Duration
			every int
		}{
			"in memory too":          {1 << 20, 0, 0},
			"on disk alone":          {1, 0, 0},
			"nobody waits":           {1, -1, 0},
			"reopened at each call":  {1 << 20, -1, 1},
			"reopened at some calls": {1, 0, 3},
		} {
			t.Run(fmt.Sprint(name, ", ", retain), func(t *testing.T) {
				storetest.Run(t, storetest.Config{
					New: func() antientropy.Store {
						return newReopening(t, store.Config{Retain: retain, Cache: c.cache, Sync: c.sync}, c.every)
					},
					State: func(i int) []byte {
						return insert(t, store.New(store.Config{Replica: vclock.Named(fmt.Sprint(i))}), "k", fmt.Sprint(i))
					},
					Bad: []byte("bad"),
					Delete: func(st antientropy.Store, key string) error {
						_, err := st.(*reopening).Delete(key)
						return err
					},
				})
			})
		}
	}
}
