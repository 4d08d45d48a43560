package antientropy

import (
	"errors"
	"fmt"
)

// ErrVersion says that a message is of a newer version of the protocol than this
// program knows. It is kept apart from corruption.
var ErrVersion = errors.New("antientropy: message of a newer version")

// ErrRunning says that [Loop.Run] was called while it was running already.
var ErrRunning = errors.New("antientropy: loop is running")

// A CorruptError says why the bytes of a message were refused, and where.
type CorruptError struct {
	Method string // of the message, or of the one it answers
	Offset int    // bytes from the start of the message
	Reason string // lower case, no trailing full stop
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("antientropy: corrupt %s: %s at offset %d", e.Method, e.Reason, e.Offset)
}

// A TooLargeError says that a state or delta does not fit into one message. The
// key cannot be brought into agreement until MaxMessage is raised on both sides;
// all other keys are not affected.
type TooLargeError struct {
	Key  string // the first 128 bytes of it where it was told by a peer
	Size int    // bytes of the state
	Max  int    // the most bytes that a message may have
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("antientropy: state of %q has %d bytes and does not fit into a message of %d", e.Key, e.Size, e.Max)
}

// A RefusedError is a peer's refusal to merge or to load one key.
type RefusedError struct {
	Reason string // what the peer's store said, cut to 200 bytes
}

func (e *RefusedError) Error() string { return "antientropy: peer refused: " + e.Reason }
