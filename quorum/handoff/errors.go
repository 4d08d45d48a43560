package handoff

import (
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/transport"
)

// ErrVersion says that a message, or a row of a [Log], is of a newer version than this
// program knows. It is kept apart from corruption.
var ErrVersion = errors.New("handoff: unknown version")

// ErrRunning says that [Handoff.Run] was called while it was running already.
var ErrRunning = errors.New("handoff: running already")

// A FullError says that a hint was not taken, since bounds forbid it. What had been held
// is held on; the delta itself is left to anti-entropy.
type FullError struct {
	Target transport.NodeID
	Key    string
	Size   int    // bytes that would have been held under the key
	Reason Reason // TooMany, TooLarge, or TooOld: the target has been away for too long
	Limit  int    // that it is over, of bytes, of hints or of targets; zero for TooOld
}

func (e *FullError) Error() string {
	if e.Reason == TooOld {
		return fmt.Sprintf("handoff: %s has been away for too long to hold more for it", e.Target)
	}
	return fmt.Sprintf("handoff: %d bytes of %q for %s: %v for the limit of %d", e.Size, e.Key, e.Target, e.Reason, e.Limit)
}

// A RefusedError is a target's refusal to merge one hint.
type RefusedError struct {
	Reason string // what the target's replica said, cut to 200 bytes
}

func (e *RefusedError) Error() string { return "handoff: target refused: " + e.Reason }

// A CorruptError says why bytes were refused, and where.
type CorruptError struct {
	Where  string // MethodReplay, or "row" of a [Log]
	Offset int    // bytes from the start
	Reason string // lower case, no trailing full stop
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("handoff: corrupt %s: %s at offset %d", e.Where, e.Reason, e.Offset)
}

// A LogError says that the [Log] failed. It is final: from then on nothing is kept, and
// nothing more is written. What is held in memory is replayed nevertheless.
type LogError struct {
	Err error // what the Log said
}

func (e *LogError) Error() string { return "handoff: log failed for good: " + e.Err.Error() }

// Unwrap returns e.Err.
func (e *LogError) Unwrap() error { return e.Err }
