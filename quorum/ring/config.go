package ring

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/eventual-go/eventual/transport"
)

// A Member is a node that takes a share of the keys.
type Member struct {
	ID transport.NodeID
	// Zone is what fails together with the node: a rack, a site, a provider. If empty,
	// the zone without a name.
	Zone string
	// Weight says how much the node takes, compared with the others. If zero, 1.
	Weight float64
}

// A Config is what a [Ring] is made of.
type Config struct {
	// Partitions is how many parts the keys are divided into, a power of two up to
	// [MaxPartitions]. It stays what it is for the life of a ring. If zero, 256: enough for
	// twenty nodes or so, as a node should have thirty parts for its load to be even.
	Partitions int
	// Replicas is how many members hold a key, up to [MaxReplicas]. Where there are fewer
	// members, all of them do. If zero, 3.
	Replicas int
	// Members are the nodes, in any order, no two of one ID.
	Members []Member
}

// Limits of what a ring may be. There may be at most 2^25 partitions times members, as a ring
// ranks all members in all partitions.
const (
	MaxPartitions = 1 << 16
	MaxReplicas   = 64
	maxRanks      = 1 << 25
	maxMembers    = 1<<16 - 1
)

// Of the ring package, what is wrong with a call; test for them with [errors.Is].
var (
	// ErrChanging says that a change of the ring is under way, so that there cannot be another.
	ErrChanging = errors.New("ring: a change is under way")
	// ErrSettled says that no change of the ring is under way.
	ErrSettled = errors.New("ring: no change is under way")
)

// A ConfigError says what is wrong with a [Config] or the list of members of a change, or that a ring is
// none.
type ConfigError struct {
	Member transport.NodeID // empty if it is not about one member
	Reason string           // lower case, no trailing full stop
}

func (e *ConfigError) Error() string {
	if e.Member == "" {
		return "ring: " + e.Reason
	}
	return fmt.Sprintf("ring: member %q: %s", e.Member, e.Reason)
}

// errEmpty says that there is no ring to go on from, or to adopt.
var errEmpty = &ConfigError{Reason: "nil, or the zero Ring, is no ring"}

// A group is the members at one time, by ID, and how many of them hold a key.
type group struct {
	members  []Member
	replicas int // as asked for: there may be fewer members
}

func (g *group) owners() int { return min(g.replicas, len(g.members)) }

func byID(m Member, id transport.NodeID) int { return cmp.Compare(m.ID, id) }

func (g *group) find(id transport.NodeID) (Member, bool) {
	i, ok := slices.BinarySearchFunc(g.members, id, byID)
	if !ok {
		return Member{}, false
	}
	return g.members[i], true
}

// newGroup copies and checks what it is given. The error says all that is wrong.
func newGroup(partitions int, members []Member, replicas int) (group, error) {
	g := group{members: slices.Clone(members), replicas: cmp.Or(replicas, 3)}
	for i := range g.members {
		g.members[i].Weight = cmp.Or(g.members[i].Weight, 1)
	}
	slices.SortFunc(g.members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return g, g.check(partitions)
}

func (g *group) check(partitions int) error {
	var errs []error
	refuse := func(id transport.NodeID, reason string) { errs = append(errs, &ConfigError{id, reason}) }
	switch n := len(g.members); {
	case n == 0:
		refuse("", "no members")
	case n > min(maxMembers, maxRanks/partitions):
		refuse("", "too many members for so many partitions")
	}
	if g.replicas < 1 || g.replicas > MaxReplicas {
		refuse("", "replicas out of range")
	}
	for i, m := range g.members {
		switch {
		case m.ID == "" || len(m.ID) > transport.MaxName:
			refuse(m.ID, "an ID is empty or too long")
		case i > 0 && m.ID == g.members[i-1].ID:
			refuse(m.ID, "named twice")
		case len(m.Zone) > transport.MaxName:
			refuse(m.ID, "its zone has too long a name")
		case !(m.Weight > 0) || math.IsInf(m.Weight, 0):
			refuse(m.ID, "its weight is not positive and finite")
		}
	}
	return errors.Join(errs...)
}

func checkPartitions(n int) error {
	if n < 1 || n > MaxPartitions || n&(n-1) != 0 {
		return &ConfigError{Reason: "partitions are no power of two, or too many"}
	}
	return nil
}
