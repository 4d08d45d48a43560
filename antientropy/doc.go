// Package antientropy brings the stores of several nodes into agreement and keeps
// them there: it sends each update to the peers as it happens, and finds and
// repairs in the background what that missed. It knows keys and encoded states
// alone; what merging them means is the [Store]'s affair.
//
// # Smallest use
//
//	loop := &antientropy.Loop{Store: s, Peers: antientropy.Static("b", "c"), Caller: tr}
//	mux.Handle("antientropy/", loop.Handler())
//	err := loop.Run(ctx)                       // blocks; or, for once and by hand:
//	x, err := loop.Exchange(ctx, "b")
//
// # Guarantees
//
// Two nodes that can call one another, now and then, come to hold equal states of
// all keys once writing stops, whatever was lost, repeated, delayed or reordered
// before, and whatever crashed: an exchange that ends early has done no harm, and
// nothing that a peer was sent claims more than it holds. The exception is a key
// that one of the stores refuses, or whose state does not fit into a message:
// that is counted and told to Events, tried again each time, and keeps no other
// key from being exchanged.
//
// Deltas are sent in batches, one at a time for each peer, and wait until they
// are acknowledged. A delta never goes back to where it came from, and only what was
// new to a store is passed on by it. With the default settings all nodes pass on:
// in a mesh with cycles an update reaches a node by more than one way, about three
// times where each has four peers. With Loop.Propagation at [Lazy] it comes along a
// tree, about once, and a tree that fails mends itself.
//
// What one node put in an order is merged at every other in that order, whoever
// passed it on: an effect never shows before its cause, where one node had both.
// Reconciliations are the exception. They bring keys in an order of their own, so
// it does not hold for what they have to make up for: deltas that were dropped, too
// large, or refused by a store.
//
// What waits for one peer is bounded in bytes and in age, and one copy of it serves
// all peers. A peer that does not answer, or takes too long, has nothing waiting for
// it: its deltas are dropped and it is reconciled with instead.
//
// A reconciliation compares the two indexes (package merkle), asks for what the
// peer has where they differ, merges that, and sends back what still differs. Both
// compare again just before they send, and leave alone what is under way as a
// delta, for one exchange at most. So nearly nothing is sent that is not
// missing, also while both sides are written to.
//
// Two nodes that find out about one another at once, as when both start or a partition ends,
// each begin a reconciliation with the other. A Loop then lets one of the two pass, for as
// long as a call may take at most, and compares once more before it sends: so nothing is sent
// twice.
//
// Of a large key the part is sent that the other side lacks, if the stores can tell
// ([Differ]): each says in few bytes what it has seen. So one element that is missing from
// a hundred thousand costs half a kilobyte, and what does not fit into a message as a whole
// is repaired if what lacks does. Whether a key is equal the fingerprints tell alone: one
// that parts do not make equal is exchanged whole, so that nothing stays hidden behind what
// stores say that they have seen. Without that a key that changed on one side only has the
// other side's state sent for nothing.
//
// What comes in one message is merged at once, by up to 256 keys, if the store can do that
// ([Merger]). So a store that has to wait for its disk waits four times for a message of a thousand
// keys, by whichever way they come. With [Eager], pushes of several keys are then merged one after
// another: of what is merged at the same time nobody can tell the order, and an effect might be
// passed on before its cause. With [Lazy] this is so for those of one origin.
//
// A store that has next to nothing of what a peer has is not asked for one key at a
// time: the peer streams all it has, which is then compared like all else. However
// many peers a new node starts with, one does so. Where it stops, the next exchange
// goes on, with any peer. Any other exchange that was interrupted finds less to do
// the next time. So each uses the least that will do, by [Strategy]: deltas while
// they are acknowledged, a reconciliation, or the full state.
//
// Reconciliations come second. They wait where a rate is set, where so many go on
// already, and while the application is busy; updates go at once. They come quickly
// while there is something to repair, and slowly while there is not. [Pace] has the
// numbers, [LAN] and [WAN] are sets of them, and a [Chooser] picks the peers.
//
// A peer that stopped answering is noticed by the first call that goes unanswered
// twice, which a reconciliation takes two seconds to find out. It is reconciled
// with at once when it calls, and otherwise at the next attempt to reach it, of
// which there is one every two seconds or more often. [Loop] has the numbers.
//
// # Nodes that hold different parts
//
// Where each node holds a part of the keys, Loop.Shared says of each peer which parts of the
// index both hold. Nothing else is compared with it or sent to it, deltas neither; with a peer
// that shares nothing nothing is exchanged, and nobody waits for it. A node that comes to hold
// a part has it brought by [Loop.ExchangeRanges], and one that is to hold it no more hands it
// over by [Loop.HandOver], to a majority of those who do, before it drops it.
//
// What comes from a peer is merged wherever it belongs, since the peer may know of a change
// of the parts that this node does not know of. A delta goes by its key. What has parts of
// several keys under one, as a batch of crdt/store has, comes at once, and whole, to those who
// share that one, and to the others by reconciliation; keep a batch within one part, and
// it goes nowhere else. A collection is of all members still: what the one that proposes does
// not hold it does not propose.
//
// # What an operator can ask
//
// [Loop.Ready] waits until all has arrived that the peers had when Run began: a node
// should serve from then on. [Loop.Stats] tells how long updates took to get here,
// over all hops, as a distribution; since when each peer is covered, which bounds how stale
// the store is; what is known to be missing still, and when that
// will have come; and of each strategy what it moved.
//
// # Forgetting
//
// What was deleted leaves something behind, or a copy that is late would bring it back.
// It can be forgotten once every node has it, and nobody but the operator knows who that
// is. Where a Loop is told, all forget together; where none is, nothing is forgotten.
//
//	loop.Self = "paris" // as the others call it
//	loop.Epoch = func() antientropy.Epoch {
//		return antientropy.Epoch{Number: 1, Members: []transport.NodeID{"paris", "rome", "tokyo"}}
//	}
//	loop.Events.OnSetAside = func(s antientropy.SetAside) { ... } // see below
//
// The members of the [Epoch] agree, and have all to be there for that: the least of them
// asks them at every Pace.CollectEvery, for what has been left alone for Pace.Quiet, and
// [Loop.Collect] does so at once. While one is away nothing is forgotten and everything
// else goes on; [Loop.Stats] and Events.OnCollected name the ones that are waited for.
// To go on without one for good, give out an Epoch with a higher number to the others.
// Nodes that are no members, such as phones, forget what the members have agreed on. The
// Store has to be a [Follower], that of a member a [Collector]; crdt/store.Store is both,
// and its Retire has what a node left in clocks and counters passed on when it will never
// come back.
//
// What was agreed on are records, and how many of them a store has applied is its
// generation. Each exchange first brings both sides to one. Who was away takes up the
// records that it missed, loses nothing that it wrote, and brings nothing back. A node
// that was away for longer than anybody keeps records (Config.Retain of crdt/store) may
// have what was forgotten since, and nobody can tell what: it is readmitted. Its store is
// emptied, filled like a new one, and all that it held told to Events.OnSetAside, key by
// key. Most of that comes back from the others. What was written there and had reached
// nobody does not: the application has to write it again, or it is lost.
//
// A node whose memory is lost starts again under its name with an empty store, members
// too. A member says what it has agreed to last, and takes no record and no proposal from
// who does not know that; so what the one that proposes decided before it lost its memory,
// and is still on its way, comes to nothing once the others have agreed to something else.
// This holds for one member at a time: if another one forgets at the same moment what it
// had agreed to, members may go two ways, and those with the lesser generation are
// readmitted. Where all members have lost their memory and agree anew, the others are: what
// only a guest still had is told there.
//
// # Concurrency
//
// A [Loop] and its handler are for any number of goroutines. It starts goroutines
// in Run alone, two for each peer and three besides, and they have ended when Run
// returns. The cores that it drives, [Round], [Outbox], [Broadcast] and [Collection], are
// for one goroutine at a time and hold none, nor clock, lock or randomness; [Responder]
// keeps no state at all, and [Membership] what they share. Most users will not need them:
// they are for simulation and for drivers of one's own. No lock is held while a Store, a
// Caller or an event is called; but one thing at a time is done with generations, so
// neither Epoch nor the methods of a Follower or Collector may wait for the Loop. A
// reconciliation lets others with the same peer go ahead while it tells
// its events, so an event may start one.
//
// # Errors
//
// Of messages: [CorruptError] and [ErrVersion], and those of package merkle where
// two indexes cannot be compared. Of nodes that cannot come together for now:
// [GenerationError] and [EpochError], and [ErrNotProposing]. Of parts that do not agree after
// all: [IncompleteError]. Of single keys, by Events: [TooLargeError],
// [RefusedError] and what the Store says. Errors of a context and of the transport
// pass untouched.
//
// # Wire compatibility
//
// These methods, each message an array in the canonical msgpack subset of this
// module that starts with its version, now 2:
//
//	antientropy/push       [2, [key, state, ...]]                       → [2, merged, novel, refused, [index, reason, ...]]
//	antientropy/deltas     [2, [key, state, age, ...]]                  → the same; ages in milliseconds
//	antientropy/tree       [2, grafts, covers, news, [[origin, first, [key, state, age, ...]], ...]]
//	                       → [2, merged, novel, refused, [index, reason, ...], [have, pruned, ...]]
//	antientropy/reconcile  [2, session, generation, standing, message]  → [2, rank, message]
//	antientropy/pull       [2, limit, skip, generation, questions, [position, seen, ...]]
//	                       → [2, more, [answer, ...]]
//	antientropy/stream     [2, limit, position, skip, generation]       → [2, position, skip, left, [key, state, ...], [key, size, reason, ...]]
//	                       [2, limit, position, skip, generation, ranges] → the same, of these ranges
//	antientropy/settle     [2, rank, promised, way]                     → [2, generation, standing]
//	antientropy/prepare    [2, epoch, generation, rank, promised, proposal]
//	                       → [2, status, epoch, generation, standing, reply or reason, way]
//
// A generation is nil where the store follows none; a standing is [rank, least, promised];
// a way is [from, record, ...], or empty. To a node of another generation the answer to a
// reconcile, a pull or a stream is [2, generation, standing, way].
//
// Ranges are bytes, the two ends of each in 8, big-endian and ascending.
//
// An answer to a pull names at most 64 keys in one range, also in parts: more
// do not come to share one. A message of a newer version is refused with
// [ErrVersion]. All peers of a cluster hash keys with one secret.
//
// # Testing
//
// Package storetest checks that a Store of one's own does what is relied on here.
// Loops over package transport/mem run in testing/synctest bubbles. For runs that
// replay exactly drive Round, Outbox or Broadcast, and Responder from an event heap.
package antientropy
