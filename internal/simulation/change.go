package simulation

import (
	"cmp"
	"errors"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// A change is one local update: what it did by the store and by the model.
type change struct {
	name    string // what clients did, in words that are counted
	detail  string
	delta   []byte
	effect  shadow
	refused bool // the type said no, as the model says it must
	err     error
}

func (c change) String() string { return c.name + " " + c.detail }

// a changer applies one random change of one kind at a node.
type changer func(r *run, n *node, l *ledger) change

func (r *run) change(n *node, l *ledger) change {
	c := l.chooseKind(r.clients)
	switch {
	case r.clients.chance(r.plan.deletes()):
		return deleteKey(n, l)
	case !c.grows() && r.clients.chance(0.06):
		return resetKind(n, l, c)
	}
	return datatypes[c].change(r, n, l)
}

// chooseKind prefers the kind that was changed last: that is how clients meet.
func (l *ledger) chooseKind(s source) component {
	if !s.chance(0.6) {
		l.last = l.kinds[s.IntN(len(l.kinds))]
	}
	return l.last
}

// explainChange checks that an update failed because the key cannot be deleted.
func (r *run) explainChange(n *node, l *ledger, c change) {
	if errors.Is(c.err, crdt.ErrGrowOnly) && n.replica.keepsForEver(l) {
		r.did("delete, refused")
		return
	}
	r.fail(errorUnexplained, l.key, "%v at %s: %v", c, n.id, c.err)
}

// writer is the identity under which a replica writes to a key.
func (p *replica) writer(l *ledger) (id vclock.ReplicaID) {
	if !p.ready() {
		return cmp.Or(p.writers[l], p.identities[len(p.identities)-1])
	}
	_, err := store.Update(p.store, l.key, func(_ *crdt.GCounter, by store.Writer) *crdt.GCounter {
		id = by.Replica
		return nil
	})
	if err != nil {
		p.run.fail(errorUnexplained, l.key, "writer: %v", err)
	}
	p.writers[l] = id
	return id
}

// live is the marks of one component that show at this replica.
func (p *replica) live(l *ledger, c component) bitset {
	return p.shadows[l.index].live().intersect(l.of[c])
}

// liveWhere is those of them that a condition holds for.
func (p *replica) liveWhere(l *ledger, c component, holds func(m *mark) bool) (marks bitset) {
	for id := range p.live(l, c).all() {
		if holds(&l.marks[id]) {
			marks = marks.with(id)
		}
	}
	return marks
}

// shows reports whether a component has anything to show at this replica.
func (p *replica) shows(l *ledger, c component) bool {
	return datatypes[c].specify(l, p.live(l, c)) != ""
}

// keepsForEver reports whether the key holds something that only grows.
func (p *replica) keepsForEver(l *ledger) bool {
	for c := range component(components) {
		if c.grows() && p.shows(l, c) {
			return true
		}
	}
	return false
}

const deletion = "delete"

// deleteKey resets all that a key holds, unless that has nothing to show as it is.
func deleteKey(n *node, l *ledger) (c change) {
	c.name = deletion
	shown := false
	for k := range component(components) {
		shown = shown || n.replica.shows(l, k)
		if !k.grows() {
			c.effect = c.effect.union(datatypes[k].undone(l, n.replica.live(l, k)))
		}
	}
	if !shown {
		c.effect = shadow{}
	}
	c.delta, c.err = encoded(n.replica.store.Delete(l.key))
	return c
}

// resetKind takes one component back to nothing and leaves the others.
func resetKind(n *node, l *ledger, k component) (c change) {
	c.name = k.String() + " reset"
	c.effect = datatypes[k].undone(l, n.replica.live(l, k))
	c.delta, c.err = datatypes[k].reset(n.replica.store, l.key)
	return c
}

// takeAway is what a reset does to most types: it ends what is live.
func takeAway(l *ledger, live bitset) shadow { return removal(l.withEarlier(live)) }

// takeAwayAdded is what it does where removals decide by their time: they stay.
func takeAwayAdded(l *ledger, live bitset) shadow {
	for id := range live.all() {
		if l.marks[id].removal {
			live = live.without(bit(id))
		}
	}
	return removal(live)
}

// eventful is a type with a causal context.
type eventful[P any] interface {
	crdt.State[P]
	Context() *vclock.Context
}

// mint updates one component and records the dots that the delta has minted: those
// that were not known before.
func mint[P eventful[P]](n *node, l *ledger, c component, write func(v P, by store.Writer) P) ([]byte, error) {
	return mintOver(n, l, c, nil, write)
}

// mintOver is mint for a write over what is known elsewhere, too.
func mintOver[P eventful[P]](n *node, l *ledger, c component, known *vclock.Context, write func(v P, by store.Writer) P) ([]byte, error) {
	return encoded(store.Update(n.replica.store, l.key, func(v P, by store.Writer) P {
		before := v.Context()
		before.Merge(known)
		delta := write(v, by)
		n.replica.run.minted(l, c, delta.Context(), before)
		return delta
	}))
}

func (r *run) minted(l *ledger, c component, delta, before *vclock.Context) {
	for s := range delta.Diff(before).All() {
		for seq := s.Lo; seq <= s.Hi; seq++ {
			r.issue(issue{key: l.key, component: c, dot: vclock.Dot{Replica: s.Replica, Seq: seq}})
		}
	}
}

// did counts what clients do and what comes of it.
func (r *run) did(what string) { r.counts.Did[what]++ }

// encoded is the encoding of a change, as it is sent.
func encoded(d store.Delta, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return d.Bytes()
}
