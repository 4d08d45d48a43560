package ring

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

var _ quorum.Ring = (*Keeper)(nil)

var testHasher = merkle.NewHasher([]byte("a secret of the tests"))

// A town is some nodes, each with a Keeper and a set of keys.
type town struct {
	net mem.Network

	mu    sync.Mutex
	nodes map[transport.NodeID]*house
	stuck []merkle.Range // what has some of these cannot be transferred
}

type house struct {
	*Keeper
	stop  func()
	keys  map[string]bool
	saved []byte
	fails map[transport.NodeID]bool // transfers with them fail
}

// open starts a node, again if it was there before.
func (c *town) open(t *testing.T, id transport.NodeID, change func(*Keeper)) *house {
	c.mu.Lock()
	if c.nodes == nil {
		c.nodes = make(map[transport.NodeID]*house)
	}
	h := c.nodes[id]
	if h == nil {
		h = &house{keys: make(map[string]bool), fails: make(map[transport.NodeID]bool)}
		c.nodes[id] = h
	}
	c.mu.Unlock()
	k := &Keeper{Self: id, Hasher: testHasher,
		Save: func(b []byte) error { c.locked(func() { h.saved = b }); return nil },
		Transfer: func(_ context.Context, peer transport.NodeID, ranges []merkle.Range) error {
			return c.reconcile(id, peer, ranges)
		},
		HandOver: func(_ context.Context, peer transport.NodeID, ranges []merkle.Range) error {
			return c.give(id, peer, ranges)
		},
		Store: &shelf{town: c, keys: h.keys},
	}
	if change != nil {
		change(k)
	}
	k.Caller = c.net.Node(id, k.Handler())
	h.Keeper = k
	if h.saved != nil {
		require.NoError(t, k.Restore(h.saved))
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = k.Run(ctx) }()
	h.stop = func() { cancel(); <-ended }
	return h
}

// A shelf is what a house holds, as a Store.
type shelf struct {
	*town
	keys map[string]bool

	meanwhile func() // is called by Discard first, if there is one
}

func (s *shelf) Index() *merkle.Tree {
	tree := merkle.New(testHasher)
	s.locked(func() {
		for key := range s.keys {
			tree.Set(key, testHasher.Sum([]byte("there")))
		}
	})
	return tree
}

func (s *shelf) Discard(_ context.Context, held *merkle.Tree, ranges []merkle.Range) (kept int, err error) {
	if s.meanwhile != nil {
		s.meanwhile()
	}
	s.locked(func() {
		for key := range maps.Clone(s.keys) {
			if _, was := held.Get(key); was && within(ranges, key) {
				delete(s.keys, key)
			} else if within(ranges, key) {
				kept++
			}
		}
	})
	return kept, nil
}

func (c *town) locked(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func within(ranges []merkle.Range, key string) bool {
	pos := testHasher.Position(key)
	return slices.ContainsFunc(ranges, func(r merkle.Range) bool { return r.Contains(pos) })
}

var errFails = errors.New("transfer fails")

func (c *town) reconcile(a, b transport.NodeID, ranges []merkle.Range) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	x, y := c.nodes[a], c.nodes[b]
	if x.fails[b] || c.meets(ranges) {
		return errFails
	}
	copyKeys(x, y, ranges)
	copyKeys(y, x, ranges)
	return nil
}

func (c *town) give(a, b transport.NodeID, ranges []merkle.Range) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nodes[a].fails[b] || c.meets(ranges) {
		return errFails
	}
	copyKeys(c.nodes[a], c.nodes[b], ranges)
	return nil
}

// meets reports whether ranges have some of what is stuck.
func (c *town) meets(ranges []merkle.Range) bool {
	return slices.ContainsFunc(c.stuck, func(s merkle.Range) bool {
		return slices.ContainsFunc(ranges, func(r merkle.Range) bool { return r.From <= s.To && s.From <= r.To })
	})
}

func copyKeys(from, to *house, ranges []merkle.Range) {
	for key := range from.keys {
		if within(ranges, key) {
			to.keys[key] = true
		}
	}
}

