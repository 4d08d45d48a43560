package backendtest

import (
	"fmt"
	"slices"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

var standard = crdt.Standard()

// A node is a store at a place, and what it was told.
type node struct {
	*store.Store
	r     *rig
	place string
	cfg   store.Config
	wrap  func(store.Backend) store.Backend

	mu      sync.Mutex
	rotated []store.Rotation
	damaged []string
	failed  []error
}

// node opens a store at a place.
func (r *rig) node(place string, cfg store.Config) *node {
	r.Helper()
	n := &node{r: r, place: place, cfg: cfg}
	n.cfg.Secret = []byte("secret")
	n.cfg.Events = store.Events{
		Rotated: func(t store.Rotation) { n.note(func() { n.rotated = append(n.rotated, t) }) },
		Damaged: func(key string, _ error) { n.note(func() { n.damaged = append(n.damaged, key) }) },
		Failed:  func(err error) { n.note(func() { n.failed = append(n.failed, err) }) },
	}
	n.open()
	return n
}

// named is a config of a store with a name.
func named(name string) store.Config { return store.Config{Replica: vclock.Named(name)} }

// inMemory is a store that has no place.
func inMemory() *store.Store { return store.New(store.Config{Secret: []byte("secret")}) }

func (n *node) note(what func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	what()
}

// rotations are those that were told of.
func (n *node) rotations() (all []store.Rotation) {
	n.note(func() { all = slices.Clone(n.rotated) })
	return all
}

// damages are the keys that were told of.
func (n *node) damages() (keys []string) {
	n.note(func() { keys = slices.Clone(n.damaged) })
	return keys
}

// failures are those that were told of.
func (n *node) failures() (errs []error) {
	n.note(func() { errs = slices.Clone(n.failed) })
	return errs
}

func (n *node) open() {
	n.r.Helper()
	b := n.r.open(n.place)
	if n.wrap != nil {
		b = n.wrap(b)
	}
	s, err := store.Open(n.cfg, b)
	require.NoError(n.r, err)
	n.Store = s
}

func (n *node) close() {
	n.r.Helper()
	n.r.close(n.Store)
}

func (n *node) reopen() {
	n.r.Helper()
	n.close()
	n.open()
}

// crash ends the store without a farewell and opens it again.
func (n *node) crash() {
	n.r.Helper()
	require.NoError(n.r, n.r.Crash(n.place))
	_ = n.Close() // whatever it says, and does
	n.open()
}

func adding(elements ...string) func(*crdt.ORSet[string], store.Writer) *crdt.ORSet[string] {
	return func(c *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return c.Add(by.Replica, elements...)
	}
}

// sent is a change as it is sent to others.
func (r *rig) sent(d store.Delta, err error) []byte {
	r.Helper()
	require.NoError(r, err)
	state, err := d.Bytes()
	require.NoError(r, err)
	return state
}

func (r *rig) add(s *store.Store, key string, elements ...string) []byte {
	r.Helper()
	return r.sent(store.Update(s, key, adding(elements...)))
}

func (r *rig) erase(s *store.Store, key string, elements ...string) []byte {
	r.Helper()
	return r.sent(store.Update(s, key, func(c *crdt.ORSet[string], _ store.Writer) *crdt.ORSet[string] {
		return c.Remove(elements...)
	}))
}

func (r *rig) count(s *store.Store, key string, by int64) []byte {
	r.Helper()
	return r.sent(store.Update(s, key, func(c *crdt.PNCounter, w store.Writer) *crdt.PNCounter { return c.Add(w.Replica, by) }))
}

func (r *rig) assign(s *store.Store, key, value string) []byte {
	r.Helper()
	return r.sent(store.Update(s, key, func(c *crdt.LWWRegister[string], w store.Writer) *crdt.LWWRegister[string] {
		return c.Set(w.Stamp(), value)
	}))
}

func (r *rig) elements(s *store.Store, key string) (all []string) {
	r.Helper()
	_, err := store.View(s, key, func(c *crdt.ORSet[string]) { all = slices.Sorted(c.All()) })
	require.NoError(r, err)
	return all
}

func (r *rig) load(s *store.Store, key string) []byte {
	r.Helper()
	state, err := s.Load(r.Context(), key)
	require.NoError(r, err)
	return state
}

func (r *rig) merge(s *store.Store, key string, state []byte) {
	r.Helper()
	_, err := s.Merge(r.Context(), key, state)
	require.NoError(r, err)
}

// exchange brings two stores of one generation together.
func (r *rig) exchange(a, b *store.Store) {
	r.Helper()
	for key := range a.Index().All() {
		r.merge(b, key, r.load(a, key))
	}
	for key := range b.Index().All() {
		r.merge(a, key, r.load(b, key))
	}
	r.equal(a, b)
}

// equal checks that two stores hold the same, and that each knows all of what it holds.
func (r *rig) equal(a, b *store.Store) {
	r.Helper()
	require.Equal(r, slices.Collect(a.Keys("")), slices.Collect(b.Keys("")))
	require.Equal(r, a.Len(), b.Len())
	rebuilt := inMemory()
	for key := range a.Index().All() {
		require.Equal(r, r.load(a, key), r.load(b, key), "key %q", key)
		value, err := a.Decode(r.load(a, key))
		require.NoError(r, err)
		plain, err := value.AppendBinary(nil)
		require.NoError(r, err)
		r.merge(rebuilt, key, plain)
	}
	require.Equal(r, a.Index().Root(), b.Index().Root())
	require.Equal(r, rebuilt.Index().Root(), a.Index().Root(), "the index is not that of what there is")
	require.Equal(r, rebuilt.Len(), a.Len())
}

// numbers are elements of one set that are in no other.
func numbers(of string, from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprintf("%s%02d", of, i))
	}
	return all
}
