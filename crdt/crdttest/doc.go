// Package crdttest checks replicated data types, those of package crdt and your own.
//
// [Laws] needs a way to make an empty state and a way to change one at random, about 15 lines:
//
//	func TestHighScore(t *testing.T) {
//		crdttest.Laws(t, crdttest.Suite[*HighScore]{
//			New: func() *HighScore { return new(HighScore) },
//			Mutate: func(t *rapid.T, s *HighScore, _ crdttest.Writer) *HighScore {
//				return s.Raise(rapid.Uint64().Draw(t, "score"))
//			},
//		})
//	}
//
// It runs random executions on several replicas, with deltas that are lost, repeated and reordered, and checks
// on the states reached that
//
//   - Merge is commutative, associative and idempotent, never forgets, leaves its argument alone, and tells
//     truthfully whether it changed anything;
//   - deltas mean what the mutation did, in any grouping and order, with loss and repetition;
//   - MergeNovel, where there is one, returns exactly what was new;
//   - Delta(since), where there is one beside Context, is all that a peer lacks, and claims nothing more;
//   - Decompose and Track, of types that are Decomposable, tell states apart by their parts and leave no change out;
//   - the wire form is canonical, and hostile bytes are refused without a panic or a change, such as have pieces in
//     another order or twice among them; where they are taken, they merge by the same laws;
//   - states, deltas and novelties say the same of themselves, by Empty, Len and MarshalJSON where there are such,
//     as when they were written and read;
//   - clones are independent.
//
// Laws do not know what a type means: a counter that subtracts what it should add obeys all of them. An [Oracle]
// does: it compares a type with its specification, a function of the events and of what each of them had seen,
// on all histories up to a bound ([Oracle.Exhaustive]) and on random longer ones ([Oracle.Random]).
//
// Everything here is for tests and may be used by several of them at once. Failures are reported by rapid, which
// reduces them and prints how to repeat them.
package crdttest
