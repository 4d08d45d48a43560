package simulation

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// A deed is what one writer did with a bounded counter.
type deed struct {
	verb  verb
	n     int64
	by    vclock.ReplicaID
	to    vclock.ReplicaID // of a transfer
	known bitset           // the transfers to by that had arrived when it did this
}

type verb uint8

const (
	increment verb = 1 + iota
	spend
	transfer
	request
)

func (v verb) String() string { return [...]string{"", "increment", "spend", "transfer", "request"}[v] }

// An account is what one replica may spend, and what it waits for.
type account struct {
	of           vclock.ReplicaID
	rights, open int64
}

// account reckons up what a state says of one replica: it had what it added and what
// was transferred to it, and spent what it took away and what it transferred. Its
// last request is open as far as nothing has arrived for it since.
func (l *ledger) account(of vclock.ReplicaID, seen, proven bitset) account {
	a, asked := account{of: of}, (*mark)(nil)
	for id := range seen.intersect(l.of[bounded]).all() {
		switch m := &l.marks[id]; {
		case m.by != of:
		case m.verb == increment:
			a.rights += m.n
		case m.verb == spend:
			a.rights -= m.n
		case m.verb == request:
			asked, a.open = m, m.n
		}
	}
	for id := range proven.all() {
		m := &l.marks[id]
		if m.by == of {
			a.rights -= m.n
		}
		if m.to == of {
			a.rights += m.n
			if asked != nil && !asked.known.has(id) {
				a.open -= m.n
			}
		}
	}
	return account{of, max(0, a.rights), max(0, a.open)}
}

// proven is the transfers that a state tells of: those that it has seen, and those
// that had arrived where something it has seen was done. What was spent may be of the
// latter.
func (l *ledger) proven(seen bitset) (transfers bitset) {
	for id := range seen.intersect(l.of[bounded]).all() {
		m := &l.marks[id]
		transfers = transfers.union(m.known)
		if m.verb == transfer {
			transfers = transfers.with(id)
		}
	}
	return transfers
}

// specifyBounded: the value is all rights together, so rights are conserved, and none
// are below zero.
func specifyBounded(l *ledger, live bitset) string {
	if len(live) == 0 {
		return ""
	}
	var value int64
	var b strings.Builder
	proven := l.proven(live)
	for _, of := range l.parties {
		a := l.account(of, live, proven)
		value += a.rights
		writeAccount(&b, a)
	}
	return fmt.Sprint(value, b.String())
}

func writeAccount(b *strings.Builder, a account) {
	if a.rights > 0 || a.open > 0 {
		fmt.Fprintf(b, " %v:%d", a.of, a.rights)
	}
	if a.open > 0 {
		fmt.Fprintf(b, "+%d", a.open)
	}
}

var readBounded = read(func(c *crdt.BoundedCounter, l *ledger) string {
	open := make(map[vclock.ReplicaID]int64)
	for of, n := range c.Requests() {
		open[of] = int64(n)
	}
	var b strings.Builder
	for _, of := range l.parties {
		writeAccount(&b, account{of, int64(c.Rights(of)), open[of]})
	}
	return fmt.Sprint(c.Value(), b.String())
})

// remarkBounded: a state may rely on a transfer that it has not seen.
func remarkBounded(l *ledger, s shadow) string {
	if !s.seen.contains(l.proven(s.seen)) {
		return "tells of a transfer that it lacks"
	}
	return ""
}

// changeBounded does something on behalf of the node's own identity, and compares
// what the type says to it with what the model does. Who has rights often grants some,
// who has none often asks for some.
func changeBounded(r *run, n *node, l *ledger) change {
	d := deed{n: 1 + r.clients.Int64N(6), by: n.replica.writer(l)}
	mine, other := n.replica.account(l, d.by), r.other(n, l)
	grants := other.open > 0 && mine.rights > 0 && r.clients.chance(0.4)
	asks := mine.rights == 0 && r.clients.chance(0.25)
	switch p := r.clients.Float64(); {
	case grants || p < 0.05:
		d.verb, d.to = transfer, other.of
		return n.grant(l, d)
	case asks || p < 0.15:
		d.verb, d.n = request, r.clients.Int64N(5)
		return n.request(l, d)
	case p < 0.4:
		d.verb, d.n = increment, 1+r.clients.Int64N(40)
		return n.add(l, d)
	case p < 0.55:
		d.verb, d.to = transfer, other.of
		return n.spend(l, d, func(c *crdt.BoundedCounter) (*crdt.BoundedCounter, error) {
			return c.Transfer(d.by, d.to, uint64(d.n))
		})
	}
	d.verb = spend
	return n.spend(l, d, func(c *crdt.BoundedCounter) (*crdt.BoundedCounter, error) {
		return c.Decrement(d.by, uint64(d.n))
	})
}

// other is some replica, rather one that waits for rights.
func (r *run) other(n *node, l *ledger) (a account) {
	for range 3 {
		a = n.replica.account(l, r.nodes[r.clients.IntN(len(r.nodes))].replica.writer(l))
		if a.open > 0 {
			return a
		}
	}
	return a
}

// account is what this node's replica knows of some identity.
func (p *replica) account(l *ledger, of vclock.ReplicaID) account {
	seen := p.shadows[l.index].seen
	return l.account(of, seen, l.proven(seen))
}

func (n *node) add(l *ledger, d deed) change {
	c := change{name: "bounded increment", detail: fmt.Sprint(d.n)}
	c.delta, c.err = n.row(l, func(v *crdt.BoundedCounter) *crdt.BoundedCounter {
		return v.Increment(d.by, uint64(d.n))
	})
	c.effect = n.done(l, d)
	return c
}

