package store

import (
	"fmt"

	"github.com/eventual-go/eventual/vclock"
)

// Events are what a program may want to know of a store that is not the result of a call. Each may be nil. They are
// called with no lock held, at the end of a call: that which came upon it, or one that ended meanwhile. What [Open] comes
// upon is told before it returns. A store whose index was in doubt makes it again in a goroutine of its own, and what that
// comes upon is told from there. So functions that share something guard it.
type Events struct {
	// Rotated is called after the store has taken another identity, which it does as soon as it cannot be sure that
	// what it numbers next was not numbered before.
	Rotated func(Rotation)

	// Damaged is called where what there is of a key on disk cannot be read. What could be read of it is held on to,
	// and the rest comes back from the replicas that have it.
	Damaged func(key string, err error)

	// Failed is called once if the backend has failed: the store is closed then.
	Failed func(err error)
}

// A Rotation is a change of the identity under which a store writes, see [Store.Replica].
type Rotation struct {
	From, To vclock.ReplicaID
	Reason   Reason
	Key      string // where another writer was seen; "" otherwise
}

// A Reason says why a store has rotated its identity.
type Reason uint8

// Reasons for a rotation.
const (
	Unclean  Reason = 1 + iota // it was not closed: what it wrote last may be lost, while others have it
	Moved                      // its folder was copied, restored or moved: there may be another store that goes on under this name
	Renamed                    // it was opened with another Config.Replica
	Seen                       // it met an event of its own that it had never numbered: somebody else has, or it has forgotten
	Restored                   // it has read a backup, see [Store.Restore]
)

// String is the reason in a few words.
func (r Reason) String() string {
	switch r {
	case Unclean:
		return "not closed"
	case Moved:
		return "copied, restored or moved"
	case Renamed:
		return "renamed"
	case Seen:
		return "another writer has this name"
	case Restored:
		return "restored from a backup"
	}
	return fmt.Sprintf("Reason(%d)", uint8(r))
}

func (e *Events) rotated(r Rotation) {
	if e.Rotated != nil {
		e.Rotated(r)
	}
}

func (e *Events) damaged(key string, err error) {
	if e.Damaged != nil {
		e.Damaged(key, err)
	}
}

func (e *Events) failed(err error) {
	if e.Failed != nil {
		e.Failed(err)
	}
}
