// Package quorum decides who must answer: it reads and writes keys at as many of
// their owners as the caller asks for.
//
// States are bytes with a merge, of any kind; this package knows nothing of what is
// in them. A write merges a delta into the owners of its key. A read merges what
// the owners answer, and writes that back to those that lack some of it.
//
// # Smallest use
//
//	c := &quorum.Coordinator{
//		Self: "a", Local: store,                   // this node's replica
//		Ring:   quorum.Everywhere{"a", "b", "c"},  // all nodes hold all keys
//		Caller: network, Join: join,               // how to reach the others, how to merge
//	}
//	mux.Handle("quorum/", c.Handler())                // answers the other nodes
//	_, err := c.Write(ctx, "cart", delta, quorum.Majority)
//	res, err := c.Read(ctx, "cart", quorum.Majority)  // res.State, res.Found
//
// A crdt/store.Store is a [Replica] and has a Join.
//
// # Guarantees
//
// Let N owners hold a key, and let reads need R of them and writes W. Then, for each
// key on its own:
//
//   - R+W > N: a read that starts after a write was acknowledged contains it.
//   - R+R > N: a read that starts after another was answered contains all that the
//     other returned, whoever made it and wherever: reads are monotonic. This holds
//     for writes that failed too: a read that shows one has first brought it to R
//     owners. In general, R+R' > N for two reads at different levels.
//   - Always: a write that failed or timed out may be seen by some reads, and later
//     by all. What owners were not asked for, or missed, is left to anti-entropy.
//
// What that means for three owners, and what it costs. "Away" is how many owners may
// be away for the read and for the write to be still answered; "waits for" is whose
// answer a call waits for, where all are well.
//
//	read      write     promise                                   away    waits for
//	one       one       all agree in the end                      2, 2    fastest, fastest
//	one       majority  all agree in the end; an acknowledged     2, 1    fastest, second
//	                    write survives the loss of an owner
//	one       all       reads contain acknowledged writes, but    2, 0    fastest, slowest
//	                    may go back behind one that failed
//	majority  one       reads are monotonic                       1, 2    second, fastest
//	majority  majority  reads contain acknowledged writes,        1, 1    second, second
//	                    and are monotonic
//	all       one       the same; writes are always accepted      0, 2    slowest, fastest
//	all       all       nothing that majorities do not promise    0, 0    slowest, slowest
//
// A write is one round trip to all owners. A read is one too, which carries the
// whole state from each; if the first owners to answer differ, it is a second one,
// to those that lack something (a read at One never waits for that).
//
// Where states are totally ordered, as those of a maximum or of a register by
// timestamps, the lines that promise both make reads linearizable (Attiya, Bar-Noy,
// Dolev: Sharing Memory Robustly in Message-Passing Systems, 1995). Where they are
// not, as those of a set, two reads that overlap in time may each contain a
// concurrent write that the other does not; every read that starts after both
// contains both. Writes are ordered by what is in the states, so a register in which
// the last write wins orders them by the clocks of the writers.
//
// Reads and writes count distinct owners, and nobody else: an answer of another node
// and a second answer of the same one count for nothing. "Not found" is an answer,
// and an error is none: a read says that a key is not there only if R owners said so
// and no owner that had answered by then said otherwise.
//
// All this supposes that a [Replica] keeps what it acknowledged, and that all nodes
// place a key at the same owners. A [Ring] that changes while keys are written is
// beyond this package's promises, and so are hints for owners that are away.
//
// # Concurrency
//
// A [Coordinator] is safe for concurrent use once its fields are set. Its calls
// start goroutines that may outlive them, until its Timeout at the latest; see
// there. [Tally], [ReadOp] and [WriteOp] are plain values for one goroutine.
//
// # Errors
//
// [*LevelError]: the level cannot be asked of so many owners; nothing was sent.
// [*UnavailableError]: too many owners failed; it says how many answered of how many
// needed, and what each of the others said. [*TimeoutError]: too many kept silent
// for as long as Timeout. The error of a caller's own context passes untouched. The
// refusal of an owner to merge, the local one included, counts as its failure. An
// UnavailableError unwraps to the errors of the owners, whatever they are: ask for
// the type of the refusal before asking what is in it.
//
// # Wire compatibility
//
// Requests are canonical msgpack arrays [version, key, state], responses [version,
// state], both at version 1; the bytes are held by golden tests. A message of a newer
// version is refused with [ErrVersion], damaged ones with a [*MessageError].
//
// # Testing
//
// [ReadOp] and [WriteOp] are the whole protocol as step machines without goroutine,
// clock or I/O; a simulator runs what a Coordinator runs. In a testing/synctest bubble
// let Timeout pass before the test ends, so that what the last calls left behind has
// ended too.
package quorum
