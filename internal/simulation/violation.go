package simulation

import (
	"fmt"
	"strings"
	"time"
)

// A Violation is an invariant that a run broke.
type Violation struct {
	Seed      uint64
	Invariant string        // which one, by the names that the package documents
	Keys      []string      // that it is about, if any
	At        time.Duration // virtual time since the run began
	Detail    string
}

// Error says what broke, and ends with the command that replays it.
func (v *Violation) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "simulation: seed %d, at %v: %s", v.Seed, v.At, v.Invariant)
	if len(v.Keys) > 0 {
		fmt.Fprintf(&b, " (keys %s)", strings.Join(v.Keys, ", "))
	}
	fmt.Fprintf(&b, ": %s\nreplay: %s", v.Detail, Command(v.Seed))
	return b.String()
}

// fail records the first violation and stops the run.
func (r *run) fail(invariant, key, format string, args ...any) {
	if r.violation != nil {
		return
	}
	v := &Violation{Seed: r.seed, Invariant: invariant, At: r.now, Detail: fmt.Sprintf(format, args...)}
	if key != "" {
		v.Keys = []string{key}
	}
	r.violation = v
	r.trace.say(r.now, -1, "VIOLATION %s %v: %s", invariant, v.Keys, v.Detail)
}

// The invariants, by the names under which a Violation reports them.
const (
	panicked           = "a panic"
	errorUnexplained   = "an error that no fault explains"
	bytesUnknown       = "bytes that nobody made"
	bytesAmbiguous     = "equal bytes, different histories"
	bytesDiverse       = "equal histories, different bytes"
	modelDiffers       = "the state differs from the model"
	noveltyWrong       = "what a merge called new is not what was new"
	dotTwice           = "a dot was issued twice"
	stampWrong         = "a timestamp that does not come after all before it"
	boundPassed        = "a bound was passed, or rights were made or lost"
	clockWrong         = "a clock that follows a timestamp it must not, or not one it must"
	ackedByFew         = "acknowledged by fewer replicas than the level asks for"
	readMissed         = "a read missed a write that its quorum must have seen"
	readWentBack       = "a quorum read went back"
	outboxDiffers      = "an outbox sends something else than was put into it"
	ackedUnmerged      = "a peer acknowledged a delta that it does not have"
	portionWrong       = "what a store says that another lacks is not all of it"
	roundIncomplete    = "a complete round left a difference"
	ackedLost          = "an acknowledged write is not in the final state"
	replicasDiffer     = "replicas differ after the faults stopped"
	neverQuiet         = "replicas did not come to rest after the faults stopped"
	operationUndecided = "an operation was never decided"
	generationWrong    = "a generation that no record led to, or a state merged that is of no generation before"
	forgottenAlive     = "a record forgets what is not removed"
	cameBack           = "what was removed and forgotten came back"
	forked             = "members settled different records"
	lostUntold         = "a write was lost that was not set aside"
	neverCollected     = "what all have removed was never collected"
	identityWrong      = "a store that goes on under a name which it must not, or takes another without need"
	notDurable         = "a call returned before it was durable"
	indexWrong         = "an index that is not what the keys come to"
	echoed             = "a delta went back to where it came from"
)
