package antientropy

import (
	"slices"

	"github.com/eventual-go/eventual/transport"
)

// An Epoch says who has to agree before anything is forgotten: every member has what a
// deletion left behind before one of them drops it. Nothing else depends on it. Nodes
// that are no members, such as phones, replicate, write and delete like any other, and
// forget what the members have agreed on.
//
// An operator decides it, or a policy of the application, but not the failure of a node:
// while a member is away nothing is collected, and that is all that happens. To go on
// without it, for good, give out a new epoch with a higher number to all members. Those
// who have it take no part any more in what a lower one agrees on. A node that an epoch
// leaves out may be a member again later: give out that epoch once it has exchanged with
// a member, as [PeerStats.LastSync] tells. If it was away for longer than the records of that time are kept,
// its store is emptied and filled again then, see [Events.OnSetAside].
//
// All members have to come to hold the same epochs, in whatever way an application tells
// them, and at different times if need be. Epochs of one number have the same members.
type Epoch struct {
	// Number is higher than those of all epochs before. Zero is no epoch.
	Number uint64

	// Members are the nodes that have to agree, by the names that they have for
	// one another. The least of them proposes. It is best to have few, that are always
	// on: what one of them misses all wait for.
	Members []transport.NodeID
}

func (e *Epoch) has(id transport.NodeID) bool { return slices.Contains(e.Members, id) }

// proposer is the least member; nobody if there is none.
func (e *Epoch) proposer() transport.NodeID {
	if len(e.Members) == 0 {
		return ""
	}
	return slices.Min(e.Members)
}

// others are the members but for one, ascending.
func (e *Epoch) others(id transport.NodeID) []transport.NodeID {
	all := slices.Compact(slices.Sorted(slices.Values(e.Members)))
	return slices.DeleteFunc(all, func(m transport.NodeID) bool { return m == id })
}

// A position is where a node stands, as one peer is told.
type position struct {
	plain      bool   // its store is no Follower
	generation string // empty: it has met nobody
	standing   uint64 // the epoch that vouches for the generation; 0: none that is known of
	takes      bool   // it goes where that peer is, if need be
}

// follows reports whether a node takes records from one of another standing. With a
// lower one it may have gone where the members of a later epoch did not follow.
func (p position) follows(standing uint64) bool {
	return p.takes && (standing == 0 || standing >= p.standing)
}

// yields reports whether, of two that cannot lead one another, p gives up its
// generation. Never do both.
func (p position) yields(o position) bool {
	switch {
	case !p.takes || p.standing > o.standing:
		return false
	case p.standing < o.standing || !o.takes:
		return true
	}
	return p.generation < o.generation
}
