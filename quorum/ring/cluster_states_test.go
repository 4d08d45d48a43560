package ring_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/vclock"
)

// ways are those in which a write comes to owners that missed it, without any anti-entropy. By either alone
// all owners have all of it.
var ways = map[string]bool{"by repairs": true, "by hints": false}

// brought has all owners have what was written, in one of the ways.
func (c *cluster) brought(repaired bool, keys ...string) {
	if !repaired {
		c.eventually("hints are delivered", func() bool { return c.hinted() == 0 })
		return
	}
	for _, key := range keys {
		c.eventually("a read of all", func() bool {
			res, err := c.nodes["n0"].coord.Read(c.ctx, key, quorum.ReadOptions{Level: quorum.All})
			return err == nil && res.Found
		})
	}
}

// requireState checks that the owners of a key have this very state, byte by byte.
func (c *cluster) requireState(r *ring.Ring, key string, want []byte) {
	for _, id := range r.Place(c.nodes["n0"].store.Index().Hasher().Position(key)).Owners {
		got, err := c.nodes[id].store.Load(c.Context(), key)
		require.NoError(c, err)
		require.Equal(c, want, got, "%s at %s", key, id)
	}
}

// Forty clients write to one cart, take out what others have put in, and forget none of it. Owners are
// away in turn. Whatever the way in which they get what they missed, all have all of every client's events, those of
// what was taken out too; and so have those who follow a member that leaves.
func TestTrap16_RepairAndHintsKeepClocksWhole(t *testing.T) {
	const key = "cart"
	for way, repaired := range ways {
		t.Run(way, func(t *testing.T) {
			inBubbles(t, 4, quick, func(c *cluster, seed uint64) {
				c.quiet, c.forgetful = true, repaired
				r := c.settle(5, 3)
				rng := rand.New(rand.NewPCG(seed, 0))
				clients, all := make([]*client, 40), store.New(store.Config{})
				for i := range clients {
					clients[i] = newClient(fmt.Sprint("client", i))
				}
				for i := range 200 {
					delta := c.shop(clients, rng, key, fmt.Sprint(i))
					_, err := all.Merge(c.ctx, key, delta)
					require.NoError(c, err)
					c.missed(rng, key, delta, repaired)
				}
				c.brought(repaired, key)
				want, err := all.Load(c.ctx, key)
				require.NoError(c, err)
				c.requireState(r, key, want)
				for _, w := range clients {
					require.True(c, c.cart(want).Context().Contains(w.cart(key).Context()), w.name)
				}

				gone := r.Place(all.Index().Hasher().Position(key)).Owners[0]
				next, err := r.Change(slices.DeleteFunc(r.Members(), func(m ring.Member) bool { return m.ID == gone }), 0)
				require.NoError(c, err)
				require.NoError(c, c.nodes[gone].ring.Adopt(next))
				c.eventually("one has left", func() bool { return c.settled(3, members(0, 5)) })
				require.Zero(c, c.nodes[gone].store.Len())
				c.requireState(c.nodes[gone].ring.Ring(), key, want)
			})
		})
	}
}

// shop has one of some clients put something into a cart, or take something out.
func (c *cluster) shop(clients []*client, rng *rand.Rand, key, element string) []byte {
	w := clients[rng.IntN(len(clients))]
	switch s := w.cart(key); rng.IntN(4) {
	case 0: // it sees what another one sees
		s.Merge(clients[rng.IntN(len(clients))].cart(key).Clone())
		fallthrough
	case 1:
		if in := slices.Sorted(s.All()); len(in) > 0 {
			return c.encoded(s.Remove(in[rng.IntN(len(in))]))
		}
	}
	return w.add(c, key, element)
}

// missed writes by way of any node, while two others are away: one owner has it at least, or a
// hint is kept.
func (c *cluster) missed(rng *rand.Rand, key string, delta []byte, repaired bool) {
	order := rng.Perm(5)
	name := func(i int) transport.NodeID { return transport.NodeID(fmt.Sprint("n", order[i])) }
	c.net.Down(name(0))
	c.net.Down(name(1))
	level := quorum.Any
	if repaired {
		level = quorum.One
	}
	_, err := c.nodes[name(2)].coord.Write(c.ctx, key, delta, quorum.WriteOptions{Level: level})
	require.NoError(c, err)
	time.Sleep(20 * time.Millisecond)
	c.net.Up(name(0))
	c.net.Up(name(1))
}

// A past is what was done to three keys, and what must be left of it: in the set, what nobody has taken out who
// saw it; in the register of several values, those that nobody has overwritten who saw them; in
// the register by timestamps, the last.
type past struct {
	added, removed    map[string]bool
	put, overwritten  map[string]bool
	latest            vclock.Timestamp
	last              string
	merged            *store.Store // all deltas
	sets, regs, lasts int          // of each, how many changes
}

const (
	setKey  = "set"
	regKey  = "values"
	lastKey = "last"
)

