package vclock

import (
	"cmp"
	"strconv"
	"time"
)

// Timestamp is a moment of a hybrid logical clock: physical time, a counter for what happens within one
// tick of it, and the replica that stamped it. The stamps of all replicas are in one total order, in which
// a cause comes before its effects. The zero Timestamp is no moment and comes before every stamp.
type Timestamp struct {
	Wall    int64     // nanoseconds since 1970-01-01 UTC
	Logical uint32    // order within equal Wall
	Replica ReplicaID // order within equal Wall and Logical
}

// Compare orders by Wall, then Logical, then Replica: -1, 0 or +1.
func (t Timestamp) Compare(other Timestamp) int {
	if c := t.compareTime(other); c != 0 {
		return c
	}
	return t.Replica.Compare(other.Replica)
}

// IsZero reports whether t is the zero Timestamp.
func (t Timestamp) IsZero() bool { return t == Timestamp{} }

// Time returns the physical part, in UTC. It may be ahead of the clock on the wall by up to the drift that
// the clocks of the system tolerate.
func (t Timestamp) Time() time.Time { return time.Unix(0, t.Wall).UTC() }

// String returns for instance "2026-03-01T12:00:00.5Z#2@paris", without "#0"; "none" for the zero Timestamp.
func (t Timestamp) String() string {
	if t.IsZero() {
		return "none"
	}
	b := t.Time().AppendFormat(nil, time.RFC3339Nano)
	if t.Logical > 0 {
		b = strconv.AppendUint(append(b, '#'), uint64(t.Logical), 10)
	}
	return string(t.Replica.appendText(append(b, '@')))
}

// compareTime leaves the replica out: it orders moments of one clock.
func (t Timestamp) compareTime(other Timestamp) int {
	if c := cmp.Compare(t.Wall, other.Wall); c != 0 {
		return c
	}
	return cmp.Compare(t.Logical, other.Logical)
}
