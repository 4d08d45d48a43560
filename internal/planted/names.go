package planted

// The faults that have a hook. Each is a mistake that a system of this kind has
// really shipped.
const (
	// GenerationsMixed, in quorum.ReadOp: a read merges an answer from before a deletion with one from after it was
	// collected, and answers with what was deleted.
	GenerationsMixed = "generations-mixed"

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

	// SettleEarly, in ring.Transition: a change of the ring is over before the new owners have what the old ones
	// have acknowledged.
	SettleEarly = "settle-early"

	// DropBeforeHandover, in ring.Transition: who does not hold a partition any more forgets it before it has given
	// to the new owners what it has.
	DropBeforeHandover = "drop-before-handover"

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

	// PendingIgnored, in quorum.Tally: nodes that will own a key once a change of the ring is over do not count, nor
	// are they asked.
	PendingIgnored = "pending-ignored"

	// StandInPrimary, in quorum.Tally: who stands in for an owner counts as the owner itself.
	StandInPrimary = "stand-in-primary"

	// RepairNotAwaited, in quorum.ReadOp: a read is answered before what it returns is held by as many as its level
	// asks for.
	RepairNotAwaited = "repair-not-awaited"

	// HintDeletedEarly, in handoff.Buffer: a hint is deleted when it is sent, and not when its target has acknowledged it.
	HintDeletedEarly = "hint-deleted-early"

	// VersionIgnored, in quorum.Coordinator: a node does what is asked of it by a ring that is older than its own.
	VersionIgnored = "version-ignored"

	// VersionOnce, in quorum.Coordinator: a node looks before a merge whether its ring is newer, and not after it.
	VersionOnce = "version-once"

	// PromiseForgotten, in caspaxos: an acceptor says that it promises, and writes nothing down.
	PromiseForgotten = "promise-forgotten"

	// HeldIsFirm, in caspaxos: a read counts who holds a proposal, be it as a copy, as who has accepted it, whatever was
	// promised before it came.
	HeldIsFirm = "held-is-firm"

	// TurnsIgnored, in caspaxos: an acceptor does not have requests of one key wait for one another.
	TurnsIgnored = "turns-ignored"

	// CopyCounts, in caspaxos: an acceptor that holds a proposal already, be it as a copy, says that it accepts it,
	// whatever it has promised since.
	CopyCounts = "copy-counts"

	// NextUnasked, in caspaxos: nodes that will hold a key once a change of the ring is over are not asked.
	NextUnasked = "next-unasked"

	// PromiseLost, in the simulator's own restart: what a node had promised to registers, and nothing accepted by since, is
	// not there any more.
	PromiseLost = "promise-lost"

	// FewPromises, in caspaxos: a proposer goes on with the greatest proposal of those who have promised before they are a
	// majority.
	FewPromises = "few-promises"

	// PlacementUnchecked, in caspaxos: an acceptor answers who asks by a placement that is older than its own.
	PlacementUnchecked = "placement-unchecked"

	// WriteBackNotAwaited, in quorum.ReadOp: a read that writes back is answered before that was done.
	WriteBackNotAwaited = "write-back-not-awaited"

	// TokenDropped, in session: who goes on by a token begins with nothing.
	TokenDropped = "token-dropped"

	// HoldersIgnored, in session: reads do not ask for those who have what was seen.
	HoldersIgnored = "holders-ignored"

	// WritesUnsettled, in session: what the session has written before is not brought to a majority before a write.
	WritesUnsettled = "writes-unsettled"
)

// Names is every planted fault that a cluster of full replicas shows, in the order in which the tests try them.
func Names() []string {
	return []string{ContextGap, TallyTwice, AckBeforeMerge, RoundForgets, IdentityReused,
		Echo, EarlyCollection, NotLifted, IdentityKept, OverClaim, OverSeen, PoisonedSketch,
		IdentityTrusted, GuardAsleep, AckBeforeSync, RowBeforeValue, SettleNotResumed, ClockForgotten,
		RepairNotAwaited, GenerationsMixed}
}

// Placed is every planted fault that a cluster shows whose keys are placed by a ring.
func Placed() []string {
	return []string{TallyTwice, RepairNotAwaited, PendingIgnored, StandInPrimary, HintDeletedEarly,
		SettleEarly, DropBeforeHandover, VersionIgnored, VersionOnce,
		TokenDropped, HoldersIgnored, WritesUnsettled, WriteBackNotAwaited,
		PromiseForgotten, PromiseLost, NextUnasked, FewPromises, PlacementUnchecked}
}

// Agreed is every planted fault that keys show on which nodes agree, see caspaxos.
func Agreed() []string {
	return []string{PromiseForgotten, CopyCounts, NextUnasked, FewPromises, PlacementUnchecked, HeldIsFirm}
}
