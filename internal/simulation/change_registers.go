package simulation

import (
	"fmt"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// value is a text that no other write of the key has.
func (l *ledger) value() string { return fmt.Sprintf("v%d", len(l.marks)) }

func setRegister(r *run, n *node, l *ledger) (c change) {
	m := mark{component: lww, text: l.value()}
	c.name, c.detail = "lww set", m.text
	c.delta, c.err = encoded(store.Update(n.replica.store, l.key, func(v *crdt.LWWRegister[string], by store.Writer) *crdt.LWWRegister[string] {
		stamp := by.Stamp()
		delta := v.Set(stamp, m.text)
		m.stamp = delta.Timestamp()
		r.stamped(l, stamp, m.stamp)
		return delta
	}))
	c.effect.seen = bit(l.rank(m))
	return c
}

func writeSiblings(r *run, n *node, l *ledger) (c change) {
	m := mark{component: mv, text: l.value()}
	var since *vclock.Context
	if stale := len(l.read.contexts); stale > 0 && r.clients.chance(0.6) {
		old := l.read.contexts[r.clients.IntN(stale)]
		c.name = "mv put over what was read"
		since, c.effect.gone = old.context, old.shadow.seen
	} else if r.clients.chance(0.7) {
		c.name = "mv set"
		c.effect.gone = n.replica.live(l, mv)
		return writeOver(n, l, m, c, nil, (*crdt.MVRegister[string]).Set)
	} else {
		c.name = "mv put over nothing"
	}
	put := func(v *crdt.MVRegister[string], by vclock.ReplicaID, text string) *crdt.MVRegister[string] {
		return v.Put(by, since, text)
	}
	return writeOver(n, l, m, c, since, put)
}

func writeOver(n *node, l *ledger, m mark, c change, since *vclock.Context,
	write func(*crdt.MVRegister[string], vclock.ReplicaID, string) *crdt.MVRegister[string]) change {
	c.detail = fmt.Sprintf("%s over %v", m.text, c.effect.gone)
	c.delta, c.err = mintOver(n, l, mv, since, func(v *crdt.MVRegister[string], by store.Writer) *crdt.MVRegister[string] {
		return write(v, by.Replica, m.text)
	})
	c.effect.seen = c.effect.gone.with(l.add(m))
	return c
}

// changeLWWMap writes or removes a key, whether that is there or not: under each of
// them the latest write displaces the others.
func changeLWWMap(r *run, n *node, l *ledger) (c change) {
	m := mark{component: lwwmap, place: r.element(), text: l.value()}
	c.name, c.detail = "lwwmap set", m.place
	if m.removal = r.clients.chance(0.35); m.removal {
		c.name, m.text = "lwwmap remove", ""
	}
	c.delta, c.err = encoded(store.Update(n.replica.store, l.key, func(v *crdt.LWWMap[string, string], by store.Writer) (delta *crdt.LWWMap[string, string]) {
		stamp := by.Stamp()
		if m.removal {
			delta = v.Remove(stamp, m.place)
		} else {
			delta = v.Set(stamp, m.place, m.text)
		}
		m.stamp = delta.Timestamp(m.place)
		r.stamped(l, stamp, m.stamp)
		return delta
	}))
	c.effect.seen = bit(l.rank(m))
	return c
}

// appendToLog adds one entry or two.
func appendToLog(r *run, n *node, l *ledger) (c change) {
	c.name = "log append"
	texts := []string{l.value()}
	if r.clients.chance(0.3) {
		c.name = "log append of two"
		texts = append(texts, texts[0]+"b")
	}
	c.detail = texts[0]
	var written []vclock.Timestamp
	c.delta, c.err = mint(n, l, log, func(v *crdt.Log[string], by store.Writer) *crdt.Log[string] {
		stamp := by.Stamp()
		delta := v.Append(stamp, texts...)
		for at := range delta.All() {
			written = append(written, at)
		}
		r.stamped(l, stamp, written[0])
		return delta
	})
	for i, text := range texts {
		c.effect.seen = c.effect.seen.with(l.add(mark{component: log, text: text, stamp: written[i]}))
	}
	n.stampedOn(l, written)
	return c
}

// stampedOn takes note of the moments that a log has made for itself, after the one
// that it was given: each is later than the one before, and whatever the clock makes
// from now on must be later than all of them.
func (n *node) stampedOn(l *ledger, written []vclock.Timestamp) {
	r := n.replica.run
	for _, at := range written[1:] {
		if last := r.stamps[at.Replica]; at.Compare(last) <= 0 {
			r.fail(stampWrong, l.key, "%v after %v", at, last)
		}
		r.stamps[at.Replica] = at
	}
}
