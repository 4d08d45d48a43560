package crdt

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// A HandoverError says why a state was not handed over. The state is as it was.
//
// States keep something of every replica that ever wrote. Where replicas come and go, Handover gives what departed
// ones left to a successor, so that many entries become one:
//
//	changed, err := counter.Handover(at, to, departed...)
//
// It is a change of the books, made alike on every replica, and not an event: it mints nothing and has no delta.
// All must agree on three things, for instance as part of a change of membership.
//
//   - from: replicas that will never write again. What a predecessor inherited can be handed on with it.
//   - to: an identity of its own for this handover, that nobody ever writes with. It marks the generation: whoever
//     has seen it has the inheritance, whether or not the old entries come up again.
//   - at: the cut, a state that has everything of those in from. For counters it must, moreover, be merged from
//     states of all replicas, each taken when that replica had everything of those in from, and predecessors, already;
//     so a reset either is in the cut or takes back all that they had counted.
//
// An [ORMap] has counters in it. For a [BoundedCounter] less is needed, see there; a [Log] has nothing to leave.
//
// Then Handover(x ⊔ y) = Handover(x) ⊔ Handover(y), and handing over twice is as good as once. So states from
// replicas that have not done it yet may be merged in any order and any number of times, and nothing is lost or
// counted twice, provided that they are handed over on arrival: before the merge or after it. Until then a state
// with both, the old entries and the successor, may count twice, or show what was removed, where it is read. Changes made
// on what it shows are exact all the same, since they end both.
//
// The agreement must be kept for as long as old states may turn up. When every replica has done the handover,
// and whoever has not is refused as a source, it may be forgotten. (Clocks are never pruned on suspicion: see the
// four bugs of Riak. A replica that is not there cannot take part in the handshake of Almeida, Baquero, "Scalable
// eventually consistent counters over unreliable networks", 2013, hence the agreement.)
//
// What contradicts the agreement is refused: events of those in from that are not in the cut, unless they were removed
// or reset since, a reset that took back part of them, a successor that is in use. Of a replica that has nothing in the
// cut, a count that was all reset stays under its old name: where the others have forgotten it ([Value.Spent]) it may
// still be in a state that had more besides.
type HandoverError struct {
	Replica vclock.ReplicaID // whose entry does not fit
	Reason  string
}

func (e *HandoverError) Error() string {
	return fmt.Sprintf("crdt: handover: replica %v %s", e.Replica, e.Reason)
}

// The reasons of a HandoverError.
const (
	reasonBeyondCut   = "has events that are not in the cut"
	reasonPartlyReset = "was reset in part, and not in the cut"
	reasonInUse       = "is to be the successor and has events of its own"
	reasonNoHeir      = "cannot take part"
	reasonTooMuch     = "would exceed what can be counted"
)

// estate is what departed replicas leave to a successor.
type estate struct {
	to   vclock.ReplicaID
	from []vclock.ReplicaID
	dots []vclock.Dot // those live at the cut, in order; the i-th lives on as the successor's event i+1
}

// sorted returns those in from in order, each once.
func (e *estate) sorted() []vclock.ReplicaID {
	return slices.Compact(slices.SortedFunc(slices.Values(e.from), vclock.ReplicaID.Compare))
}

// check refuses replicas that cannot take part.
func (e *estate) check() error {
	if e.to.IsZero() || slices.Contains(e.from, e.to) {
		return &HandoverError{e.to, reasonNoHeir}
	}
	return nil
}

// settle returns what is in seen besides the events of the departed and of the successor, who has so many; nil if there
// is nothing to be handed over. Events that are not in the cut are forgotten with the rest if they ended, and refused
// if one of them is alive.
func (e *estate) settle(minted uint64, seen, final *vclock.Context, alive func(vclock.Span) bool) (rest *vclock.Context, err error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	if final.Max(e.to) > 0 || seen.Max(e.to) > minted {
		return nil, &HandoverError{e.to, reasonInUse}
	}
	rest = new(vclock.Context)
	found := false
	for s := range seen.All() {
		switch {
		case s.Replica == e.to:
		case !slices.Contains(e.from, s.Replica):
			rest.AddSpan(s)
		case e.beyond(s, final, alive):
			return nil, &HandoverError{s.Replica, reasonBeyondCut}
		default:
			found = true
		}
	}
	if !found {
		return nil, nil
	}
	return rest, nil
}

// beyond reports whether a span has events alive that are not in the cut.
func (e *estate) beyond(s vclock.Span, final *vclock.Context, alive func(vclock.Span) bool) bool {
	seen := new(vclock.Context)
	seen.AddSpan(s)
	for more := range seen.Diff(final).All() {
		if alive(more) {
			return true
		}
	}
	return false
}

// inherit visits the successor's events that are in seen under their old name or their new one. An event lives if
// it does by each name that was seen.
func (e *estate) inherit(seen *vclock.Context, live func(i int, d vclock.Dot) bool,
	visit func(i int, d vclock.Dot, lives bool)) {
	for i, old := range e.dots {
		d := vclock.Dot{Replica: e.to, Seq: uint64(i) + 1}
		before, after := seen.Has(old), seen.Has(d)
		if before || after {
			visit(i, d, (!before || live(i, old)) && (!after || live(i, d)))
		}
	}
}

// Handover gives what departed replicas had counted at a cut to a successor. See [HandoverError] for what must
// hold. It takes O(n) for n replicas.
func (c *GCounter) Handover(at *GCounter, to vclock.ReplicaID, from ...vclock.ReplicaID) (changed bool, err error) {
	t, changed, err := c.t.handOver(at.tally(), &estate{to: to, from: from})
	if changed {
		c.t = t
	}
	return changed, err
}

