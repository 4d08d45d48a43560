package simulation

import (
	"fmt"
	"strconv"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

func growCounter(r *run, n *node, l *ledger) (c change) {
	amount := 1 + r.clients.Int64N(5)
	c.name, c.detail = "gcounter add", strconv.FormatInt(amount, 10)
	var writer vclock.ReplicaID
	c.delta, c.err = encoded(store.Update(n.replica.store, l.key, func(v *crdt.GCounter, by store.Writer) *crdt.GCounter {
		writer = by.Replica
		return v.Add(by.Replica, uint64(amount))
	}))
	c.effect = l.increment(gcounter, writer, amount)
	return c
}

func changeCounter(r *run, n *node, l *ledger) (c change) {
	amount := 1 + r.clients.Int64N(5)
	c.name = "pncounter add"
	if r.clients.chance(0.4) {
		c.name, amount = "pncounter take", -amount
	}
	c.detail = strconv.FormatInt(amount, 10)
	var writer vclock.ReplicaID
	c.delta, c.err = encoded(store.Update(n.replica.store, l.key, func(v *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
		writer = by.Replica
		return v.Add(by.Replica, amount)
	}))
	c.effect = l.increment(pncounter, writer, amount)
	return c
}

// increment is the effect of counting on: the delta tells of what the writer counted
// before, too.
func (l *ledger) increment(c component, writer vclock.ReplicaID, amount int64) shadow {
	id := l.chain(chain{writer, c, amount < 0}, mark{component: c, amount: amount})
	return shadow{seen: l.withEarlier(bit(id))}
}

func raiseMax(r *run, n *node, l *ledger) (c change) {
	value := r.clients.Int64N(40)
	c.name, c.detail = "max set", strconv.FormatInt(value, 10)
	c.delta, c.err = encoded(store.Update(n.replica.store, l.key, func(v *crdt.MaxRegister[int64], _ store.Writer) *crdt.MaxRegister[int64] {
		return v.Set(value)
	}))
	return n.moved(l, c, maxRegister, value)
}

func lowerMin(r *run, n *node, l *ledger) (c change) {
	value := r.clients.Int64N(40)
	c.name, c.detail = "min set", strconv.FormatInt(value, 10)
	c.delta, c.err = encoded(store.Update(n.replica.store, l.key, func(v *crdt.MinRegister[int64], _ store.Writer) *crdt.MinRegister[int64] {
		return v.Set(value)
	}))
	return n.moved(l, c, minRegister, value)
}

// moved is the effect of a value on an extreme. It is one mark, whoever wrote it.
func (n *node) moved(l *ledger, c change, k component, value int64) change {
	id := l.fact(fact{component: k, text: fmt.Sprint(value)}, func() int {
		return l.rank(mark{component: k, amount: value})
	})
	c.effect = l.news(n.replica.shadows[l.index], id)
	return c
}
