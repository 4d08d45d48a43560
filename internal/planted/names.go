package planted

// The faults that have a hook. Each is a mistake that a system of this kind has
// really shipped.
const (
	// ContextGap, in vclock.Context.Merge: merging claims every event up to the
	// highest one, as a plain version vector would. Deltas that arrive out of order
	// then hide the ones still on their way.
	ContextGap = "context-gap"

	// TallyTwice, in quorum.Tally: a replica that answers twice counts twice, so that
	// a write is acknowledged by fewer replicas than its level asks for.
	TallyTwice = "tally-twice"

	// AckBeforeMerge, in the antientropy responder: a pushed batch is acknowledged
	// although only its first entry was merged. The sender forgets the rest.
	AckBeforeMerge = "ack-before-merge"

	// RoundForgets, in antientropy.Round: of the differences that were found, only
	// the first frame is repaired, and the round says that it is complete.
	RoundForgets = "round-forgets"

	// IdentityReused, in the simulator's own restart: a replica that lost its disk
	// comes back under its old identity, and issues its first dots a second time.
	IdentityReused = "identity-reused"

	// Echo, in antientropy.Outbox: a delta goes to all peers, also to the one that it came
	// from.
	Echo = "echo"

	// EarlyCollection, in antientropy.Collection: what members forget is decided although
	// some of them did not answer, and so may not have what is forgotten.
	EarlyCollection = "early-collection"

	// NotLifted, in the store's merge: a state from before a record is taken as it is, and
	// brings back what was removed and forgotten.
	NotLifted = "not-lifted"

	// IdentityKept, in the store: a key that is made anew after it was forgotten has its
	// events numbered from the beginning, under the name of before.
	IdentityKept = "identity-kept"

	// OverClaim, in the antientropy responder: an answer claims to be all of a range, and
	// so to cover what the peer has there besides.
	OverClaim = "over-claim"

	// OverSeen, in the store: what it says that it has seen of a key claims an event more
	// than it has, of each type. Who knows that event then does not send it.
	OverSeen = "over-seen"

	// PoisonedSketch, in merkle: new states of every other key do not reach the sketch of
	// a tree, and what is read out of sketches is not compared with the roots.
	PoisonedSketch = "poisoned-sketch"

	// IdentityTrusted, in the store: one that is opened goes on under its name, whatever has become of its disk. It
	// numbers once more what a crash took away, and others have.
	IdentityTrusted = "identity-trusted"

	// GuardAsleep, in the store: an event of its own that it never numbered does not make it suspicious.
	GuardAsleep = "guard-asleep"

	// AckBeforeSync, in the store: a call returns before what it wrote is durable.
	AckBeforeSync = "ack-before-sync"

	// RowBeforeValue, in the store: what the index must know of a key is written before its value, and not with it. A
	// crash in between leaves an index of what is not there.
	RowBeforeValue = "row-before-value"

	// SettleNotResumed, in the store: that a record is being settled is not written down, so a crash leaves some keys
	// behind.
	SettleNotResumed = "settle-not-resumed"

	// ClockForgotten, in the store: how far its clock had come is not written down, so that after it was closed and
	// opened it may stamp as before.
	ClockForgotten = "clock-forgotten"
)

// Names is every planted fault, in the order in which the tests try them.
func Names() []string {
	return []string{ContextGap, TallyTwice, AckBeforeMerge, RoundForgets, IdentityReused,
		Echo, EarlyCollection, NotLifted, IdentityKept, OverClaim, OverSeen, PoisonedSketch,
		IdentityTrusted, GuardAsleep, AckBeforeSync, RowBeforeValue, SettleNotResumed, ClockForgotten}
}
