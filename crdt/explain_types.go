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
	case r.stage == cleared:
		x.AgainstAt = r.at
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

// A Share is what one replica has to do with the value of a counter, over all time.
type Share struct {
	Replica                     vclock.ReplicaID
	Added, AddedReset           uint64 // what it added, and how much of that was reset
	Subtracted, SubtractedReset uint64 // what it subtracted, and how much of that was reset
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
