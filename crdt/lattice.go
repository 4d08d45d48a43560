package crdt

import "encoding"

// A Lattice is a state that merges: S is the type itself, for instance *GCounter.
//
// Merge takes in everything that the argument knows and leaves the argument alone. It is commutative,
// associative, idempotent and never forgets, so states may be merged in any order and any number of times.
// It reports whether the receiver became another state. Clone returns a state of its own.
type Lattice[S any] interface {
	Merge(S) (changed bool)
	Clone() S
}

// A Delta is a Lattice that can tell what a merge brought.
//
// MergeNovel merges, and returns exactly the part of the argument that the receiver lacked: merging novel
// instead would have had the same effect, and no smaller state would (the join decomposition of Enes,
// Almeida, Baquero, Leitão, "Efficient Synchronization of State-based CRDTs", ICDE 2019). If nothing was
// new, novel is an empty state and changed is false.
type Delta[S any] interface {
	Lattice[S]
	MergeNovel(S) (novel S, changed bool)
}

// A State is a Lattice with a wire form, which is what a [Kind] needs.
//
// The wire form is canonical: equal states have equal bytes. UnmarshalBinary replaces the receiver, and
// leaves it alone if it returns an error; it must accept nothing that AppendBinary does not write.
type State[S any] interface {
	Lattice[S]
	encoding.BinaryAppender
	encoding.BinaryUnmarshaler
}
