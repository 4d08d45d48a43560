package membership

import (
	"fmt"
	"slices"

	"github.com/eventual-go/eventual/transport"
)

// Events are called as things happen; a nil one is not called. They are called by one goroutine of
// Run, one after the other and with no lock held, and may call the [Members].
type Events struct {
	// OnMember is called when a member is another than it was, with what it is by now: of several changes one
	// after the other some may be left out. This node is a member too.
	OnMember func(Member)
	// OnConflict is called when another process is met under the name of a member. It is not
	// adopted. It is told again as long as that goes on.
	OnConflict func(*ConflictError)
	// OnRefused is called when somebody who has a key is not taken for a member.
	OnRefused func(*RefusedError)
}

// A ConflictError says that a node which is alive was met at another address: there are two processes of
// one name, or it was started again there before it was noticed that the first was gone. The
// second is not adopted before the first is dead.
type ConflictError struct {
	Node        transport.NodeID // may be this one
	Gossip      string           // of the member
	OtherGossip string           // of the other process
	OtherAddr   string           // the same of its transport, as it says
}

// Error names both processes.
func (e *ConflictError) Error() string {
	return fmt.Sprintf("membership: two processes are %q: one at %s, the other at %s", e.Node, e.Gossip, e.OtherGossip)
}

// A RefusedError says why somebody is no member.
type RefusedError struct {
	Node   transport.NodeID // as it says, cut to the length of a name
	Gossip string           // of it
	Reason string           // lower case, no trailing full stop
}

// Error says who is refused, and why.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("membership: %q at %s is refused: %s", e.Node, e.Gossip, e.Reason)
}

// maxUntold is how many events of each kind wait, but for those of members, of which there is one each.
const maxUntold = 64

// untold are events that were not told yet.
type untold struct {
	members   map[transport.NodeID]bool
	conflicts []*ConflictError
	refused   []*RefusedError
	dropped   uint64
}

func (u *untold) member(id transport.NodeID) {
	if u.members == nil {
		u.members = make(map[transport.NodeID]bool)
	}
	u.members[id] = true
}

func (u *untold) conflict(e *ConflictError) {
	u.conflicts = wait(u, u.conflicts, e)
}

func (u *untold) refusal(e *RefusedError) {
	u.refused = wait(u, u.refused, e)
}

// wait adds an event that is not there yet.
func wait[E comparable](u *untold, all []*E, e *E) []*E {
	switch {
	case slices.ContainsFunc(all, func(o *E) bool { return *o == *e }):
		return all
	case len(all) >= maxUntold:
		u.dropped++
		return all
	}
	return append(all, e)
}
