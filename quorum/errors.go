package quorum

import (
	"errors"
	"fmt"
	"math"
)

// ErrVersion says that a peer speaks a version of the messages that this program
// does not know: it is newer, and its bytes are not damaged.
var ErrVersion = errors.New("quorum: unknown message version")

// ErrSuspected says that a node was not asked, because it has not answered for a
// while; see [Coordinator].
var ErrSuspected = errors.New("quorum: suspected to be away")

// errors of a Coordinator that was not given what a call turned out to need.
var (
	errNoRing    = errors.New("quorum: Coordinator.Ring is nil")
	errNoJoin    = errors.New("quorum: Coordinator.Join is nil")
	errNoLocal   = errors.New("quorum: Coordinator.Local is nil")
	errNoCaller  = errors.New("quorum: Coordinator.Caller is nil")
	errNoReplica = errors.New("quorum: this node holds no keys")
	errNoHints   = errors.New("quorum: this node keeps no hints")
)

// A RingError says that a request was made by a coordinator with an older ring: the
// key is placed otherwise by now. Nothing was read; what was to be written may have been merged
// before the ring came, and does not count. A Coordinator whose
// [Ring] can be refreshed does that, and asks again.
type RingError struct {
	Key          string
	Mine, Theirs uint64 // Placement.Version here, and at the coordinator
}

// learnable reports whether there is something to learn from who refused: a node that has no ring
// yet refuses everything.
func (e *RingError) learnable() bool { return e.Mine < math.MaxUint64 }

// Error says which versions the two know of.
func (e *RingError) Error() string {
	return fmt.Sprintf("quorum: %q is placed anew: by version %d, and asked for by version %d", e.Key, e.Mine, e.Theirs)
}

// A MessageError says that a peer's message was refused: damaged, hostile, or not
// of this protocol.
type MessageError struct {
	Offset int // bytes from the start of the message
	Reason string
}

// Error says why the message was refused, and where.
func (e *MessageError) Error() string {
	return fmt.Sprintf("quorum: bad message: %s at offset %d", e.Reason, e.Offset)
}
