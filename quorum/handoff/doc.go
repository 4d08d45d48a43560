// Package handoff keeps deltas for nodes that are away, and merges them there when they
// are back: hinted handoff (DeCandia et al.: Dynamo, SOSP 2007, section 4.6).
//
// Keys and states are bytes with a merge, as in package quorum, whose coordinators keep
// a hint with whoever stands in for an owner that did not answer. A [Handoff] is a
// quorum.Hints.
//
// # Smallest use
//
//	h := &handoff.Handoff{
//		Self: "a", Join: store.Join, Replica: store, // how to join hints, where those of others go
//		Caller: network, Log: log,                   // how to reach the others, where hints lie meanwhile
//	}
//	mux.Handle("handoff/", h.Handler())             // takes hints that others kept for this node
//	go h.Run(ctx)                                   // replays those that this node keeps
//	err := h.Keep(ctx, "b", "cart", delta)          // b did not answer
//
// # Guarantees
//
// What Keep has acknowledged is delivered to its target, which is to say that the
// target's replica has merged it, or it is dropped and told to Events.OnDropped. With a
// [Log] this holds over crashes and restarts of this node: what is held is replayed by
// whoever runs with that Log next, with no other message to start it.
//
//   - Hints of one target and key are one, joined. So what is held is bounded by the
//     keys that were written to, however often, and replaying it in any order, or twice,
//     changes nothing. A hint that was joined to while it was on its way is held on.
//   - What is held is bounded in bytes, keys, targets and age: [Limits]. A hint over a
//     bound is not taken, and the one who wrote is told, by a [*FullError]; a target that
//     nothing was taken for leaves nothing behind. The window of MaxAge
//     begins with the oldest delta that was not delivered, whatever has happened since:
//     a target that comes and goes does not get another one, nor does a restart give it.
//   - A node takes replays from all others together at its Rate. Each answer says when
//     its sender may send how much next, so that a node that comes back is not run over
//     by those who waited for it; senders take turns.
//   - A target that refuses one key gets the others. A target that is away costs a small
//     call every few seconds.
//   - A hint whose target holds the key no more, because the ring has changed, is taken over by the
//     node that has it, and comes to those who hold the key by anti-entropy, or, if this node does
//     not either, by being handed over: Handoff.Holds.
//
// Hints shorten the time in which replicas differ. They do not replace anti-entropy: it
// has to bring what was dropped or not taken, and [TargetStats.Incomplete] says for whom
// there was something.
//
// A hint holds a state as it was when it was written. If that has come to be from before
// what its target has agreed to forget, it is the target's merge that has to see it, as
// that of crdt/store does: so nothing that was deleted comes back by a hint.
//
// # Concurrency
//
// A Handoff is safe for concurrent use once its fields are set. It has no goroutine but
// those of Run, which end before Run returns. No lock is held while Join, Log, Caller,
// Replica or Events are called. Events may call the Handoff; Join and the Log must not wait
// for it, since others wait for them.
//
// Changes of those who wait at the same time are carried out by one of them, with one
// write of the Log. A ctx bounds how long a call waits for others. It does not cut short a
// Join of the call's own delta that has begun, nor the changes of others that the call
// itself carries out.
//
// [Buffer] and [Intake] are for one goroutine each.
//
// # Errors
//
// [*FullError]: bounds forbid it, and the delta was not kept. [*LogError]: the Log failed,
// now or earlier. That is final, since nobody knows what is on a disk after an error:
// nothing more is kept or written, while what is in memory is still replayed.
// [*CorruptError] and [ErrVersion]: bytes of a message or of a row that cannot be read,
// or are of a newer program.
//
// A Join or a Log should not panic. If one does, the panic is that of whichever call was
// carrying out the changes, which may be Run, and the others that share the write fail;
// what they keep may be held nevertheless. A Log that has panicked has failed for good.
//
// # Wire compatibility
//
// Messages and rows are canonical msgpack, both at version 1; the bytes are held by golden
// tests. A request is [version, least, want, [key, state, ...]], the sizes being those of
// the sender's next request, at least and at best. The response is [version, taken, [index,
// reason, ...], pause, allowance]: so many hints were looked at, these of them refused, and
// after the pause in milliseconds a request of so many bytes is taken.
//
// # Testing
//
// [Buffer] and [Intake] are all of the protocol as step machines without goroutine, clock
// or I/O; a simulator runs what a Handoff runs. A Handoff runs in testing/synctest bubbles.
package handoff