// Three owners, cut off from each other in turn, go on writing: they put in and take out, overwrite, and delete.
// Repairs and hints bring it together: nothing comes back that was taken out or overwritten, and nothing
// is lost that was written at the same time.
func TestTrap21_RepairOfStoresNeitherResurrectsNorOverwrites(t *testing.T) {
	for way, repaired := range ways {
		t.Run(way, func(t *testing.T) {
			inBubbles(t, 20, quick, func(c *cluster, seed uint64) {
				c.quiet, c.forgetful = true, repaired
				r := c.settle(3, 3)
				rng := rand.New(rand.NewPCG(seed, 0))
				p := &past{added: map[string]bool{}, removed: map[string]bool{}, put: map[string]bool{},
					overwritten: map[string]bool{}, merged: store.New(store.Config{})}
				for i := range 120 {
					n := c.nodes[transport.NodeID(fmt.Sprint("n", rng.IntN(3)))]
					switch rng.IntN(8) {
					case 0:
						c.net.Partition([]transport.NodeID{n.id})
					case 1:
						c.net.Heal()
					case 2: // may be refused
						_, _ = n.coord.Read(c.ctx, []string{setKey, regKey, lastKey}[rng.IntN(3)], quorum.ReadOptions{Level: quorum.Two})
					}
					c.step(n, p, rng, fmt.Sprint(i))
					time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond)
				}
				c.net.Heal()
				time.Sleep(10 * time.Second) // nobody is suspected any more
				c.brought(repaired, setKey, regKey, lastKey)
				for _, key := range []string{setKey, regKey, lastKey} {
					want, err := p.merged.Load(c.ctx, key)
					require.NoError(c, err)
					c.requireState(r, key, want)
				}
				for _, n := range c.nodes {
					c.requirePast(n, p)
				}
			})
		})
	}
}

// step has a node change one of the keys, and write that to the others as far as they are there.
func (c *cluster) step(n *node, p *past, rng *rand.Rand, name string) {
	change := []func(*store.Store, string) (store.Delta, error){
		p.add, p.add, p.add, p.remove, p.remove, p.remove, p.clear,
		p.overwrite, p.overwrite, p.overwrite, p.overwrite, p.follow, p.follow, p.follow, p.follow,
	}
	d, err := change[rng.IntN(len(change))](n.store, name)
	require.NoError(c, err)
	if d.IsZero() {
		return
	}
	delta, err := d.Bytes()
	require.NoError(c, err)
	_, err = p.merged.Merge(c.ctx, d.Key(), delta)
	require.NoError(c, err)
	_, err = n.coord.Write(c.ctx, d.Key(), delta, quorum.WriteOptions{Level: quorum.One, Applied: true})
	require.NoError(c, err)
}

func (p *past) add(s *store.Store, name string) (store.Delta, error) {
	p.sets++
	p.added[name] = true
	return store.Update(s, setKey, func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return s.Add(by.Replica, name)
	})
}

func (p *past) remove(s *store.Store, _ string) (store.Delta, error) {
	p.sets++
	return store.Update(s, setKey, func(s *crdt.ORSet[string], _ store.Writer) *crdt.ORSet[string] {
		in := slices.Sorted(s.All())
		in = in[:min(1, len(in))]
		p.takeOut(in)
		return s.Remove(in...)
	})
}

// clear deletes the key.
func (p *past) clear(s *store.Store, _ string) (store.Delta, error) {
	_, err := store.View(s, setKey, func(s *crdt.ORSet[string]) { p.takeOut(slices.Collect(s.All())) })
	if err != nil {
		return store.Delta{}, err
	}
	return s.Delete(setKey)
}

func (p *past) takeOut(elements []string) {
	for _, e := range elements {
		p.removed[e] = true
	}
}

func (p *past) overwrite(s *store.Store, name string) (store.Delta, error) {
	p.regs++
	p.put[name] = true
	return store.Update(s, regKey, func(m *crdt.MVRegister[string], by store.Writer) *crdt.MVRegister[string] {
		for _, v := range m.Values() {
			p.overwritten[v] = true
		}
		return m.Set(by.Replica, name)
	})
}

func (p *past) follow(s *store.Store, name string) (store.Delta, error) {
	p.lasts++
	return store.Update(s, lastKey, func(l *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
		at := by.Stamp()
		if at.Compare(p.latest) > 0 {
			p.latest, p.last = at, name
		}
		return l.Set(at, name)
	})
}

// requirePast checks what a node has left of it.
func (c *cluster) requirePast(n *node, p *past) {
	var set, values []string
	var last string
	_, err := store.View(n.store, setKey, func(s *crdt.ORSet[string]) { set = slices.Sorted(s.All()) })
	require.NoError(c, err)
	_, err = store.View(n.store, regKey, func(m *crdt.MVRegister[string]) { values = m.Values() })
	require.NoError(c, err)
	_, err = store.View(n.store, lastKey, func(l *crdt.LWWRegister[string]) { last, _ = l.Value() })
	require.NoError(c, err)
	require.ElementsMatch(c, without(p.added, p.removed), set)
	require.ElementsMatch(c, without(p.put, p.overwritten), values)
	require.Equal(c, p.last, last)
	require.Greater(c, min(p.sets, p.regs, p.lasts), 10)
}

func without(all, some map[string]bool) (left []string) {
	for e := range all {
		if !some[e] {
			left = append(left, e)
		}
	}
	return left
}
