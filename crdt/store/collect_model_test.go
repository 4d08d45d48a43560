package store_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// collecting is a cluster of stores in which everything that was ever sent may arrive at any time, and deleted keys are
// collected meanwhile. What is in and what is out is known from who had seen what.
type collecting struct {
	t       *rapid.T
	members int
	stores  []*store.Store
	sent    []posted
	added   map[string]string // element → key
	removed map[string]bool
	n       int
	total   int64 // of the counter
	retired []vclock.ReplicaID
	resets  bool // counters are deleted, too

	proposal []byte // of the collection that is under way
	replies  map[int][]byte
	record   []byte
}

type posted struct {
	key   string
	state []byte
}

func newCollecting(t *rapid.T, members, guests, retain int) *collecting {
	c := &collecting{t: t, members: members, added: map[string]string{}, removed: map[string]bool{}}
	for i := range members + guests {
		c.stores = append(c.stores, c.open(string(rune('a'+i)), "", retain))
	}
	return c
}

func (c *collecting) open(name, generation string, retain int) *store.Store {
	s := store.New(store.Config{
		Replica: vclock.Named(name),
		Retain:  retain,
		Now:     func() time.Time { return time.Unix(1_700_000_000, 0) },
	})
	_, err := s.Adopt(c.t.Context(), generation)
	require.NoError(c.t, err)
	return s
}

func (c *collecting) count(*rapid.T) {
	c.total++
	c.send("c", add(c.t, c.stores[c.any()], "c", 1))
}

// restart ends a store, after an exchange, and begins another in its place: what it wrote under is retired.
func (c *collecting) restart(*rapid.T) {
	i := rapid.IntRange(1, len(c.stores)-1).Draw(c.t, "restarted")
	old := c.stores[i]
	c.sync(old, c.stores[0])
	c.n++
	c.stores[i] = c.open(fmt.Sprint("new", c.n), c.stores[0].Generation(), 1<<20)
	c.retired = append(c.retired, old.Replica())
	c.stores[0].Retire(c.retired...)
}

func (c *collecting) any() int { return rapid.IntRange(0, len(c.stores)-1).Draw(c.t, "store") }

func (c *collecting) key() string { return rapid.SampledFrom([]string{"x", "y", "z"}).Draw(c.t, "key") }

func (c *collecting) send(key string, state []byte) {
	if len(state) > 0 {
		c.sent = append(c.sent, posted{key, state})
	}
}

// elements of a key at a store, in order.
func (c *collecting) elements(s *store.Store, key string) []string {
	all := members(c.t, s, key)
	slices.Sort(all)
	return all
}

func (c *collecting) add(*rapid.T) {
	s, key := c.stores[c.any()], c.key()
	c.n++
	e := fmt.Sprint(c.n)
	c.added[e] = key
	c.send(key, insert(c.t, s, key, e))
}

func (c *collecting) remove(*rapid.T) {
	s, key := c.stores[c.any()], c.key()
	all := c.elements(s, key)
	if len(all) == 0 {
		return
	}
	e := rapid.SampledFrom(all).Draw(c.t, "element")
	c.removed[e] = true
	c.send(key, erase(c.t, s, key, e))
}

func (c *collecting) delete(*rapid.T) {
	s, key := c.stores[c.any()], c.key()
	for _, e := range c.elements(s, key) {
		c.removed[e] = true
	}
	delta, err := sent(s.Delete(key))
	require.NoError(c.t, err)
	c.send(key, delta)
}

// deliver lets anything that was ever sent arrive anywhere.
func (c *collecting) deliver(*rapid.T) {
	if len(c.sent) == 0 {
		return
	}
	s, p := c.stores[c.any()], rapid.SampledFrom(c.sent).Draw(c.t, "posted")
	novel, err := s.Merge(c.t.Context(), p.key, p.state)
	if err != nil {
		require.ErrorAs(c.t, err, new(*store.StaleError))
		return
	}
	c.send(p.key, novel)
}

// load sends a whole state.
func (c *collecting) load(*rapid.T) {
	key := c.key()
	c.send(key, load(c.t, c.stores[c.any()], key))
}

// align brings stores to the generation of the first one, which is where the others get theirs, by records alone. Only
// where counters are deleted, and only a guest may refuse one, having taken away a part of what the departed left: then it
// is what it was, and adopts what the others have. It reports whether all came by records.
func (c *collecting) align(stores ...*store.Store) (all bool) {
	all = true
	for _, s := range stores {
		records, ok := c.stores[0].Since(s.Generation(), 1<<30)
		require.True(c.t, ok)
		for _, r := range records {
			before, root := s.Generation(), s.Index().Root()
			err := s.Settle(c.t.Context(), r)
			if err == nil {
				continue
			}
			require.ErrorContains(c.t, err, "was reset in part")
			require.True(c.t, c.resets && !slices.Contains(c.stores[:c.members], s))
			require.Equal(c.t, before, s.Generation())
			require.Equal(c.t, root, s.Index().Root())
			_, err = s.Adopt(c.t.Context(), c.stores[0].Generation())
			require.NoError(c.t, err)
			require.Equal(c.t, c.stores[0].Generation(), s.Generation())
			all = false
			break
		}
	}
	return all
}

