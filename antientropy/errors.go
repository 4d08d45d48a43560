package antientropy

import (
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/transport"
)

// ErrVersion says that a message is of another version of the protocol than this
// program speaks. It is kept apart from corruption.
var ErrVersion = errors.New("antientropy: message of another version")

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

// A GenerationError says that two nodes are of different generations and that neither
// can go where the other is, for now: this node is not the one to give way, or a member
// has not heard yet from another what a third one knows; see [Membership]. Nothing was
// exchanged, and a later attempt will find them together.
type GenerationError struct {
	Peer        transport.NodeID
	Own, Theirs string // generations, as [Follower] has them
}

func (e *GenerationError) Error() string {
	return fmt.Sprintf("antientropy: %s is of generation %x, this node of %x, and neither follows the other now", e.Peer, e.Theirs, e.Own)
}

// An EpochError says that a member does not take part in a collection, since the epoch
// that it has is another, or has come to be another while the collection went on.
type EpochError struct {
	Peer        transport.NodeID // who has it; it may be this node
	Own, Theirs uint64           // the number of the collection's epoch, and of the other; 0: it is no member
}

func (e *EpochError) Error() string {
	return fmt.Sprintf("antientropy: %s has epoch %d, not %d", e.Peer, e.Theirs, e.Own)
}

func isApart(err error) bool {
	_, ok := errors.AsType[*GenerationError](err)
	return ok
}
