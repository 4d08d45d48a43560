package simulation

import (
	"fmt"
	"iter"
	"slices"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// This file is the runs in which identities are retired. What departed replicas left
// passes to an heir then, and states change that the model of all others follows byte by
// byte. So these runs have keys of their own: sets to which every element is added once,
// so that what must be in is known from who did what, and a counter. What is checked of
// them is what is there at rest, and that no state names who was retired.

// heritage is what clients did in such a run.
type heritage struct {
	elements []*element
	removed  map[string][]*node // by element: where
	counted  map[*node]int64
	lost     map[*node]bool // its store was emptied: what only it had may be gone
	departed []vclock.ReplicaID
}

// An element is added once, by one node.
type element struct {
	key, name string
	by        *node
}

var plainKeys = [...]string{"x", "y", "z", "c"} // of which the last is the counter

func newHeritage() *heritage {
	return &heritage{removed: make(map[string][]*node), counted: make(map[*node]int64), lost: make(map[*node]bool)}
}

// operateHeritage is one thing that a client does.
func (r *run) operateHeritage(n *node) {
	h := r.heritage
	key := plainKeys[r.clients.IntN(len(plainKeys))]
	var delta []byte
	var err error
	switch p := r.clients.Float64(); {
	case key == "c":
		h.counted[n]++
		r.did("heritage counted")
		delta, err = encoded(store.Update(n.replica.store, key, func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter { return c.Add(by.Replica, 1) }))
	case p < 0.6:
		e := &element{key, fmt.Sprint("e", len(h.elements)), n}
		h.elements = append(h.elements, e)
		r.did("heritage added")
		delta, err = encoded(store.Update(n.replica.store, key, func(s *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] { return s.Add(by.Replica, e.name) }))
	case p < 0.7:
		for _, e := range n.replica.shown(key) {
			h.removed[e] = append(h.removed[e], n)
		}
		r.did("heritage deleted")
		delta, err = encoded(n.replica.store.Delete(key))
	default:
		all := n.replica.shown(key)
		if len(all) == 0 {
			return
		}
		e := all[r.clients.IntN(len(all))]
		h.removed[e] = append(h.removed[e], n)
		r.did("heritage removed")
		delta, err = encoded(store.Update(n.replica.store, key, func(s *crdt.ORSet[string], _ store.Writer) *crdt.ORSet[string] { return s.Remove(e) }))
	}
	if n.replica.fell(err) {
		return
	}
	if err != nil {
		r.fail(errorUnexplained, key, "at %s: %v", n.id, err)
	}
	if len(delta) > 0 {
		r.counts.Updates++
		n.repl.put(key, delta, "")
	}
}

// shown is the elements of a key at a replica, in order.
func (p *replica) shown(key string) (elements []string) {
	_, err := store.View(p.store, key, func(s *crdt.ORSet[string]) { elements = slices.Sorted(s.All()) })
	if err != nil {
		p.run.fail(errorUnexplained, key, "view: %v", err)
	}
	return elements
}

// holdsHeritage reports whether o has all that n has, as far as that can be told: where
// both are of one generation.
func (r *run) holdsHeritage(o, n *node) bool {
	if o.replica.Generation() != n.replica.Generation() || !o.replica.ready() {
		return false
	}
	for _, key := range plainKeys {
		theirs, err := o.replica.store.Load(r.ctx, key)
		mine, err0 := n.replica.store.Load(r.ctx, key)
		both, err1 := o.replica.store.Join(theirs, mine)
		if err != nil || err0 != nil || err1 != nil || string(both) != string(theirs) {
			return false
		}
	}
	return true
}

// emptiedHeritage takes note of a store that was emptied.
func (p *replica) emptiedHeritage(aside iter.Seq2[string, []byte]) {
	p.run.heritage.lost[p.node] = true
	for range aside {
		p.run.did("heritage set aside")
	}
}

// depart has all that a node called itself until now be retired. Others have all that it
// wrote.
func (r *run) depart(n *node) {
	if !r.plan.retires {
		return
	}
	for _, id := range n.replica.identities {
		if !slices.Contains(r.heritage.departed, id) {
			r.heritage.departed = append(r.heritage.departed, id)
		}
	}
	r.retire()
}

// retire tells the one who proposes who has departed. To tell it again does no harm.
func (r *run) retire() {
	for _, n := range r.nodes {
		if r.member(n) && n.id == slices.Min(r.epochs[len(r.epochs)-1].Members) {
			n.replica.store.Retire(r.heritage.departed...)
		}
	}
}

// unretired finds a key in which a node still names one that was retired, "" if there is
// none. It asks for what is left to be retired, too.
func (r *run) unretired(n *node) string {
	for _, key := range plainKeys {
		state, err := n.replica.store.Load(r.ctx, key)
		v, bad := n.replica.store.Decode(state)
		if err != nil || bad != nil {
			r.fail(errorUnexplained, key, "load: %v, %v", err, bad)
			return ""
		}
		for _, seen := range v.Contexts().All() {
			if slices.ContainsFunc(r.heritage.departed, func(id vclock.ReplicaID) bool { return seen.Max(id) > 0 }) {
				r.retire()
				return key
			}
		}
	}
	return ""
}

// checkHeritage compares a node at rest with what clients did.
func (r *run) checkHeritage(n *node) {
	h := r.heritage
	for _, e := range h.elements {
		in := slices.Contains(n.replica.shown(e.key), e.name)
		out, unsure := len(h.removed[e.name]) > 0, h.lost[e.by]
		for _, by := range h.removed[e.name] {
			unsure = unsure || h.lost[by]
		}
		if in == out && !unsure {
			r.fail(modelDiffers, e.key, "%s at %s: in: %v, removed: %v", e.name, n.id, in, out)
		}
	}
	var least, most, got int64
	for by, times := range h.counted {
		most += times
		if !h.lost[by] {
			least += times
		}
	}
	if _, err := store.View(n.replica.store, "c", func(c *crdt.PNCounter) { got = c.Value() }); err != nil || got < least || got > most {
		r.fail(modelDiffers, "c", "%d at %s, %d to %d were counted, %v", got, n.id, least, most, err)
	}
}
