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
// are acknowledged. So a peer gets the deltas of one node in the order in which
// they were put. A delta never goes back to where it came from, and only what was
// new to a store is passed on by it. With the default settings all nodes pass on:
// in a mesh with cycles an update reaches a node by more than one way.
//
// What waits for one peer is bounded, and one copy of it serves all peers. A peer
// that does not answer, or takes too long, has nothing waiting for it: its deltas
// are dropped and it is reconciled with instead.
//
// A reconciliation compares the two indexes (package merkle), asks for what the
// peer has where they differ, merges that, and sends back what still differs. Both
// compare again just before they send, and leave alone what is under way as a
// delta, for one exchange at most. So nearly nothing is sent that is not
// missing, also while both sides are written to. It can send back a whole state
// where a part would do: a Store cannot tell the part that a peer lacks.
//
// A peer that stopped answering is noticed by the first call that goes unanswered
// twice, which a reconciliation takes two seconds to find out. It is reconciled
// with at once when it calls, and otherwise at the next attempt to reach it, of
// which there is one every two seconds or more often. [Loop] has the numbers.
//
// # Concurrency
//
// A [Loop] and its handler are for any number of goroutines. It starts goroutines
// in Run alone, two for each peer and two besides, and they have ended when Run
// returns. The cores that it drives, [Round] and [Outbox], are for one goroutine
// at a time and hold none, nor clock, lock or randomness; [Responder] keeps no
// state at all. Most users will not need them: they are for simulation and for
// drivers of one's own. No lock is held while a Store, a Caller or an event is
// called. A reconciliation lets others with the same peer go ahead while it tells
// its events, so an event may start one.
//
// # Errors
//
// Of messages: [CorruptError] and [ErrVersion], and those of package merkle where
// two indexes cannot be compared. Of single keys, by Events: [TooLargeError],
// [RefusedError] and what the Store says. Errors of a context and of the transport
// pass untouched.
//
// # Wire compatibility
//
// Three methods, each message an array in the canonical msgpack subset of this
// module that starts with its version, now 1:
//
//	antientropy/push       [1, [key, state, ...]]           → [1, merged, novel, refused, [index, reason, ...]]
//	antientropy/reconcile  [1, session, message]            → [1, message]
//	antientropy/pull       [1, limit, skip, questions]      → [1, more, [answer, ...]]
//
// An answer to a pull names at most 64 keys in one range, also in parts: more
// do not come to share one. A message of a newer version is refused with
// [ErrVersion]. All peers of a cluster hash keys with one secret.
//
// # Testing
//
// Loops over package transport/mem run in testing/synctest bubbles. For runs that
// replay exactly drive Round, Outbox and Responder from an event heap.
package antientropy
