package quorum

import (
	"fmt"
	"strconv"
)

// A Level says how many of a key's owners must answer before a read or a write
// does. A positive Level is exactly so many; the others are named. Owners are
// distinct nodes: a node that is listed twice answers once. While the ring changes,
// as many of the owners to come must answer besides; see [Placement].
type Level int

const (
	// Default, the zero value, is what the bucket of the key says, and Majority where
	// that says nothing, or where there is no Coordinator.
	Default Level = 0
	// One is satisfied by any one owner. It promises nothing about what others
	// read or wrote, and is available as long as one owner is.
	One Level = 1
	// Two is satisfied by any two owners.
	Two Level = 2
	// Three is satisfied by any three owners.
	Three Level = 3
	// Majority is more than half of the owners: any two majorities share one.
	Majority Level = -1
	// All is every owner. One owner that is away makes it unavailable.
	All Level = -2
	// Any is for writes: it is satisfied by one owner, or by a hint that somebody keeps
	// for one. What was written so may be read nowhere until the hint was replayed.
	Any Level = -3
	// LocalOne is one owner in the zone of the node that asks.
	LocalOne Level = -4
	// LocalMajority is more than half of the owners in the zone of the node that asks:
	// no other zone is waited for. Two of them share an owner if both are of one zone.
	LocalMajority Level = -5
	// EachMajority is more than half of the owners of each zone, so that a LocalMajority
	// of any zone shares an owner with it.
	EachMajority Level = -6
)

var levelNames = map[Level]string{
	Default: "default", One: "one", Two: "two", Three: "three", Majority: "majority", All: "all",
	Any: "any", LocalOne: "local one", LocalMajority: "local majority", EachMajority: "each majority",
}

// String is the name of a named level, otherwise the number.
func (l Level) String() string {
	if name, ok := levelNames[l]; ok {
		return name
	}
	return strconv.Itoa(int(l))
}

// of returns how many of n owners a level asks for that counts owners wherever they
// are, and of those of one zone for the levels that speak of zones.
func (l Level) of(n int) int {
	switch l {
	case Majority, Default, LocalMajority, EachMajority:
		return n/2 + 1
	case All:
		return max(n, 1)
	case Any, LocalOne:
		return 1
	}
	return int(l)
}

// A LevelError says that a level cannot be asked of a key with so many owners,
// whatever they answer. Nothing was sent.
type LevelError struct {
	Level  Level
	Owners int    // distinct nodes that hold the key; in Zone, if the level speaks of one
	Zone   string // of the node that asks, if the level speaks of it
	Reason string // if it is not that there are too few owners
}

// Error says which level was asked of how many owners.
func (e *LevelError) Error() string {
	switch {
	case e.Reason != "":
		return fmt.Sprintf("quorum: level %v cannot be asked: %s", e.Level, e.Reason)
	case e.Level < EachMajority:
		return fmt.Sprintf("quorum: level %v does not exist", e.Level)
	case e.Level == LocalOne || e.Level == LocalMajority:
		return fmt.Sprintf("quorum: level %v cannot be asked of %s in zone %q", e.Level, owners(e.Owners), e.Zone)
	}
	return fmt.Sprintf("quorum: level %v cannot be asked of %s", e.Level, owners(e.Owners))
}
