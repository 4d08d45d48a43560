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
)

// Names is every planted fault, in the order in which the tests try them.
func Names() []string {
	return []string{ContextGap, TallyTwice, AckBeforeMerge, RoundForgets, IdentityReused}
}
