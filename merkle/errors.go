package merkle

import (
	"errors"
	"fmt"
)

// ErrTooManyRounds says that a session was not finished within
// [SessionConfig].MaxRounds messages. What it found so far is right.
var ErrTooManyRounds = errors.New("merkle: too many rounds")

// ErrFinished is returned by a session that is given a message after its end.
var ErrFinished = errors.New("merkle: session is finished")

// MessageError says that a message is not one that the protocol allows here.
// The session that got it is as it was before, and may be given another.
type MessageError struct {
	Offset int // in bytes, where known; otherwise the length of the message
	Reason string
}

func (e *MessageError) Error() string {
	return fmt.Sprintf("merkle: bad message at byte %d: %s", e.Offset, e.Reason)
}

// Aspect is what two copies must have in common to be comparable.
type Aspect uint8

// The aspects, in the order in which they are compared.
const (
	AspectVersion Aspect = iota + 1 // of the messages
	AspectFormat                    // of the elements that the trees hold
	AspectSecret                    // of the hashers, as a 32-bit name that does not reveal it
	AspectEpoch                     // SessionConfig.Epoch
	AspectRanges                    // the responder does not serve what was asked about
)

var aspects = [...]string{"unknown aspect", "version", "format", "secret", "epoch", "ranges"}

// String returns the name of a.
func (a Aspect) String() string {
	if int(a) < len(aspects) {
		return aspects[a]
	}
	return aspects[0]
}

// IncomparableError says that two replicas cannot be compared, and why. It is
// returned on the initiator's side; the responder's answer carries it there.
type IncomparableError struct {
	Aspect       Aspect
	Mine, Theirs uint64 // zero for AspectRanges
}

func (e *IncomparableError) Error() string {
	if e.Aspect == AspectRanges {
		return "merkle: incomparable: the peer does not serve these ranges"
	}
	return fmt.Sprintf("merkle: incomparable: %s is %#x here and %#x there", e.Aspect, e.Mine, e.Theirs)
}
