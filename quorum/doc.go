// Package quorum decides who must answer: it reads and writes keys at as many of
// their owners as the caller asks for, and says what comes of those that do not answer.
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
//	_, err := c.Write(ctx, "cart", delta, quorum.WriteOptions{})
//	res, err := c.Read(ctx, "cart", quorum.ReadOptions{})  // res.State, res.Found
//
// A crdt/store.Store is a [Replica] and has a Join. Package quorum/ring has a [Ring] in
// which each key is held by some of the nodes, in different zones, and that changes while
// it is in use; package quorum/handoff keeps [Hints].
//
// # What can be asked for
//
// By call, or for all keys with a prefix by a [Bucket]:
//
//   - [Level]: how many owners must answer: a number, Majority, All; or of zones:
//     LocalOne, LocalMajority, EachMajority; or, of writes, Any: a hint will do.
//   - Primary and Durable: how many of those must be owners and not stand in for one, and
//     have it on disk.
//   - [Fallbacks]: whether others may stand in for owners that are away. They keep what is
//     written as hints, and answer reads by these.
//   - [Repair]: whether a read waits until owners that lack something have got it, until
//     as many have it as a write asks for, or not at all.
//   - [NotFound]: whether it counts that an owner has nothing.
//   - ReadOptions.Least: a lower level that will do, if the result says so.
//   - ReadOptions.After: owners of whom one must be among those who answer, since they have
//     what was seen; package quorum/session keeps them.
//
// # Guarantees
//
// Let N owners hold a key, and let reads need R of them and writes W. Then, for each
// key on its own, where nobody stands in for owners (FallbacksNone, the default) and reads
// wait for their repairs (RepairBlocking, the default, or RepairWriteBack):
//
//   - R+W > N: a read that starts after a write was acknowledged contains it.
//   - R+R > N: a read that starts after another was answered contains all that the
//     other returned, whoever made it and wherever: reads are monotonic. This holds
//     for writes that failed too: a read that shows one has first brought it to R
//     owners. In general, R+R' > N for two reads at different levels.
//   - EachMajority and LocalMajority, in either order, share an owner, and so do two calls at
//     LocalMajority in one zone.
//   - Always: a write that failed or timed out may be seen by some reads, and later
//     by all. What owners were not asked for, or missed, comes by hints, or by
//     anti-entropy.
//
// While the ring changes, and over that, the first two lines hold where writes wait for a majority of the
// owners or more: that is what the next owners have taken over when they count. What fewer have acknowledged
// comes to them as well, but nobody waits for it.
//
// With RepairAsync and RepairOff the first line holds alone: reads may go back behind
// what an earlier one saw of a write that failed. With FallbacksCount neither holds while
// owners are away: Answered and StoodIn of a result say who answered, and Primary asks for
// owners.
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
// A write is one message to each owner. A read asks as many owners as it needs, the
// quickest first, and the others if those take longer than they should. One of them, this
// node itself if it is an owner, answers with its state, the others by a digest where
// theirs is equal. So a majority read of three costs one message there and one back, with
// a state in it only where it differs, and one more each way where it has to be repaired.
//
// Where states are totally ordered, as those of a maximum or of a register by
// timestamps, the lines that promise both make a key linearizable, if each write is above
// all that was there when it began: so who writes reads first, and writes nothing if what it
// read is above already (Attiya, Bar-Noy, Dolev: Sharing Memory Robustly in
// Message-Passing Systems, 1995; with several writers: Lynch, Shvartsman: Robust Emulation
// of Shared Memory, 1997). RepairWriteBack is for reads of a level that meets writes and not
// other reads. A write that did not read first may be seen by a read that overlaps with it, and with one
// that is above it, and the other not. Where states are
// not ordered, as those of a set, two reads that overlap in time may each contain a
// concurrent write that the other does not; every read that starts after both
// contains both. Writes are ordered by what is in the states, so a register in which
// the last write wins orders them by the clocks of the writers.
//
// Reads and writes count distinct owners that have answered, by what they are: an answer
// of another node and a second answer of the same one count for nothing. "Not found" is
// an answer, and an error is none: a read says that a key is not there only if as many
// owners as it needs said so and nobody who had answered by then has something.
//
// While a ring changes, a key has owners and owners to come ([Placement].Next), and what
// is asked for is asked of both. A replica refuses who knows of an older placement than it
// does itself, by a [*RingError]; package quorum/ring says why that is enough. All this
// supposes that a [Replica] keeps what it has acknowledged, and what it has told of.
//
// # Nodes that are away
//
// How long each node takes to answer is measured. One that cannot be reached, or that is
// silent for much longer than it should be, is suspected: it is asked last, and now and
// then, and hints are kept for it at once. So a node that was killed or is frozen delays
// the calls that were waiting for it, until others are asked, and hardly any after that.
// A wrong suspicion costs a hint, and nothing else: who is needed is asked.
//
// # Concurrency
//
// A [Coordinator] is safe for concurrent use once its fields are set. Its calls
// start goroutines that may outlive them, until its Timeout or soon after; see
// there. [Tally], [ReadOp] and [WriteOp] are plain values for one goroutine.
//
// # Errors
//
// [*LevelError]: the level cannot be asked of so many owners; nothing was sent.
// [*UnavailableError]: too many owners failed. [*TimeoutError]: too many kept silent
// for as long as Timeout. Both are a [Refusal]: what was lacking, how many of it answered
// of how many needed, and what each of the owners said. The error of a caller's own
// context passes untouched. The
// refusal of an owner to merge, the local one included, counts as its failure. An
// UnavailableError unwraps to the errors of the owners, whatever they are: ask for
// the type of the refusal before asking what is in it.
//
// # Wire compatibility
//
// There is one method, whose messages carry several tasks, at version 2:
//
//	quorum/do  [2, task, key, version, target, state, ...] → [2, status, body, ...]
//
// Tasks are 0 load, 1 load unless the state has this digest, 2 digest, 3 merge, 4 keep for
// target; statuses 0 done, with the state that was asked for, 1 done and on disk, 2 the
// digest is that, 3 with the digest, 4 failed, with the reason, 5 refused, with the version
// of the placement, 6 no room for this answer: ask alone. Keys, targets, states, digests
// and reasons are binaries, all else unsigned integers; a digest is the first 16 bytes of
// the SHA-256 of a state, or zeros for none. The bytes are held by golden tests. A message
// of a newer version is refused with [ErrVersion], damaged ones with a [*MessageError].
//
// # Testing
//
// [ReadOp] and [WriteOp] are the whole protocol as step machines without goroutine,
// clock or I/O; a simulator runs what a Coordinator runs. In a testing/synctest bubble
// let Timeout and a sixteenth of it pass before the test ends, so that what the last calls
// left behind has ended too.
package quorum