// fill writes keys to a majority of their owners, and some to one alone.
func (c *town) fill(r *Ring, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range n {
		key := fmt.Sprint("key", i)
		owners := r.Place(testHasher.Position(key)).Owners
		at := i % len(owners)
		for j := range len(owners)/2 + 1 {
			if j == 0 || i%3 != 0 {
				c.nodes[owners[(at+j)%len(owners)]].keys[key] = true
			}
		}
	}
}

// settled waits until all nodes have the ring of an epoch, and nothing to do. It fails after an
// hour of the bubble's time.
func (c *town) settled(t *testing.T, epoch uint64) *Ring {
	t.Helper()
	for range 3600 {
		time.Sleep(time.Second)
		synctest.Wait()
		busy := 0
		for _, h := range c.nodes {
			if s := h.Stats(); s.Epoch != epoch || s.Gives > 0 {
				busy++
			}
		}
		if busy == 0 {
			for _, h := range c.nodes {
				return h.Ring()
			}
		}
	}
	require.Fail(t, "the change is never over")
	return nil
}

// requireHeld checks that each key is with a majority of its owners, all of them if
// acknowledged, and nowhere else.
func (c *town) requireHeld(t *testing.T, r *Ring, n int, all bool) {
	t.Helper()
	for i := range n {
		key, with := fmt.Sprint("key", i), 0
		p := r.Partition(testHasher.Position(key))
		for id, h := range c.nodes {
			if h.keys[key] {
				with++
				require.True(t, r.Owns(id, p), "%s still has %s", id, key)
			}
		}
		if owners := len(r.At(p).Owners); i%3 == 0 || !all {
			require.Positive(t, with, key)
		} else {
			require.GreaterOrEqual(t, with, owners/2+1, key)
		}
	}
}

func (c *town) ids(from, to int) (out []Member) {
	for i := from; i < to; i++ {
		out = append(out, Member{ID: transport.NodeID(fmt.Sprintf("n%02d", i)), Weight: 1})
	}
	return out
}

func (c *town) begin(t *testing.T, members []Member, r *Ring, change func(*Keeper)) {
	for _, m := range members {
		h := c.open(t, m.ID, change)
		if r != nil {
			require.NoError(t, h.Adopt(r))
		}
	}
}

func (c *town) close() {
	for _, h := range c.nodes {
		h.stop()
	}
}

// The operator tells one node about a change; all else goes by itself.
func TestKeepersCarryOutChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &town{net: mem.Network{Refuse: true}}
		r := newRing(t, 64, 3, c.ids(0, 5))
		c.begin(t, c.ids(0, 5), r, nil)
		c.begin(t, c.ids(5, 8), nil, nil)
		c.fill(r, 300)
		require.Equal(t, quorum.Placement{Version: math.MaxUint64}, c.nodes["n05"].Place("key1"))
		require.Empty(t, c.nodes["n05"].Shared("n00"))
		for i, to := range [][]Member{c.ids(0, 8), c.ids(2, 8), c.ids(2, 7)} {
			require.NoError(t, c.nodes["n03"].Adopt(change(t, r, to, 0)))
			r = c.settled(t, uint64(2*i+3))
			c.requireHeld(t, r, 300, true)
			require.Equal(t, settle(t, change(t, r, to, 0)).Members(), r.Members())
		}
		require.Empty(t, c.nodes["n00"].keys)
		require.Equal(t, r.Shared("n02", "n03"), c.nodes["n02"].Shared("n03"))
		require.Positive(t, c.nodes["n00"].Stats().Transfers)
		c.close()
	})
}

