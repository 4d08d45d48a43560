package crdt

import (
	"cmp"
	"iter"

	"github.com/eventual-go/eventual/vclock"
)

// Explain says whether e is in. Elements come without events, and none is ever against one.
func (s *GSet[E]) Explain(e E) Explanation { return Explanation{Present: s.Has(e)} }

// Explain says when the value was written; or, of a register that was reset, when the value that was taken away
// had been.
func (r *LWWRegister[T]) Explain() (x Explanation) {
	switch {
	case r == nil:
	case r.stage == set:
		x.Present, x.ForAt = true, r.at
	default:
		x.AgainstAt = r.at // zero if it was never written
	}
	return x
}

// Explain says which writes the values are from. What was overwritten leaves nothing behind that names a value.
func (m *MVRegister[T]) Explain() (x Explanation) {
	for d := range m.All() {
		x.Present = true
		x.For = append(x.For, d)
	}
	return x
}

// All yields each value with the write that it is from, in order of the writes. The register must not change
// meanwhile.
func (m *MVRegister[T]) All() iter.Seq2[vclock.Dot, T] {
	return func(yield func(vclock.Dot, T) bool) {
		if m == nil {
			return
		}
		for _, s := range m.live {
			if !yield(s.dot, s.value) {
				return
			}
		}
	}
}

// Explain tells whether there is an entry of that moment: for it is the event that brought it. There are several only
// where an identity was used twice, or at the end of time. Entries stay for ever, so nothing is ever against one.
func (l *Log[T]) Explain(at vclock.Timestamp) (x Explanation) {
	if l.Empty() {
		return Explanation{}
	}
	c, p := l.find(at, false)
	for ; c < len(l.chunks); c, p = c+1, 0 {
		for i := range l.chunks[c][p:] {
			e := &l.chunks[c][p+i]
			if l.compareTime(e, at) != 0 {
				return x
			}
			x.Present, x.ForAt = true, at
			x.For = append(x.For, l.dot(e))
		}
	}
	return x
}

// A Share is what one replica has to do with the value of a counter, over all time.
type Share struct {
	Replica                     vclock.ReplicaID
	Added, AddedReset           uint64 // what it added, and how much of that was reset
	Subtracted, SubtractedReset uint64 // what it subtracted, and how much of that was reset
	Received, Sent              uint64 // of a BoundedCounter: rights that others gave it, and that it gave to others
}

// Explain says who counted what, in order of the replicas.
func (c *GCounter) Explain() (shares []Share) {
	for _, e := range c.tally() {
		shares = append(shares, Share{Replica: e.replica, Added: e.total, AddedReset: e.base})
	}
	return shares
}

// Explain says who counted what, in order of the replicas.
func (c *PNCounter) Explain() (shares []Share) {
	c.pairs(func(pos, neg entry) {
		shares = append(shares, Share{
			Replica: cmp.Or(pos.replica, neg.replica),
			Added:   pos.total, AddedReset: pos.base,
			Subtracted: neg.total, SubtractedReset: neg.base,
		})
	})
	return shares
}

// Explain says who added and who took away what, and who has passed rights on, in order of the replicas: also of those
// that only received some. What a replica added and received, less what it subtracted and sent, is what it has rights
// to. Received and Sent stop at [math.MaxUint64]; see [BoundedCounter.Transfers] for who got what from whom. It takes
// O(n log n) for n rows and transfers.
func (c *BoundedCounter) Explain() (shares []Share) {
	ids, accounts := c.accounts()
	for i, id := range ids {
		row, sum := c.rowOf(id), &accounts[i]
		shares = append(shares, Share{
			Replica: id,
			Added:   row.granted, Subtracted: row.used,
			Received: sum.received.minus(wide{}), Sent: sum.spent.minus(wide{lo: row.used}),
		})
	}
	return shares
}

// Transfers yields the replicas that have ever been given rights by replica from, as far as is known here, in their
// order, and how much in all. The counter must not change meanwhile.
func (c *BoundedCounter) Transfers(from vclock.ReplicaID) iter.Seq2[vclock.ReplicaID, uint64] {
	return func(yield func(vclock.ReplicaID, uint64) bool) {
		mine := c.rowOf(from)
		for _, to := range c.replicas() {
			n := max(amount(mine.sent, to), amount(c.rowOf(to).taken, from))
			if n > 0 && !yield(to, n) {
				return
			}
		}
	}
}