// Handover gives what departed replicas had counted at a cut to a successor. See [HandoverError] for what must
// hold. It takes O(n) for n replicas.
func (c *PNCounter) Handover(at *PNCounter, to vclock.ReplicaID, from ...vclock.ReplicaID) (changed bool, err error) {
	e := &estate{to: to, from: from}
	if at == nil {
		at = new(PNCounter)
	}
	pos, rose, err := c.pos.handOver(at.pos, e)
	if err != nil {
		return false, err
	}
	neg, fell, err := c.neg.handOver(at.neg, e)
	if err != nil {
		return false, err
	}
	c.pos, c.neg = pos, neg
	return rose || fell, nil
}

// handOver returns t, or a tally without the departed if it has any of them. An heir's entry has two states: as at
// the cut, and all reset. So its maximum is what the maxima of the departed make.
func (t tally) handOver(at tally, e *estate) (after tally, changed bool, err error) {
	heir, err := at.heir(e)
	if err != nil {
		return t, false, err
	}
	reset := false
	for _, mine := range t {
		switch {
		case mine.replica == e.to:
			err = heir.accept(mine)
		case slices.Contains(e.from, mine.replica):
			final := at.of(mine.replica)
			if final.total == 0 && mine.base == mine.total { // others may have forgotten it
				after = append(after, mine)
				continue
			}
			if mine.total > final.total && mine.base < mine.total {
				err = &HandoverError{mine.replica, reasonBeyondCut}
			}
			reset = reset || mine.base > final.base
			changed = true
		default:
			after = append(after, mine)
		}
		if err != nil {
			return t, false, err
		}
	}
	if !changed {
		return t, false, nil
	}
	if reset {
		if err := t.allReset(at, e); err != nil {
			return t, false, err
		}
		heir.base = heir.total
	}
	i, _ := after.find(0, e.to)
	return slices.Insert(after, i, heir), true, nil
}

// heir returns the successor's entry at the cut t.
func (t tally) heir(e *estate) (heir entry, err error) {
	if err := e.check(); err != nil {
		return heir, err
	}
	if t.of(e.to).total > 0 {
		return heir, &HandoverError{e.to, reasonInUse}
	}
	heir.replica = e.to
	for _, r := range e.sorted() {
		final := t.of(r)
		sum, carry := bits.Add64(heir.total, final.total, 0)
		if carry > 0 {
			return heir, &HandoverError{r, reasonTooMuch}
		}
		heir.total, heir.base = sum, heir.base+final.base
	}
	return heir, nil
}

// of returns the entry of r, which is zero if there is none.
func (t tally) of(r vclock.ReplicaID) entry {
	if i, ok := t.find(0, r); ok {
		return t[i]
	}
	return entry{replica: r}
}

// accept merges what a state has of the heir: all of it, as at the cut or all reset, or what was reset at the cut, alone, as a
// delta may say.
func (e *entry) accept(mine entry) error {
	resetAlone := mine.total == mine.base && mine.base == e.base
	switch {
	case mine.total != e.total && !resetAlone, mine.base > e.base && mine.base < e.total:
		return &HandoverError{e.replica, reasonInUse}
	}
	e.base = max(e.base, mine.base)
	return nil
}

// allReset checks that after a reset that is not in the cut nothing of the departed counts.
func (t tally) allReset(at tally, e *estate) error {
	for _, r := range e.sorted() {
		if final := at.of(r); max(final.base, t.of(r).base) < final.total {
			return &HandoverError{r, reasonPartlyReset}
		}
	}
	return nil
}

// Handover gives the writes of departed replicas whose values were there at a cut to a successor, and forgets the
// others. See [HandoverError] for what must hold. It is exact whatever else is written meanwhile. A context that a
// client still holds names the old writes: hand over again after a [MVRegister.Put] with such. It takes O(size).
func (m *MVRegister[T]) Handover(at *MVRegister[T], to vclock.ReplicaID, from ...vclock.ReplicaID) (changed bool, err error) {
	if at == nil {
		at = new(MVRegister[T])
	}
	e := estate{to: to, from: from}
	for _, s := range at.live {
		if slices.Contains(from, s.dot.Replica) {
			e.dots = append(e.dots, s.dot)
		}
	}
	rest, err := e.settle(uint64(len(e.dots)), &m.seen, &at.seen, m.aliveIn)
	if rest == nil {
		return false, err
	}
	var after MVRegister[T]
	for _, s := range m.live {
		if rest.Has(s.dot) {
			after.live = append(after.live, s)
		}
	}
	after.seen = *rest
	e.inherit(&m.seen, func(_ int, d vclock.Dot) bool { return m.sibling(d) != nil },
		func(i int, d vclock.Dot, lives bool) {
			after.seen.Add(d)
			if !lives {
				return
			}
			s := cmp.Or(m.sibling(e.dots[i]), m.sibling(d))
			after.live = append(after.live, sibling[T]{d, s.value})
		})
	slices.SortFunc(after.live, func(a, b sibling[T]) int { return a.dot.Compare(b.dot) })
	*m = after
	return true, nil
}

// aliveIn reports whether a value there was written by an event in s.
func (m *MVRegister[T]) aliveIn(s vclock.Span) bool {
	return slices.ContainsFunc(m.live, func(v sibling[T]) bool {
		return v.dot.Replica == s.Replica && s.Lo <= v.dot.Seq && v.dot.Seq <= s.Hi
	})
}

// sibling returns the value written by d, or nil.
func (m *MVRegister[T]) sibling(d vclock.Dot) *sibling[T] {
	for i := range m.live {
		if m.live[i].dot == d {
			return &m.live[i]
		}
	}
	return nil
}
