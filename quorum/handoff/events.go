package handoff

import (
	"strconv"

	"github.com/eventual-go/eventual/transport"
)

// Events are what a [Handoff] tells as it happens. Any of the functions may be nil.
// They are called from several goroutines at once, with no lock held; what they delay
// is the work of who calls.
type Events struct {
	// OnReplayed is told of each batch of hints that a target has answered.
	OnReplayed func(Replayed)

	// OnDropped is told of hints that are not held any more without having been
	// delivered, and of the first one for each target that was not taken: from then on
	// the target needs anti-entropy, and [TargetStats.Incomplete] says so, until all
	// that is held for it has been delivered. Of targets that nothing is held for nothing
	// is remembered: of all those together the first refusal is told, until a hint for
	// one of them is taken. Counts.Dropped has them all.
	OnDropped func(Dropped)

	// OnFailed is told once that the Log failed.
	OnFailed func(error)
}

// A Replayed is what became of one batch.
type Replayed struct {
	Target  transport.NodeID
	Hints   int // that were merged
	Bytes   int // of their states
	Refused int // hints that the target refused; they are tried again
}

// A Dropped says that hints were dropped, or that one was not taken.
type Dropped struct {
	Target transport.NodeID
	Hints  int
	Bytes  int // by [Limits]
	Reason Reason
	Key    string // if it was one, for TooMany, TooLarge, Refused
	Err    error  // *[FullError], *[RefusedError], or what Join said of what was held; nil if too old or departed
}

// A Reason is why hints were dropped.
type Reason uint8

// The reasons.
const (
	TooMany  Reason = iota // over one of the [Limits]
	TooOld                 // over MaxAge
	TooLarge               // over MaxMessage, here or at the target
	Refused                // by the target, again and again; or what was held joins with nothing
	Departed               // [Handoff.Forget]

	allReasons // how many there are
)

// String returns "too many", "too old", "too large", "refused" or "departed".
func (r Reason) String() string {
	if r >= allReasons {
		return "Reason(" + strconv.Itoa(int(r)) + ")"
	}
	return [...]string{"too many", "too old", "too large", "refused", "departed"}[r]
}

func (e *Events) replayed(r Replayed) {
	if e.OnReplayed != nil && r.Hints+r.Refused > 0 {
		e.OnReplayed(r)
	}
}

func (e *Events) dropped(all []Dropped) {
	if e.OnDropped == nil {
		return
	}
	for _, d := range all {
		e.OnDropped(d)
	}
}

func (e *Events) failed(err error) {
	if e.OnFailed != nil {
		e.OnFailed(err)
	}
}
