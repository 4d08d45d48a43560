package quorum

import (
	"fmt"
	"strconv"
)

// A Level says how many of a key's owners must answer before a read or a write
// does. A positive Level is exactly so many; One, Majority and All are named.
// Owners are distinct nodes: a node that is listed twice answers once.
type Level int

const (
	// Default, the zero value, is the Coordinator's ReadLevel or WriteLevel, and
	// Majority where those are zero too, or where there is no Coordinator.
	Default Level = 0
	// One is satisfied by any one owner. It promises nothing about what others
	// read or wrote, and is available as long as one owner is.
	One Level = 1
	// Majority is more than half of the owners: any two majorities share one.
	Majority Level = -1
	// All is every owner. One owner that is away makes it unavailable.
	All Level = -2
)

// Needed returns how many of n owners have to answer. The error is a
// [*LevelError]: the level asks for more owners than there are, or is a negative
// number without a name.
func (l Level) Needed(n int) (int, error) {
	needed := int(l)
	switch l {
	case Majority, Default:
		needed = n/2 + 1
	case All:
		needed = max(n, 1)
	}
	if needed < 1 || needed > n {
		return 0, &LevelError{Level: l, Owners: n}
	}
	return needed, nil
}

// String is the name of a named level, otherwise the number.
func (l Level) String() string {
	switch l {
	case Default:
		return "default"
	case One:
		return "one"
	case Majority:
		return "majority"
	case All:
		return "all"
	}
	return strconv.Itoa(int(l))
}

// A LevelError says that a level cannot be asked of a key with so many owners,
// whatever they answer. Nothing was sent.
type LevelError struct {
	Level  Level
	Owners int // distinct nodes that hold the key
}

// Error says which level was asked of how many owners.
func (e *LevelError) Error() string {
	if e.Level < All {
		return fmt.Sprintf("quorum: level %v does not exist", e.Level)
	}
	return fmt.Sprintf("quorum: level %v cannot be asked of %s", e.Level, owners(e.Owners))
}
