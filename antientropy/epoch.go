package antientropy

import (
	"hash/fnv"
	"math"
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
	rank       rank   // of its generation
	least      rank   // it goes where that peer is, if need be, from this rank on
	promised   pledge // what it has prepared last on top of its generation
}

// A rank is how far a generation is to be trusted: one more than the number of the
// epoch that vouches for it, since all its members were of it.
type rank uint64

const (
	borrowed  rank = iota           // only others than members have told it to a member
	unvouched                       // no epoch that is known of vouches for it
	never     rank = math.MaxUint64 // more than any
)

// A pledge tells the proposals apart that a member may have prepared; zero is none. It
// goes to and fro: a member takes nothing, records nor a proposal, from who does not know
// its present one. So what was said before it promised something comes to nothing once it
// has: else one that proposes, and lost its memory after it had decided something, could
// have something else decided by those whom its former self still reaches.
type pledge uint64

func pledgeOf(proposal []byte) pledge {
	if len(proposal) == 0 {
		return 0
	}
	h := fnv.New64a()
	h.Write(proposal)
	return pledge(max(1, h.Sum64()))
}

func (e *Epoch) rank() rank { return rank(min(e.Number, math.MaxUint64-2)) + 1 }

// takes reports whether there is any rank at all.
func (p position) takes() bool { return p.least < never }

// follows reports whether a node takes records from one of another rank. One with a
// lower one may have gone where the members of a later epoch did not follow; if nobody
// has told it of any, the benefit of the doubt is its.
func (p position) follows(r rank) bool {
	return p.takes() && (r >= p.least || r == unvouched && p.least == p.rank)
}

// strength is what counts between two that cannot lead one another.
func (p position) strength() rank {
	if p.takes() {
		return max(p.rank, p.least)
	}
	return p.rank
}

// weaker reports whether p is to go where o is, whatever o does.
func (p position) weaker(o position) bool { return p.takes() && p.strength() < o.strength() }

// yields reports whether, of two that cannot lead one another, p gives up its
// generation. Never do both.
func (p position) yields(o position) bool {
	if !p.takes() || p.strength() != o.strength() {
		return p.weaker(o)
	}
	return !o.takes() || p.generation < o.generation
}
