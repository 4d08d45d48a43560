package simulation

import (
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// A change is one local update: what it did by the store and by the model.
type change struct {
	describe string
	delta    []byte
	effect   shadow
	err      error
}

// a changer applies one random change of one kind at a node.
type changer func(r *run, n *node, l *ledger) change

var changers = [components]changer{
	gcounter:  growCounter,
	pncounter: changeCounter,
	gset:      growSet,
	orset:     changeSet,
	lww:       setRegister,
	mv:        writeSiblings,
}

func (r *run) change(n *node, l *ledger) change {
	c := l.kinds[r.clients.IntN(len(l.kinds))]
	switch {
	case r.clients.chance(0.06):
		return deleteKey(n, l)
	case c != gset && r.clients.chance(0.06):
		return reset(n, l, c)
	}
	return changers[c](r, n, l)
}

// explainChange checks that an update failed because the key cannot be deleted.
func (r *run) explainChange(n *node, l *ledger, c change) {
	if errors.Is(c.err, crdt.ErrGrowOnly) && len(n.replica.live(l, gset)) > 0 {
		return
	}
	r.fail(errorUnexplained, l.key, "%s at %s: %v", c.describe, n.id, c.err)
}

// live is the marks of one component that show at this replica.
func (p *replica) live(l *ledger, c component) bitset {
	return p.shadows[l.index].live().intersect(l.of[c])
}

func growCounter(r *run, n *node, l *ledger) (c change) {
	amount := 1 + r.clients.Uint64N(5)
	c.describe = fmt.Sprintf("gcounter +%d", amount)
	c.delta, c.err = store.Update(n.replica.store, l.key, func(v *crdt.GCounter, by store.Writer) *crdt.GCounter {
		return v.Add(by.Replica, amount)
	})
	c.effect.seen = l.withEarlier(bit(l.increment(gcounter, n.replica.store.Replica(), int64(amount))))
	return c
}

func changeCounter(r *run, n *node, l *ledger) (c change) {
	amount := 1 + r.clients.Int64N(5)
	if r.clients.chance(0.4) {
		amount = -amount
	}
	c.describe = fmt.Sprintf("pncounter %+d", amount)
	c.delta, c.err = store.Update(n.replica.store, l.key, func(v *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
		return v.Add(by.Replica, amount)
	})
	c.effect.seen = l.withEarlier(bit(l.increment(pncounter, n.replica.store.Replica(), amount)))
	return c
}

func (r *run) element() string { return string(rune('a' + r.clients.IntN(5))) }

func growSet(r *run, n *node, l *ledger) (c change) {
	e := r.element()
	c.describe = "gset add " + e
	c.delta, c.err = store.Update(n.replica.store, l.key, func(v *crdt.GSet[string], _ store.Writer) *crdt.GSet[string] {
		return v.Add(e)
	})
	if id := l.member(e); !n.replica.shadows[l.index].seen.has(id) {
		c.effect.seen = bit(id)
	}
	return c
}

func changeSet(r *run, n *node, l *ledger) (c change) {
	e := r.element()
	if r.clients.chance(0.4) {
		return removeFromSet(n, l, e)
	}
	also := r.element()
	c.describe = fmt.Sprintf("orset add %s, %s", e, also)
	c.effect.gone = n.replica.additions(l, e).union(n.replica.additions(l, also))
	c.delta, c.err = store.Update(n.replica.store, l.key, func(v *crdt.ORSet[string], by store.Writer) *crdt.ORSet[string] {
		before := v.Context()
		delta := v.Add(by.Replica, e, also)
		n.replica.run.minted(l, orset, delta.Context(), before)
		return delta
	})
	c.effect.seen = c.effect.gone.with(l.add(mark{component: orset, text: e}))
	if also != e {
		c.effect.seen = c.effect.seen.with(l.add(mark{component: orset, text: also}))
	}
	return c
}

// additions is the live marks of one element of the set.
func (p *replica) additions(l *ledger, e string) (marks bitset) {
	for id := range p.live(l, orset).all() {
		if l.marks[id].text == e {
			marks = marks.with(id)
		}
	}
	return marks
}

func removeFromSet(n *node, l *ledger, e string) (c change) {
	c.describe = "orset remove " + e
	c.effect = removal(n.replica.additions(l, e))
	c.delta, c.err = store.Update(n.replica.store, l.key, func(v *crdt.ORSet[string], _ store.Writer) *crdt.ORSet[string] {
		return v.Remove(e)
	})
	return c
}

// removal is the effect of taking marks away.
func removal(marks bitset) shadow { return shadow{seen: marks, gone: marks} }

// value is a text that no other write of the key has.
func (l *ledger) value() string { return fmt.Sprintf("v%d", len(l.marks)) }

func setRegister(r *run, n *node, l *ledger) (c change) {
	m := mark{component: lww, text: l.value()}
	c.describe = "lww = " + m.text
	c.delta, c.err = store.Update(n.replica.store, l.key, func(v *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
		stamp := by.Stamp()
		delta := v.Set(stamp, m.text)
		m.stamp = delta.Timestamp()
		r.stamped(l, stamp, m.stamp)
		return delta
	})
	c.effect.seen = bit(l.add(m))
	return c
}

func writeSiblings(r *run, n *node, l *ledger) (c change) {
	m := mark{component: mv, text: l.value()}
	var since *vclock.Context
	if stale := len(l.read.contexts); stale > 0 && r.clients.chance(0.6) {
		old := l.read.contexts[r.clients.IntN(stale)]
		since, c.effect.gone = old.context, old.shadow.seen
	} else if r.clients.chance(0.7) {
		c.effect.gone = n.replica.live(l, mv)
		return writeOver(n, l, m, c, nil, (*crdt.MVRegister[string]).Set)
	}
	put := func(v *crdt.MVRegister[string], by vclock.ReplicaID, text string) *crdt.MVRegister[string] {
		return v.Put(by, since, text)
	}
	return writeOver(n, l, m, c, since, put)
}

func writeOver(n *node, l *ledger, m mark, c change, since *vclock.Context,
	write func(*crdt.MVRegister[string], vclock.ReplicaID, string) *crdt.MVRegister[string]) change {
	c.describe = fmt.Sprintf("mv = %s over %v", m.text, c.effect.gone)
	c.delta, c.err = store.Update(n.replica.store, l.key, func(v *crdt.MVRegister[string], by store.Writer) *crdt.MVRegister[string] {
		before := v.Context()
		before.Merge(since)
		delta := write(v, by.Replica, m.text)
		n.replica.run.minted(l, mv, delta.Context(), before)
		return delta
	})
	c.effect.seen = c.effect.gone.with(l.add(m))
	return c
}

// minted records the dots that a delta has and that were not known before.
func (r *run) minted(l *ledger, c component, delta, before *vclock.Context) {
	for s := range delta.Diff(before).All() {
		for seq := s.Lo; seq <= s.Hi; seq++ {
			r.issue(issue{key: l.key, component: c, dot: vclock.Dot{Replica: s.Replica, Seq: seq}})
		}
	}
}

func deleteKey(n *node, l *ledger) (c change) {
	c.describe = "delete"
	c.effect = removal(l.withEarlier(n.replica.shadows[l.index].live()))
	c.delta, c.err = n.replica.store.Delete(l.key)
	return c
}

// reset takes one component back to nothing and leaves the others.
func reset(n *node, l *ledger, k component) (c change) {
	c.describe = "reset " + k.String()
	c.effect = removal(l.withEarlier(n.replica.live(l, k)))
	s := n.replica.store
	switch k {
	case gcounter:
		c.delta, c.err = resetBy[*crdt.GCounter](s, l.key)
	case pncounter:
		c.delta, c.err = resetBy[*crdt.PNCounter](s, l.key)
	case orset:
		c.delta, c.err = resetBy[*crdt.ORSet[string]](s, l.key)
	case lww:
		c.delta, c.err = resetBy[*crdt.LWWRegister[string]](s, l.key)
	case mv:
		c.delta, c.err = resetBy[*crdt.MVRegister[string]](s, l.key)
	}
	return c
}

func resetBy[P interface {
	crdt.State[P]
	Reset() P
}](s *store.Store, key string) ([]byte, error) {
	return store.Update(s, key, func(v P, _ store.Writer) P { return v.Reset() })
}
