package crdt

import (
	"time"

	"github.com/eventual-go/eventual/vclock"
)

var formExpiry = form{"expiry", 18}

// Expiry is when a key ends: a deadline, or none. Of concurrent settings the one with the latest timestamp stays. A
// reset takes away the deadline that it saw, and a setting that comes after that one in the order of timestamps survives
// it: so a key that somebody prolongs while somebody else takes its deadline away has the new deadline.
//
// A deadline is in whole milliseconds, what is less is cut off, and in the years 1 to 9999: what is before or after
// comes to the first moment of these or to the last. Nothing happens when it passes. An Expiry reads no clock, so who
// reads a key compares the deadline with a clock of its own, and replicas agree on the deadline whatever their clocks say.
//
// It shows nothing by itself: [Expiry.Empty] is always true, and so a key that has nothing besides counts as empty and
// its deadline is not in [Value.MarshalJSON]; but while there is a deadline, [Value.Spent] is false.
//
// The zero Expiry is without a deadline and ready to use. It may be read by several goroutines, but not while one
// changes it; copy it by Clone. All operations take O(1). It is a [LWWRegister] of the milliseconds since 1970, see
// there for what is ordered how.
type Expiry struct{ deadline LWWRegister[int64] }

// The first and the last deadline, in milliseconds since 1970: where the year 1 begins, and where the year 9999 ends.
const (
	firstDeadline = -62_135_596_800_000
	lastDeadline  = 253_402_300_799_999
)

// Set makes at the deadline and returns the delta. If stamp does not come after that of the present deadline, the
// setting gets the next one after that: see [LWWRegister.Set].
func (e *Expiry) Set(at time.Time, stamp vclock.Timestamp) (delta *Expiry) {
	return &Expiry{e.deadline.write(stamp, millisecondsOf(at))}
}

func millisecondsOf(at time.Time) int64 {
	switch {
	case at.Before(time.UnixMilli(firstDeadline)):
		return firstDeadline
	case at.After(time.UnixMilli(lastDeadline)):
		return lastDeadline
	}
	return at.UnixMilli()
}

// At returns the deadline, in UTC, and whether there is one.
func (e *Expiry) At() (deadline time.Time, ok bool) {
	ms, ok := e.core().Value()
	if !ok {
		return deadline, false
	}
	return time.UnixMilli(ms).UTC(), true
}

// Reset takes the deadline away as it is known here, and returns the delta: any later setting wins over it. The delta is
// as new if there is none.
func (e *Expiry) Reset() (delta *Expiry) { return &Expiry{*e.deadline.Reset()} }

// Latest returns the latest timestamp in the state, for the clock to observe.
func (e *Expiry) Latest() vclock.Timestamp { return e.core().Latest() }

// Empty reports true: a deadline shows nothing.
func (e *Expiry) Empty() bool { return true }

// lasting reports whether there is a deadline, which is to be kept.
func (e *Expiry) lasting() bool { return !e.core().Empty() }

// Explain says when the deadline was set; or, of one that was reset, when that had been.
func (e *Expiry) Explain() Explanation { return e.core().Explain() }

func (e *Expiry) core() *LWWRegister[int64] {
	if e == nil {
		return nil
	}
	return &e.deadline
}

// Merge takes in what o knows. See [Lattice].
func (e *Expiry) Merge(o *Expiry) (changed bool) { return e.deadline.Merge(o.core()) }

// MergeNovel merges o and returns o if it won. See [Delta].
func (e *Expiry) MergeNovel(o *Expiry) (novel *Expiry, changed bool) {
	part, changed := e.deadline.MergeNovel(o.core())
	return &Expiry{*part}, changed
}

// Context returns an empty context: a deadline comes with a timestamp, and without an event. See [Causal].
func (e *Expiry) Context() *vclock.Context { return new(vclock.Context) }

// Delta returns a copy of the state, since a context rules out no deadline. See [Causal].
func (e *Expiry) Delta(*vclock.Context) (delta *Expiry) { return e.Clone() }

// Clone returns an Expiry of its own with the same state.
func (e *Expiry) Clone() *Expiry { return &Expiry{*e.core().Clone()} }

// AppendBinary appends the wire form. It does not fail.
func (e *Expiry) AppendBinary(b []byte) ([]byte, error) { return e.core().append(formExpiry, b) }

// UnmarshalBinary replaces the state by the one in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError] or [*VersionError] and changes nothing if b is not an Expiry.
func (e *Expiry) UnmarshalBinary(b []byte) error {
	var read LWWRegister[int64]
	if err := read.unmarshal(formExpiry, b); err != nil {
		return err
	}
	if ms, ok := read.Value(); ok && (ms < firstDeadline || ms > lastDeadline) {
		return &CorruptError{Kind: formExpiry.name, Offset: len(b), Reason: "deadline out of range"}
	}
	e.deadline = read
	return nil
}

// MarshalJSON writes the deadline as RFC 3339 has it, in UTC, or null if there is none.
func (e *Expiry) MarshalJSON() ([]byte, error) {
	at, ok := e.At()
	if !ok {
		return []byte("null"), nil
	}
	return at.MarshalJSON()
}
