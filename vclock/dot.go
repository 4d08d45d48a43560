package vclock

import (
	"cmp"
	"strconv"
)

// Dot names one event: the Seq-th of its replica, counted from 1. The zero Dot is no event, and so is any
// dot without a replica or with Seq 0: clocks and contexts ignore it and never contain it.
type Dot struct {
	Replica ReplicaID
	Seq     uint64
}

// Compare orders dots by replica, then by sequence number: -1, 0 or +1. It is an order to sort by, not the
// causal order.
func (d Dot) Compare(other Dot) int {
	if c := d.Replica.Compare(other.Replica); c != 0 {
		return c
	}
	return cmp.Compare(d.Seq, other.Seq)
}

// IsZero reports whether d is the zero Dot.
func (d Dot) IsZero() bool { return d == Dot{} }

// String returns for instance "paris:3"; "none" for the zero Dot.
func (d Dot) String() string {
	if d.IsZero() {
		return "none"
	}
	return d.Replica.String() + ":" + strconv.FormatUint(d.Seq, 10)
}

// Ordering says how two histories relate. The zero Ordering is [Concurrent].
type Ordering uint8

// The four ways in which a.Compare(b) can turn out.
const (
	Concurrent Ordering = iota // each has events that the other lacks
	Before                     // b has all that a has, and more
	Equal                      // both have the same events
	After                      // a has all that b has, and more
)

// String returns "concurrent", "before", "equal" or "after".
func (o Ordering) String() string {
	switch o {
	case Concurrent:
		return "concurrent"
	case Before:
		return "before"
	case Equal:
		return "equal"
	case After:
		return "after"
	}
	return "Ordering(" + strconv.Itoa(int(o)) + ")"
}

// ordering is the outcome for two histories of which each does or does not contain the other.
func ordering(within, contains bool) Ordering {
	switch {
	case within && contains:
		return Equal
	case within:
		return Before
	case contains:
		return After
	}
	return Concurrent
}