// Nodes are stopped and come back at any moment, some transfers fail, and one old owner is
// gone for good.
func TestKeepersGoOnAfterCrashes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &town{net: mem.Network{Refuse: true, Seed: 3, Link: mem.Link{Loss: 0.05, Latency: 200 * time.Millisecond}}}
		r := newRing(t, 64, 3, c.ids(0, 5))
		c.begin(t, c.ids(0, 5), r, nil)
		c.begin(t, c.ids(5, 7), nil, nil)
		c.fill(r, 300)
		c.nodes["n05"].fails["n02"] = true
		next := change(t, r, c.ids(1, 7), 0)
		require.NoError(t, c.nodes["n02"].Adopt(next))
		for i := range 30 {
			time.Sleep(700 * time.Millisecond)
			id := transport.NodeID(fmt.Sprintf("n%02d", i%7))
			c.nodes[id].stop()
			c.net.Down(id)
			time.Sleep(time.Second)
			c.open(t, id, nil)
			c.locked(func() { require.NotNil(t, c.nodes[id].saved) })
		}
		c.requireHeld(t, c.settled(t, 3), 300, true)
		c.close()
	})
}

func TestAChangeWaitsForItsMembersAndCanBeAborted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &town{net: mem.Network{Refuse: true}}
		r := newRing(t, 16, 3, c.ids(0, 3))
		c.begin(t, c.ids(0, 3), r, nil)
		c.fill(r, 50)
		joint := change(t, r, c.ids(0, 4), 0) // n03 is not there
		a := c.nodes["n00"]
		require.NoError(t, a.Adopt(joint))
		require.NoError(t, a.Adopt(joint), "twice is once")
		time.Sleep(time.Minute)
		synctest.Wait()
		for _, h := range c.nodes {
			require.True(t, h.Stats().Changing)
		}
		require.ErrorIs(t, a.Adopt(settle(t, joint)), ErrEarly)
		require.ErrorIs(t, a.Adopt(r), ErrOld)
		abort, err := joint.Abort()
		require.NoError(t, err)
		require.ErrorIs(t, a.Adopt(abort), ErrTooLate, "it has said that it is done")

		d := c.open(t, "n03", nil)
		c.locked(func() {
			for _, m := range c.ids(0, 3) {
				d.fails[m.ID] = true
			}
		})
		require.NoError(t, d.Refresh(t.Context(), "n00"))
		require.NoError(t, d.Adopt(abort), "it takes part and is not done")
		c.locked(func() { clear(d.fails) })
		c.settled(t, 3)
		for _, h := range c.nodes {
			require.Equal(t, abort.Fingerprint(), h.Ring().Fingerprint())
		}
		require.ErrorIs(t, a.Adopt(change(t, changed(t, abort, c.ids(0, 2), 0), c.ids(0, 3), 0)), ErrSkips)
		c.close()
	})
}

// A node that comes to have what it does not hold, by a hint or by a write that was late, hands that over too.
func TestStraysAreHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &town{net: mem.Network{Refuse: true}}
		r := newRing(t, 16, 2, c.ids(0, 5))
		c.begin(t, c.ids(0, 5), r, nil)
		c.settled(t, 1)
		for time := range 2 { // the second time in partitions that were handed over before
			c.stray(t, r, fmt.Sprint("stray", time))
		}
		c.close()
	})
}

func (c *town) stray(t *testing.T, r *Ring, name string) {
	c.locked(func() {
		for i := range 100 {
			c.nodes["n00"].keys[fmt.Sprint(name, i)] = true
		}
	})
	time.Sleep(10 * straysEvery * time.Second)
	c.settled(t, 1)
	for i := range 100 {
		key := fmt.Sprint(name, i)
		p := r.Partition(testHasher.Position(key))
		for id, h := range c.nodes {
			if !r.Owns(id, p) {
				require.False(t, h.keys[key], "%s at %s", key, id)
			}
		}
		require.True(t, slices.ContainsFunc(r.At(p).Owners, func(id transport.NodeID) bool { return c.nodes[id].keys[key] }), key)
	}
}

