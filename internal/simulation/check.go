package simulation

import (
	"bytes"
	"slices"
	"time"

	"github.com/eventual-go/eventual/crdt"
)

// acknowledged checks that a write is where its level says, and remembers that
// reads must find it.
func (r *run) acknowledged(w *write) {
	w.acked, w.ackedAt = true, r.now
	r.counts.Acknowledged++
	if have := r.holders(w.ledger, w.effect, w.started); have < w.needed {
		r.fail(ackedByFew, w.ledger.key, "%s: %d of %d needed replicas have it", w.describe, have, w.needed)
	}
}

// holders counts the replicas that have s. One that lost its disk after since may
// have had it when it was asked.
func (r *run) holders(l *ledger, s shadow, since time.Duration) (n int) {
	for _, o := range r.owners() {
		if o.replica.has(l, s) || o.lacksSince(since) {
			n++
		}
	}
	return n
}

// An expectation is what a read must find, taken when it begins.
type expectation struct {
	ledger  *ledger
	needed  int
	started time.Duration
	writes  []*write  // acknowledged
	held    [][]*node // the owners that have each of them, where owners may lose what they have
	earlier shadow    // answered by earlier reads that must meet it
	state   []byte
}

func (r *run) expectation(l *ledger, needed int) expectation {
	e := expectation{ledger: l, needed: needed, started: r.now}
	for _, w := range r.writes {
		if w.ledger == l && w.acked {
			e.writes = append(e.writes, w)
		}
	}
	if 2*needed > len(r.owners()) {
		e.earlier, e.state = l.read.majority, l.read.state
	}
	if r.plan.disks {
		r.expectLess(&e)
	}
	return e
}

// expectLess reckons with owners that have lost what they had: what was at enough of them may be at fewer now, and
// need not be met then.
func (r *run) expectLess(e *expectation) {
	l := e.ledger
	for _, w := range e.writes {
		e.held = append(e.held, r.holding(l, w.effect))
	}
	if !r.patchy {
		return
	}
	e.state = nil
	var few bitset
	for id := range e.earlier.seen.all() {
		one := shadow{seen: bit(id), gone: e.earlier.gone.intersect(bit(id))}
		if len(r.holding(l, one))+e.needed <= len(r.owners()) {
			few = few.with(id)
		}
	}
	e.earlier = e.earlier.without(few)
}

// holding is the owners that have s.
func (r *run) holding(l *ledger, s shadow) (owners []*node) {
	for _, o := range r.owners() {
		if o.replica.has(l, s) {
			owners = append(owners, o)
		}
	}
	return owners
}

// checkRead checks the answer to a read, by the shadows and again by the states.
func (r *run) checkRead(e expectation, state []byte, s shadow) {
	l := e.ledger
	forgets := r.plan.collects
	if forgets && r.ownersEmptied {
		r.remember(l, state, s)
		return // who was filled again may have met one that is behind
	}
	seen := r.forgetful(l, state, s)
	for i, w := range e.writes {
		if r.meets(&e, i) && (!l.covers(seen, w.effect) || !forgets && !r.contains(l, state, w.delta)) {
			r.fail(readMissed, l.key, "%s, acknowledged at %v by %d; read by %d", w.describe, w.ackedAt, w.needed, e.needed)
		}
	}
	whole := !slices.ContainsFunc(r.owners(), func(n *node) bool { return n.forgetful && n.lacksSince(e.started) })
	if whole && (!l.covers(seen, e.earlier) || !forgets && !r.contains(l, state, e.state)) {
		r.fail(readWentBack, l.key, "read %v, after %v", seen, e.earlier)
	}
	if have := r.holders(l, s, e.started); have < e.needed {
		r.fail(ackedByFew, l.key, "%d of %d needed replicas have what a read answered", have, e.needed)
	}
	if 2*e.needed > len(r.owners()) {
		l.read.majority, l.read.state = l.join(l.read.majority, seen), state
	}
	r.remember(l, state, s)
}

// forgetful is what an answer to a read knows: what is forgotten in its generation, too.
// Where there is nothing at all, all is forgotten that any owner has.
func (r *run) forgetful(l *ledger, state []byte, s shadow) shadow {
	if len(state) > 0 {
		of, _ := unseal(state)
		return r.generation(of).knows(l, s)
	}
	for _, n := range r.owners() {
		s = n.replica.at().knows(l, s)
	}
	return s
}

// meets reports whether a read must meet a replica that has the i-th write. A lost
// disk takes away one of those that acknowledged it; by then all others had it. Where
// others may have lost it, those count that had it when the read began, and have it still.
func (r *run) meets(e *expectation, i int) bool {
	w := e.writes[i]
	have := w.needed
	if e.held != nil {
		lacking := func(n *node) bool { return n.lacksSince(e.started) }
		return len(e.held[i])-count(e.held[i], lacking)+e.needed > len(r.owners())
	}
	for _, n := range r.owners() {
		if n.incarnation > 0 && n.lostAt >= w.started {
			have = min(have, len(r.owners())-1)
		}
	}
	return have+e.needed > len(r.owners())
}

// count is how many nodes some condition holds for.
func count(nodes []*node, holds func(*node) bool) (n int) {
	for _, o := range nodes {
		if holds(o) {
			n++
		}
	}
	return n
}

// contains reports whether merging part into state changes nothing.
func (r *run) contains(l *ledger, state, part []byte) bool {
	out, err := r.kinds.Join(state, part)
	if err != nil {
		r.fail(errorUnexplained, l.key, "join: %v", err)
	}
	return err == nil && bytes.Equal(out, state)
}

// remember keeps the context of an answer for later writes.
func (r *run) remember(l *ledger, state []byte, s shadow) {
	const most = 4
	_, value := unseal(state)
	v, err := r.kinds.Decode(value)
	if err != nil {
		return // found when the state was bound
	}
	m, ok := crdt.Component[*crdt.MVRegister[string]](r.kinds, v)
	if !ok {
		return
	}
	seen := s.seen.intersect(l.of[mv])
	l.read.contexts = append(l.read.contexts, readContext{m.Context(), shadow{seen, seen}})
	if n := len(l.read.contexts); n > most {
		l.read.contexts = slices.Clone(l.read.contexts[n-most:])
	}
}
