// Package caspaxos has keys on which nodes agree: each is one linearizable register, with compare-and-set, without a
// leader. They are for the few things that need it, such as a name that only one may have, beside all the others,
// which are eventually consistent, in the same stores, on the same nodes.
//
// It is CASPaxos (Rystsov: CASPaxos: Replicated State Machines without logs, 2018), that is Paxos for one value
// (Lamport: Paxos Made Simple, 2001) which a proposer may change after it was chosen. There is no log, and no key
// waits for another one.
//
// # Smallest use
//
//	kinds, err := crdt.Standard().With(caspaxos.Kind)        // on all nodes
//	s := store.New(store.Config{Kinds: kinds})
//	r := &caspaxos.Registers{Self: "a", Local: s, Kinds: kinds, Ring: ring, Caller: network}
//	mux.Handle("caspaxos/", r.Handler())
//	v, err := r.Create(ctx, "name/ada", []byte("user 7"))    // *ConflictError: taken, and by whom
//	v, err = r.CompareAndSet(ctx, "name/ada", v.Version, []byte("user 8"))
//
// # Guarantees
//
// Each key by itself is linearizable: all calls that succeed, and those that end in a [*ConflictError], happen as if
// one after the other, each at some moment between its beginning and its end. A call that ends in an [*UnknownError]
// happens once, at any time since it began, or never. One that ends in another error does not happen. Nothing is
// promised about several keys.
//
// A call needs a majority of the owners, and while the ring changes a majority of the next ones as well. Otherwise it
// fails: with a partition, the side that has the majority goes on. (A key that is eventually consistent can be written
// on both sides. That is the choice between the two.)
//
// Change is made exactly once, also where it is proposed several times since rivals were in the way. Each value
// carries the versions of the last eight changes that led to it. So who proposed one of these finds out that it was
// made, though others have changed the key since; only after more than those it says that it does not know.
//
// # Why acceptors may be a replicated state
//
// What an acceptor knows of a key is things that only grow: the greatest ballot that it has promised to, the proposal
// with the greatest ballot that it holds, and which promises were made without knowing that. Those are a lattice
// ([State]). So it is an entry of the store like any other: durable as those are, reconciled by the same anti-entropy,
// handed over by the same change of the ring, all of which copy it from node to node at any time. That is safe,
// because:
//
//   - A promise that is copied makes an acceptor refuse more. That costs rounds, never safety.
//   - A proposal counts as accepted by those who answered a request to accept it, and by nobody who got a copy. An
//     acceptor that has promised to a greater ballot refuses also what it holds.
//   - What is copied is a true proposal: made by the proposer of its ballot from the greatest proposal of a majority.
//     An acceptor with a copy answers promises with a proposal that is at least as great as what it has accepted. So
//     take a proposal that a majority has accepted, and a greater ballot with a majority of promises. They share an
//     acceptor; it accepted first, as it would have refused afterwards; so the proposer of the greater ballot has found
//     that proposal or one in between, and by induction whatever it found followed from it.
//
// # Why reads write nothing
//
// A read looks: it returns what a majority holds firmly. An acceptor holds a proposal firmly if it has made each of its
// promises to later ballots when it held that one already, and so has told of it. It may have got a copy. It is as if it
// had accepted: who proposes by a later ballot, and asks it, has been told, or will be. So the argument above holds of
// that proposal, and all that is ever accepted by later ballots follows from it. And no later one was accepted by a
// majority before the read began, since one of those who have answered would hold it. So the read happens at its
// beginning, or when that proposal came to be accepted. A majority that holds nothing is no other case.
//
// Promises to those who failed, or who have asked ahead, were told what there is, so they disturb no read. A promise that
// is copied from somebody who knew less does until something is accepted; no acceptor needs to remember which of the
// promises that it knows of were its own. Also it must not need that: a promise, or a vote, that it had not stored yet
// when its power was cut may come back from somebody who got a copy. What it has said since stays blind to it.
//
// While others change the key a majority may agree on nothing. Then the read waits for those who have not answered yet,
// and looks again. Only where nothing moves any more, since who changed it stopped half way, does it propose what it
// found. A call that has proposed something itself takes a look for an answer only if what is held came later: what it
// has proposed could follow otherwise.
//
// An acceptor loads, decides and stores under a lock of the key, so that requests of one key do not interleave. Copies
// may come in between; they are not answers.
//
// # While the ring changes
//
// States are stored, and placed, by their key with [Prefix], so the store hands over each with its partition, in one
// piece. A proposer asks for both majorities by one placement, for promises and for accepting; if that has changed in
// between, it begins again. Acceptors refuse what comes by an older placement, before and after they have stored it.
//
// Two ballots by the old ring share an acceptor, as do two by the joint one, or one by each, among the owners; and one
// by the joint and one by the settled ring among the next owners. There remain the old ring and the settled one. Each
// next owner has reconciled with a majority of the owners, who had adopted the joint ring before. What a majority of
// owners answered by the old ring was stored by then, at one of them at least: so each next owner has it: the
// proposals that were accepted, and also the promises, as it must not accept by the settled ring what an old majority
// has promised not to. Package quorum/ring says why no majority answers by the old ring after that. Who hands over and
// forgets a state holds it no more, and gets it back before it counts as an owner again.
//
// # Durability
//
// An acceptor must not forget what it has said. So a node whose store is in memory must not come back under its name,
// and one that has lost its disk must not either: remove it from the ring, and let it come under another. Where
// Config.Sync of a store lets calls return before what they wrote is on disk, the same holds for a node whose power
// was cut. A store that is emptied because it was away for longer than records are kept (Store.Adopt of crdt/store)
// has forgotten too: do not collect deletions by epochs in clusters with such keys, or take a node that was readmitted
// out of the ring.
//
// What was deleted leaves a state of some 45 bytes, or up to 170 with the versions of its last changes, for good: it
// must not be forgotten either. Nothing else in the store may touch keys with [Prefix]. States cannot be reset, so
// to delete one there fails.
//
// # Costs
//
// N owners get a message each at every round. A read takes one round, in which nothing is written, unless others change
// the key just then; else mostly one or two more. A change takes two, which both write, or one where [Registers.Ahead]
// applies; the first one ever of a key takes three if it is by Change. To be refused by a conflict takes one, and writes
// nothing: an acceptor that holds something else than CompareAndSet and Create expect makes no promise. So calls that
// change nothing leave nothing behind of keys that were never written; calls that fail may leave a promise of 20 bytes. Three nodes over loopback, in memory, on two cores: 140 µs a change and 75
// with Ahead, where a write to a majority takes 42; a read 48, where one of a majority takes 32. With many callers a
// change costs four to six times a write, with Ahead three to four, since writes that meet share messages, and these
// do not.
//
// Calls of one node that change the same key come one after the other, and those that wait are made together, up to 64
// as one proposal: each is given what the one before has made, and has a version of its own. So a node makes the more
// changes of a key the more are asked of it. Those of several nodes are rivals, and outbid one another: each waits for
// a time that is random, and longer each time, before it tries again, and who was first leaves them some. On virtual
// time, with a round trip of 2 to 4 ms, 64 callers make 5,800 changes of one key a second by one node, 11,600 with
// Ahead, and about 1,100 to 1,400 by three nodes that are rivals. So send changes of such a key through one node.
//
// # Bounds
//
// A value that does not fit into a message would keep its key from ever being read or changed again, so it is refused
// before anybody is asked to accept it ([Registers.MaxValue]). Ballots are bounded, and acceptors refuse those that are
// implausibly far ahead: to use up those of one key takes millions of hostile messages, and other keys go on. Messages
// are trusted otherwise: who can call a node can write to its keys.
//
// # Concurrency
//
// A [Registers] is safe for concurrent use once its fields are set. Functions given to [Registers.Change] are called
// by other goroutines than the caller's, one at a time for a key; what they panic with is given to the caller's. One alone may serve a store, since its locks are
// its own. Any number may propose under one name, at once or one after the other: ballots carry a random number of 64
// bits for each call.
//
// # Errors
//
// [*ConflictError]: the key was not as expected. [*TooLargeError]: the value is too large; nothing was changed. [*UnknownError]: a change may have been made, or may still be.
// [*quorum.UnavailableError] and [*quorum.TimeoutError]: a majority could not be asked, or did not answer; then
// nothing was changed. [*quorum.LevelError]: nobody holds the key. The error of a caller's own context passes
// untouched, unless a change had been proposed.
//
// Who is told that it is not known whether a change was made finds out by [UnknownError.Made], or tries again: with the
// version that was expected before that is always safe.
//
// # Wire compatibility
//
// One method, with messages at version 1, and the state of an acceptor, all canonical msgpack, held by golden tests:
//
//	caspaxos/do  [1, ask, key, placement, ballot, ahead, record, when, expected] → [1, said, promised, accepted, record, placement, firm]
//	state        [], [promised], [promised, accepted, record] or [promised, accepted, record, known, blind]
//	record       nothing, or [found, data, version, ...]
//
// A ballot, and a version, is two numbers. Asks are 0 look, 1 prepare, 2 accept; what is said is 0 yes, 1 outbid, 2
// placed anew, 3 not as expected, 4 too far ahead. What is expected is 0 anything, 1 something, 2 no value, 3 a version.
//
// # Testing
//
// A call is a step machine without goroutine, clock or I/O. Histories of such, with all that may happen between nodes
// drawn from a seed, also in the middle of a request, are checked for linearizability: partitions, crashes, lost and
// repeated messages, copies at any time, changes of the ring to other nodes and back. A model visits every state of
// small ones. Package internal/linearizability does the same with porcupine and real nodes. Faults that are planted
// are found, and so are reads that ask one node.
package caspaxos