// What comes to a partition while it is being discarded is not lost with it.
func TestWhatComesDuringAHandoverStaysAndIsHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &town{net: mem.Network{Refuse: true}}
		r := newRing(t, 16, 2, c.ids(0, 4))
		c.begin(t, c.ids(0, 5), r, nil)
		c.settled(t, 1)
		c.fill(r, 200)
		h, late := c.nodes["n00"], 0
		h.Store.(*shelf).meanwhile = func() {
			c.locked(func() {
				if late < 3 {
					late++
					h.keys[fmt.Sprint("late", late)] = true
				}
			})
		}
		require.NoError(t, h.Adopt(change(t, r, c.ids(1, 5), 0)))
		c.settled(t, 3)
		time.Sleep(3 * straysEvery * time.Second)
		settled := c.settled(t, 3)
		require.Equal(t, 3, late)
		c.locked(func() {
			require.Empty(t, h.keys)
			for i := range late {
				key := fmt.Sprint("late", i+1)
				require.True(t, slices.ContainsFunc(settled.Place(testHasher.Position(key)).Owners, func(id transport.NodeID) bool { return c.nodes[id].keys[key] }), key)
			}
		})
		c.close()
	})
}

func TestTwoRingsOfOneEpochAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &town{net: mem.Network{Refuse: true}}
		r := newRing(t, 16, 2, c.ids(0, 4))
		met := make(chan *ConflictError, 1000)
		c.begin(t, c.ids(0, 4), r, func(k *Keeper) { k.Events.OnConflict = func(e *ConflictError) { met <- e } })
		c.net.Partition([]transport.NodeID{"n00", "n01"}, []transport.NodeID{"n02", "n03"})
		require.NoError(t, c.nodes["n00"].Adopt(change(t, r, c.ids(0, 5), 0)))
		require.NoError(t, c.nodes["n03"].Adopt(change(t, r, c.ids(0, 6), 0)))
		c.net.Heal()
		e := <-met
		require.EqualValues(t, 2, e.Epoch)
		require.NotEqual(t, e.Own, e.Theirs)
		time.Sleep(time.Minute)
		for _, h := range c.nodes {
			require.EqualValues(t, 2, h.Ring().Epoch())
		}
		c.close()
	})
}

// What could not be saved did not happen.
func TestARingThatIsNotSavedIsNotAdopted(t *testing.T) {
	full := errors.New("disk is full")
	k := &Keeper{Self: "n0000", Hasher: testHasher, Save: func([]byte) error { return full }}
	require.ErrorIs(t, k.Adopt(newRing(t, 4, 1, fleet(1, 1))), full)
	require.Nil(t, k.Ring())
	require.EqualValues(t, uint64(math.MaxUint64), k.Place("x").Version)
	require.ErrorIs(t, k.Run(t.Context()), errNoCaller)
}

// Callbacks may call what they are called by: no lock is held.
func TestTrap30_KeepersHoldNoLockDuringCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &town{net: mem.Network{Refuse: true}}
		calls := make(map[string]int)
		r := newRing(t, 16, 2, c.ids(0, 3))
		look := func(k *Keeper, what string) {
			c.locked(func() { calls[what]++ })
			k.Stats()
			k.Place("key")
			_, _ = k.Handler().ServeCall(t.Context(), "x", MethodState, appendRequest(nil, State{}))
		}
		adopt := func(k *Keeper) {
			// Another goroutine may adopt a later ring between the two calls.
			if err := k.Adopt(k.Ring()); err != nil {
				require.ErrorIs(t, err, ErrOld)
			}
		}
		c.begin(t, c.ids(0, 4), r, func(k *Keeper) {
			k.Events = Events{
				OnAdopt:    func(r *Ring) { look(k, "adopt"); adopt(k) },
				OnTransfer: func(TransferEvent) { look(k, "transfer"); adopt(k) },
				OnDrop:     func(e DropEvent) { look(k, "drop"); require.NoError(t, e.Err) },
			}
			save := k.Save
			k.Save = func(b []byte) error { look(k, "save"); return save(b) }
			k.Store.(*shelf).meanwhile = func() { look(k, "dropping") }
		})
		require.NoError(t, c.nodes["n00"].Adopt(change(t, r, c.ids(1, 4), 0)))
		c.settled(t, 3)
		for _, what := range []string{"adopt", "transfer", "drop", "save", "dropping"} {
			require.Positive(t, calls[what], what)
		}
		c.close()
	})
}