// spend takes something away or transfers it, which is refused where rights are
// lacking; a transfer to oneself is nothing.
func (n *node) spend(l *ledger, d deed, do func(*crdt.BoundedCounter) (*crdt.BoundedCounter, error)) change {
	c := change{name: "bounded " + d.verb.String(), detail: fmt.Sprintf("%d to %v", d.n, d.to)}
	have := n.replica.account(l, d.by).rights
	var err error
	c.delta, c.err = n.row(l, func(v *crdt.BoundedCounter) (delta *crdt.BoundedCounter) {
		delta, err = do(v)
		return delta
	})
	said, refused := errors.AsType[*crdt.InsufficientError](err)
	c.refused = d.to != d.by && have < d.n
	want := crdt.InsufficientError{Replica: d.by, Have: uint64(have), Want: uint64(d.n)}
	switch {
	case refused != c.refused || (err != nil) != refused || refused && *said != want:
		n.replica.run.fail(modelDiffers, l.key, "%v at %s with rights to %d: %v", c, n.id, have, err)
	case refused:
		c.name += ", refused"
	case d.to != d.by:
		c.effect = n.done(l, d)
	}
	return c
}

// request asks for rights, unless just that is open already. Asking for 0 takes the
// request back.
func (n *node) request(l *ledger, d deed) change {
	c := change{name: "bounded request", detail: fmt.Sprint(d.n)}
	if d.n == 0 {
		c.name = "bounded request, taken back"
	}
	open := n.replica.account(l, d.by).open
	c.delta, c.err = n.row(l, func(v *crdt.BoundedCounter) *crdt.BoundedCounter {
		return v.Request(d.by, uint64(d.n))
	})
	if open != d.n {
		c.effect = n.done(l, d)
	}
	return c
}

// grant transfers what another asked for, as far as it goes.
func (n *node) grant(l *ledger, d deed) change {
	c := change{name: "bounded grant", detail: fmt.Sprintf("up to %d to %v", d.n, d.to)}
	limit, granted := d.n, uint64(0)
	d.n = min(limit, n.replica.account(l, d.to).open, n.replica.account(l, d.by).rights)
	c.delta, c.err = n.row(l, func(v *crdt.BoundedCounter) (delta *crdt.BoundedCounter) {
		delta, granted = v.Grant(d.by, d.to, uint64(limit))
		return delta
	})
	if d.to == d.by {
		d.n = 0
	}
	if granted != uint64(d.n) {
		n.replica.run.fail(modelDiffers, l.key, "%v at %s: granted %d, not %d", c, n.id, granted, d.n)
	}
	if d.n > 0 {
		c.effect = n.done(l, d)
	}
	return c
}

// row updates the counter. Each time that a replica writes its row is an event.
func (n *node) row(l *ledger, write func(v *crdt.BoundedCounter) *crdt.BoundedCounter) ([]byte, error) {
	return mint(n, l, bounded, func(v *crdt.BoundedCounter, _ store.Writer) *crdt.BoundedCounter { return write(v) })
}

// done is the effect of a deed: its delta tells of all that its writer did before.
// The stock of all is reckoned without any view of it: it must never be passed.
func (n *node) done(l *ledger, d deed) shadow {
	l.meet(d.by, d.to)
	proven := l.proven(n.replica.shadows[l.index].seen)
	for id := range proven.all() {
		if l.marks[id].to == d.by {
			d.known = d.known.with(id)
		}
	}
	switch d.verb {
	case increment:
		l.stock += d.n
	case spend:
		l.stock -= d.n
	}
	if l.stock < 0 {
		n.replica.run.fail(boundPassed, l.key, "%d after %v took away %d", l.stock, d.by, d.n)
	}
	id := l.chain(chain{replica: d.by, component: bounded}, mark{component: bounded, deed: d})
	return shadow{seen: l.withEarlier(bit(id))}
}

// meet notes who has to do with the counter.
func (l *ledger) meet(ids ...vclock.ReplicaID) {
	for _, id := range ids {
		if i, known := slices.BinarySearchFunc(l.parties, id, vclock.ReplicaID.Compare); !known && !id.IsZero() {
			l.parties = slices.Insert(l.parties, i, id)
		}
	}
}

// checkStock checks a replica at rest against what was added and taken away anywhere:
// that is the value, and all rights together. What was done at a replica that has lost it since, or has fallen in the
// middle, may not be there.
func (r *run) checkStock(l *ledger, n *node, state []byte) {
	_, value := unseal(state)
	v, err := r.kinds.Decode(value)
	if err != nil {
		return // found when the state was bound
	}
	c, ok := crdt.Component[*crdt.BoundedCounter](r.kinds, v)
	if !ok {
		return
	}
	var rights int64
	for _, of := range l.parties {
		rights += int64(c.Rights(of))
	}
	stock := l.stock
	if r.plan.disks {
		stock = l.stockOf(n.replica.knows(l).seen)
	}
	if value := int64(c.Value()); value != stock || rights != stock {
		r.fail(boundPassed, l.key, "%s has %d and rights to %d, and there are %d", n.id, value, rights, stock)
	}
}

// stockOf is what some deeds come to.
func (l *ledger) stockOf(seen bitset) (stock int64) {
	for id := range seen.intersect(l.of[bounded]).all() {
		switch m := &l.marks[id]; m.verb {
		case increment:
			stock += m.n
		case spend:
			stock -= m.n
		}
	}
	return stock
}
