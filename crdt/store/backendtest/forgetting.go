package backendtest

import (
	"errors"
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// founders are so many stores of the first generation.
func (r *rig) founders(n int, cfg store.Config) (all []*node) {
	r.Helper()
	for range n {
		m := r.node(r.place(), cfg)
		_, err := m.Adopt(r.Context(), "")
		require.NoError(r, err)
		all = append(all, m)
	}
	return all
}

func (r *rig) prepare(n *node, proposal []byte) []byte {
	r.Helper()
	reply, err := n.Prepare(r.Context(), proposal)
	require.NoError(r, err)
	return reply
}

// collect has all agree on forgetting what was deleted, and calls between each two steps.
func (r *rig) collect(between func(), all ...*node) {
	r.Helper()
	proposal := all[0].Propose(1<<20, 0)
	require.NotEmpty(r, proposal)
	var replies [][]byte
	for _, n := range all {
		between()
		replies = append(replies, r.prepare(n, proposal))
	}
	between()
	record, err := all[0].Conclude(r.Context(), proposal, replies)
	require.NoError(r, err)
	require.NotEmpty(r, record)
	for _, n := range all[1:] {
		between()
		require.NoError(r, n.Settle(r.Context(), record))
	}
	between()
}

// follow brings a store to where another is, by the records that it has.
func (r *rig) follow(n, ahead *node) (ok bool) {
	r.Helper()
	records, ok := ahead.Since(n.Generation(), 1<<30)
	for _, record := range records {
		require.NoError(r, n.Settle(r.Context(), record))
	}
	return ok
}

func all(nodes []*node, do func(*node)) func() {
	return func() {
		for _, n := range nodes {
			do(n)
		}
	}
}

// A key is deleted, forgotten and made again, and what is left of its deletion arrives from one that was not asked.
func testTrap15Doomstone(r *rig) {
	owners := r.founders(2, store.Config{Cache: 1})
	a, b, fallback := owners[0].Store, owners[1].Store, inMemory()
	_, err := fallback.Adopt(r.Context(), a.Generation())
	require.NoError(r, err)
	live := r.add(a, "k", numbers("old", 1, 6)...)
	for _, s := range []*store.Store{b, fallback} {
		r.merge(s, "k", live)
	}
	tombstone := r.sent(a.Delete("k"))
	r.merge(b, "k", tombstone)
	r.merge(fallback, "k", tombstone)

	reopen := all(owners, (*node).reopen)
	r.collect(reopen, owners...)
	require.Zero(r, owners[0].Index().Len(), "it costs nothing any more")
	r.add(owners[0].Store, "k", "new")
	reopen()
	r.merge(owners[1].Store, "k", r.load(owners[0].Store, "k"))
	for _, n := range owners {
		for _, late := range [][]byte{r.load(fallback, "k"), tombstone, live} {
			r.merge(n.Store, "k", late)
			require.Equal(r, []string{"new"}, r.elements(n.Store, "k"))
		}
	}
	reopen()
	r.together(owners[0].Store, owners[1].Store, "k", []string{"new"})
	all(owners, (*node).close)()
}

// A member that has agreed is away while the others forget, and is brought to where they are.
func testTrap26Away(r *rig) {
	nodes := r.founders(3, store.Config{Cache: 1})
	a, away := nodes[0], nodes[2]
	r.add(a.Store, "k", "one")
	r.add(a.Store, "kept", "two")
	for _, n := range nodes[1:] {
		r.exchange(a.Store, n.Store)
	}
	r.sent(a.Delete("k"))

	proposal := a.Propose(1<<20, 0)
	var replies [][]byte
	for _, n := range nodes {
		replies = append(replies, r.prepare(n, proposal))
		n.reopen()
	}
	late := r.load(away.Store, "kept")
	away.close()
	record, err := a.Conclude(r.Context(), proposal, replies)
	require.NoError(r, err)
	require.NoError(r, nodes[1].Settle(r.Context(), record))
	all(nodes[:2], (*node).reopen)()
	r.add(a.Store, "k", "again")

	away.open()
	state := r.load(a.Store, "k")
	r.merge(away.Store, "k", state) // it has promised that it goes there
	away.reopen()
	require.True(r, r.follow(away, a))
	away.reopen()
	require.Equal(r, a.Generation(), away.Generation())
	r.merge(a.Store, "kept", late)
	r.together(a.Store, away.Store, "k", []string{"again"})
	r.together(nodes[1].Store, away.Store, "k", []string{"again"})
	all(nodes, (*node).close)()
}

// One that was away for longer than records are kept is no source any more until it is emptied.
func testTrap26AwayForLong(r *rig) {
	nodes := r.founders(3, store.Config{Retain: 1, Cache: 1})
	a, b, away := nodes[0], nodes[1], nodes[2]
	r.add(a.Store, "k", "one")
	r.exchange(a.Store, away.Store)
	r.exchange(a.Store, b.Store)
	r.add(away.Store, "own", "written while it was away")
	away.close()
	for i := range 3 {
		key := "k"
		if i > 0 {
			key = fmt.Sprint(i)
			r.add(a.Store, key, "x")
		}
		r.sent(a.Delete(key))
		r.collect(all(nodes[:2], (*node).reopen), a, b)
	}

	away.open()
	state := r.load(away.Store, "k")
	_, err := a.Merge(r.Context(), "k", state)
	require.ErrorAs(r, err, new(*store.StaleError))
	require.False(r, r.follow(away, a))
	aside, err := away.Adopt(r.Context(), a.Generation())
	require.NoError(r, err)
	found := make(map[string]bool)
	for key, value := range aside {
		_, err := standard.Decode(value)
		require.NoError(r, err)
		found[key] = true
	}
	require.Equal(r, map[string]bool{"k": true, "own": true}, found)
	require.Zero(r, away.Len())
	away.reopen()
	require.Zero(r, away.Index().Len(), "it stays empty")
	require.Equal(r, a.Generation(), away.Generation())
	r.add(away.Store, "k", "new")
	away.reopen()
	r.together(a.Store, away.Store, "k", []string{"new"})
	all(nodes, (*node).close)()
}

// While stores agree on what to forget, the power of one of them is cut at any one of its writes: nothing that was
// acknowledged is lost, nothing that was deleted is back, and they come to the end of it.
func testTrap26CutsInBetween(r *rig) {
	for who := range 2 {
		for at, done := 1, false; !done; at++ {
			nodes := r.founders(2, store.Config{Cache: 1})
			a, b := nodes[0], nodes[1]
			for _, key := range []string{"k", "gone", "lost"} {
				r.add(a.Store, key, "one")
			}
			r.exchange(a.Store, b.Store)
			r.sent(a.Delete("gone"))
			r.sent(a.Delete("lost"))
			r.add(b.Store, "k", "two")
			before := a.Generation()
			cut := nodes[who].cutAt(at)
			for try := 0; a.Generation() == before || a.Generation() != b.Generation(); try++ {
				require.Less(r, try, 4)
				if err := r.tryToForget(a, b); err != nil {
					require.ErrorIs(r, err, errCut)
					_ = nodes[who].Close()
					nodes[who].wrap = nil
					nodes[who].open()
				}
			}
			done, cut.n = !cut.done, 1<<30
			for _, key := range []string{"gone", "lost"} {
				_, found := a.Index().Get(key)
				require.False(r, found, "%q is not forgotten, where store %d was cut off at write %d", key, who, at)
			}
			r.add(b.Store, "gone", "again")
			r.together(a.Store, b.Store, "k", []string{"one", "two"})
			r.together(a.Store, b.Store, "gone", []string{"again"})
			all(nodes, (*node).reopen)()
			r.exchange(a.Store, b.Store)
			all(nodes, (*node).close)()
		}
	}
}

// tryToForget goes through a collection, until an error comes in between.
func (r *rig) tryToForget(a, b *node) error {
	records, _ := a.Since(b.Generation(), 1<<30)
	for _, record := range records {
		if err := b.Settle(r.Context(), record); err != nil {
			return err
		}
	}
	proposal := a.Propose(1<<20, 0)
	if len(proposal) == 0 {
		return nil
	}
	var replies [][]byte
	for _, n := range []*node{a, b} {
		reply, err := n.Prepare(r.Context(), proposal)
		if err != nil {
			return err
		}
		replies = append(replies, reply)
	}
	record, err := a.Conclude(r.Context(), proposal, replies)
	if err != nil {
		return err
	}
	return b.Settle(r.Context(), record)
}

var errCut = errors.New("backendtest: the power was cut")

// A cut is a backend whose power is cut at the n-th write.
type cut struct {
	store.Backend
	crash func() error
	n     int
	done  bool
}

// Apply implements store.Backend.
func (c *cut) Apply(ops []store.Op, sync bool) (store.Commit, error) {
	if c.n--; c.n <= 0 && !c.done {
		c.done = true
		if err := c.crash(); err != nil {
			return nil, err
		}
	}
	if c.done {
		return nil, errCut
	}
	return c.Backend.Apply(ops, sync)
}

// cutAt reopens a store whose power is cut at the n-th write from then on.
func (n *node) cutAt(at int) *cut {
	n.r.Helper()
	c := &cut{n: 1 << 30, crash: func() error { return n.r.Crash(n.place) }}
	n.close()
	n.wrap = func(b store.Backend) store.Backend {
		c.Backend = b
		return c
	}
	n.open()
	c.n = at
	return c
}