func (c *collecting) sync(a, b *store.Store) {
	c.align(a, b)
	for _, key := range []string{"x", "y", "z", "c"} {
		merge(c.t, b, key, load(c.t, a, key))
		merge(c.t, a, key, load(c.t, b, key))
	}
}

func (c *collecting) exchange(*rapid.T) {
	if a, b := c.any(), c.any(); a != b {
		c.sync(c.stores[a], c.stores[b])
	}
}

func (c *collecting) propose(*rapid.T) {
	c.proposal, c.replies = c.stores[0].Propose(1<<20, 0), map[int][]byte{}
}

func (c *collecting) prepare(*rapid.T) {
	if c.proposal == nil {
		return
	}
	i := rapid.IntRange(0, c.members-1).Draw(c.t, "member")
	if reply, err := c.stores[i].Prepare(c.t.Context(), c.proposal); err == nil {
		c.replies[i] = reply
	}
}

func (c *collecting) conclude(*rapid.T) {
	if c.proposal == nil || len(c.replies) < c.members {
		return
	}
	record, err := c.stores[0].Conclude(c.t.Context(), c.proposal, slices.Collect(maps.Values(c.replies)))
	if err == nil && record != nil {
		c.record = record
	}
	c.proposal = nil
}

// settle tells somebody of the last record.
func (c *collecting) settle(*rapid.T) {
	if c.record == nil {
		return
	}
	if err := c.stores[c.any()].Settle(c.t.Context(), c.record); err != nil {
		require.ErrorAs(c.t, err, new(*store.StaleError))
	}
}

// collect goes through a whole collection, if all members are there.
func (c *collecting) collect(t *rapid.T) {
	c.align(c.stores[:c.members]...)
	c.propose(t)
	if c.proposal == nil {
		return
	}
	for i := range c.members {
		reply, err := c.stores[i].Prepare(c.t.Context(), c.proposal)
		require.NoError(c.t, err)
		c.replies[i] = reply
	}
	c.conclude(t)
	for _, s := range c.stores[1:c.members] {
		require.NoError(c.t, s.Settle(c.t.Context(), c.record))
	}
}

// finish has everybody exchange with everybody.
func (c *collecting) finish() {
	for range 2 {
		for i, a := range c.stores {
			for _, b := range c.stores[:i] {
				c.sync(a, b)
			}
		}
	}
}

// check compares all stores with what was added and not removed.
func (c *collecting) check() {
	want := map[string][]string{}
	for e, key := range c.added {
		if !c.removed[e] {
			want[key] = append(want[key], e)
		}
	}
	for i, s := range c.stores {
		for _, key := range []string{"x", "y", "z"} {
			slices.Sort(want[key])
			require.Equal(c.t, want[key], c.elements(s, key), "key %s at store %d", key, i)
		}
		require.Equal(c.t, c.total, total(c.t, s, "c"), "at store %d", i)
		require.Equal(c.t, c.stores[0].Index().Root(), s.Index().Root())
	}
}

func (c *collecting) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"add": c.add, "count": c.count, "restart": c.restart, "remove": c.remove, "delete": c.delete,
		"deliver": c.deliver, "load": c.load, "exchange": c.exchange, "again": c.deliver,
		"propose": c.propose, "prepare": c.prepare, "conclude": c.conclude, "settle": c.settle, "collect": c.collect,
	}
}

func TestTrap26_CollectedKeysStayDeletedWhateverArrivesLate(t *testing.T) {
	forgotten := 0
	rapid.Check(t, func(t *rapid.T) {
		c := newCollecting(t, 3, 1, 1<<20)
		t.Repeat(c.actions())
		c.finish()
		c.check()
		for range 6 { // later ones forget what arrived again meanwhile
			c.stores[0].Retire(c.retired...)
			c.collect(t)
			c.finish()
			c.check()
		}
		for _, key := range []string{"x", "y", "z", "c"} {
			v, err := c.stores[0].Decode(load(t, c.stores[0], key))
			require.NoError(t, err)
			for tag, seen := range v.Contexts().All() {
				for _, gone := range c.retired {
					require.Zero(t, seen.Max(gone), "%v is still in %s, tag %d", gone, key, tag)
				}
			}
		}
		for key := range map[string]bool{"x": true, "y": true, "z": true} {
			if len(c.elements(c.stores[0], key)) == 0 {
				require.Empty(t, load(t, c.stores[0], key))
				forgotten++
			}
		}
	})
	require.NotZero(t, forgotten)
}
