package simulation

import (
	"slices"
	"strings"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

func (r *run) element() string { return string(rune('a' + r.clients.IntN(5))) }

// elements is one or two of them.
func (r *run) elements() []string {
	return slices.Compact([]string{r.element(), r.element()})
}

func growSet(r *run, n *node, l *ledger) (c change) {
	elems := r.elements()
	c.name, c.detail = "gset add", strings.Join(elems, " ")
	c.delta, c.err = encoded(store.Update(n.replica.store, l.key, func(v *crdt.GSet[string], _ store.Writer) *crdt.GSet[string] {
		return v.Add(elems...)
	}))
	for _, e := range elems {
		id := l.fact(fact{component: gset, text: e}, func() int { return l.add(mark{component: gset, text: e}) })
		c.effect = c.effect.union(l.news(n.replica.shadows[l.index], id))
	}
	return c
}

// changeTwoPhase adds elements, or removes them for good, whether they are in or not.
func changeTwoPhase(r *run, n *node, l *ledger) (c change) {
	elems, write := r.elements(), (*crdt.TwoPhaseSet[string]).Add
	c.name = "2pset add"
	remove := r.clients.chance(0.25)
	if remove {
		c.name, elems, write = "2pset remove", elems[:1], (*crdt.TwoPhaseSet[string]).Remove
	}
	c.detail = strings.Join(elems, " ")
	for _, e := range elems {
		c.effect = c.effect.union(l.news(n.replica.shadows[l.index], l.phase(e, remove)))
	}
	c.delta, c.err = encoded(store.Update(n.replica.store, l.key, func(v *crdt.TwoPhaseSet[string], _ store.Writer) *crdt.TwoPhaseSet[string] {
		return write(v, elems...)
	}))
	return c
}

// phase is the mark of an element's coming, or of its removal, which displaces it.
func (l *ledger) phase(e string, removal bool) int {
	return l.fact(fact{twoPhase, e, removal}, func() int {
		return l.rank(mark{component: twoPhase, place: e, text: e, removal: removal})
	})
}

// removeForGood is what a reset does to a two-phase set.
func removeForGood(l *ledger, live bitset) (s shadow) {
	for id := range live.all() {
		if m := l.marks[id]; !m.removal {
			s.seen = s.seen.with(l.phase(m.text, true))
		}
	}
	return s
}

func changeSet(r *run, n *node, l *ledger) (c change) {
	elems := r.elements()
	if r.clients.chance(0.4) {
		return removeFromSet(n, l, elems[0])
	}
	c.name, c.detail = "orset add", strings.Join(elems, " ")
	c.effect = removal(n.replica.about(l, orset, elems))
	c.delta, c.err = mint(n, l, orset, func(v *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		return v.Add(by.Replica, elems...)
	})
	for _, e := range elems {
		c.effect.seen = c.effect.seen.with(l.add(mark{component: orset, text: e}))
	}
	return c
}

// about is the live marks of some elements of a set.
func (p *replica) about(l *ledger, c component, elems []string) bitset {
	return p.liveWhere(l, c, func(m *mark) bool { return slices.Contains(elems, m.text) })
}

func removeFromSet(n *node, l *ledger, e string) (c change) {
	c.name, c.detail = "orset remove", e
	c.effect = removal(n.replica.about(l, orset, []string{e}))
	c.delta, c.err = encoded(store.Update(n.replica.store, l.key, func(v *crdt.ORSet[string], _ store.Writer) *crdt.ORSet[string] {
		return v.Remove(e)
	}))
	return c
}

// changeRWSet adds or removes. Either is a mark of its own, and ends all marks of
// the element that are known.
func changeRWSet(r *run, n *node, l *ledger) (c change) {
	elems, write := r.elements(), (*crdt.RWSet[string]).Add
	c.name = "rwset add"
	remove := r.clients.chance(0.4)
	if remove {
		c.name, write = "rwset remove", (*crdt.RWSet[string]).Remove
	}
	c.detail = strings.Join(elems, " ")
	c.effect = removal(n.replica.about(l, rwset, elems))
	c.delta, c.err = mint(n, l, rwset, func(v *crdt.RWSet[string], by store.Writer) *crdt.RWSet[string] {
		return write(v, by.Replica, elems...)
	})
	for _, e := range elems {
		c.effect.seen = c.effect.seen.with(l.add(mark{component: rwset, text: e, removal: remove}))
	}
	return c
}

// changeLWWSet adds or removes, whether the elements are in or not: in each of them
// the latest write displaces the others.
func changeLWWSet(r *run, n *node, l *ledger) (c change) {
	elems, write := r.elements(), (*crdt.LWWSet[string]).Add
	c.name = "lwwset add"
	remove := r.clients.chance(0.4)
	if remove {
		c.name, write = "lwwset remove", (*crdt.LWWSet[string]).Remove
	}
	c.detail = strings.Join(elems, " ")
	var written []vclock.Timestamp
	c.delta, c.err = encoded(store.Update(n.replica.store, l.key, func(v *crdt.LWWSet[string], by store.Writer) *crdt.LWWSet[string] {
		stamp := by.Stamp()
		delta := write(v, stamp, elems...)
		for _, e := range elems {
			why := delta.Explain(e)
			at := why.ForAt
			if remove {
				at = why.AgainstAt
			}
			written = append(written, at)
		}
		r.stamped(l, stamp, written...)
		return delta
	}))
	for i, e := range elems {
		m := mark{component: lwwset, place: e, text: e, removal: remove, stamp: written[i]}
		c.effect.seen = c.effect.seen.with(l.rank(m))
	}
	return c
}
