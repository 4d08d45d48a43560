package placed

import (
	"fmt"
	"time"

	"github.com/eventual-go/eventual/internal/planted"
)

// A Violation is an invariant that a run broke.
type Violation struct {
	Seed      uint64
	Invariant string        // which one, by the names that the package documents
	Key       string        // that it is about, if any
	At        time.Duration // virtual time since the run began
	Detail    string
}

// Error says what broke, and ends with the command that replays it.
func (v *Violation) Error() string {
	return fmt.Sprintf("placed: seed %d, at %v: %s (key %q): %s\nreplay: %s",
		v.Seed, v.At, v.Invariant, v.Key, v.Detail, Command(v.Seed))
}

// Command is the command that replays a seed, with its trace.
func Command(seed uint64) string {
	how := "go test ./internal/simulation/placed"
	if planted.Bug != "" {
		how = fmt.Sprintf("EVENTUAL_BUG=%s go test -tags planted ./internal/simulation/placed", planted.Bug)
	}
	return fmt.Sprintf("%s -run '^TestSeeds$' -seed %d -v", how, seed)
}

// fail records the first violation and stops the run.
func (r *run) fail(invariant, key, format string, args ...any) {
	if r.violation != nil {
		return
	}
	r.violation = &Violation{Seed: r.seed, Invariant: invariant, Key: key, At: r.now, Detail: fmt.Sprintf(format, args...)}
	r.say(nil, "VIOLATION %s (key %q): %s", invariant, key, r.violation.Detail)
}

// The invariants, by the names under which a Violation reports them.
const (
	panicked        = "a panic"
	unexplained     = "an error that no fault explains"
	bytesUnknown    = "bytes that nobody made"
	contentWrong    = "a store does not hold what was merged into it"
	levelWrong      = "a level was refused that can be asked, or taken that cannot"
	ackedByFew      = "acknowledged by fewer than the level asks for"
	heldByFew       = "a read was answered before enough hold what it returned"
	resultWrong     = "a result does not say who answered"
	notFoundWrong   = "not found, although somebody had answered with something"
	readMissed      = "a read missed a write that it must have seen"
	wentBack        = "a read went back behind another"
	hintLost        = "a hint that was kept is neither held, nor delivered, nor told to be dropped"
	hintsOver       = "more hints are held than the limits allow"
	hintsWrong      = "a buffer does not hold what its log does"
	twoRings        = "two rings of one epoch"
	ringWrong       = "a ring was not adopted that had to be, or was that had not"
	taskWrong       = "a reconciliation that is complete left a difference"
	droppedEarly    = "a node drops what it has not handed over"
	ackedLost       = "an acknowledged write is lost"
	ownMissed       = "a session read less than it had written"
	sessionBack     = "a session read less than it had read"
	writesReordered = "what a session wrote was seen, and what it had written before was not"
	causeMissed     = "what a session wrote was seen, and what it had read before was not"
	notLinearizable = "calls on a key did not happen one after the other"
	versionTwice    = "one version of a register has two values"
	neverQuiet      = "the cluster did not come to rest after the faults stopped"
)
