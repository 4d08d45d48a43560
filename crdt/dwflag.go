package crdt

import (
	"strconv"

	"github.com/eventual-go/eventual/vclock"
)

var formDWFlag = form{"dwflag", 13}

// DWFlag is on or off, and begins off. If one replica enables it while another disables it, disabling wins, also if
// the flag was off where it was disabled. Only an enabling that saw the disabling turns the flag on.
//
// Exactly: enabling and disabling are both events, and each ends all of either sort that its replica has seen. The
// flag is on if some enabling is in force, and no disabling is.
//
// The zero DWFlag is off and ready to use. It may be read by several goroutines, but not while one changes it; copy
// it by Clone. Operations take O(n) for n events that raced, and merging O(n + size of the argument's context).
//
// It is the disable-wins flag of AntidoteDB, flag_dw of its library antidote_crdt, in delta form: a [MVRegister] of
// the two values, in which off beats on. [EWFlag] is the one in which enabling wins; its disablings leave nothing
// behind.
type DWFlag struct{ writes MVRegister[bool] }

// Enable turns the flag on, on behalf of replica r, and returns the delta. It is an event that ends the disablings
// which are known here; one that is not wins over it. Only one writer may use r at a time, and r must never be used
// again by one who has forgotten events of r. If r is zero, or has no sequence numbers left, nothing happens.
func (f *DWFlag) Enable(r vclock.ReplicaID) (delta *DWFlag) { return &DWFlag{f.writes.write(r, true)} }

// Disable turns the flag off, on behalf of replica r, and returns the delta. It is an event, also if the flag is
// off: it wins over the enablings that have not seen it. For r see [DWFlag.Enable].
func (f *DWFlag) Disable(r vclock.ReplicaID) (delta *DWFlag) {
	return &DWFlag{f.writes.write(r, false)}
}

// Reset forgets the enablings and disablings that are known here, and returns the delta. The flag is off then. It
// mints no event and is no disabling: an enabling that it has not seen turns the flag on.
func (f *DWFlag) Reset() (delta *DWFlag) { return &DWFlag{f.writes.end()} }

// Value reports whether the flag is on.
func (f *DWFlag) Value() bool { return !f.Empty() && writers(f.core(), false) == nil }

// Empty reports whether the flag is as if nobody had written to it: off, with no disabling in force. A flag that
// somebody has turned off is not empty, since that is news to whoever is about to turn it on.
func (f *DWFlag) Empty() bool { return f.core().Empty() }

// Explain names the enablings and the disablings in force: with any disabling the flag is off.
func (f *DWFlag) Explain() Explanation {
	return Explanation{Present: f.Value(), For: writers(f.core(), true), Against: writers(f.core(), false)}
}

func (f *DWFlag) core() *MVRegister[bool] {
	if f == nil {
		return nil
	}
	return &f.writes
}

// Merge takes in what o knows. See [Lattice].
func (f *DWFlag) Merge(o *DWFlag) (changed bool) { return f.writes.Merge(o.core()) }

// MergeNovel merges o and returns what was new in it: enablings and disablings not seen before, and the end of such
// as were in force here. See [Delta].
func (f *DWFlag) MergeNovel(o *DWFlag) (novel *DWFlag, changed bool) {
	part, changed := f.writes.MergeNovel(o.core())
	return &DWFlag{*part}, changed
}

// Context returns a copy of the causal context: all enablings and disablings that were seen.
func (f *DWFlag) Context() *vclock.Context { return f.core().Context() }

// Delta returns what a replica with the context since may lack: the events in force that it has not seen, and all
// that have ended. It says nothing of the events in force that it has seen.
func (f *DWFlag) Delta(since *vclock.Context) *DWFlag { return &DWFlag{*f.core().Delta(since)} }

// Clone returns a flag of its own with the same state.
func (f *DWFlag) Clone() *DWFlag { return &DWFlag{*f.core().Clone()} }

// AppendBinary appends the wire form. The error is always nil.
func (f *DWFlag) AppendBinary(b []byte) ([]byte, error) {
	return appendFlag(b, formDWFlag, f.core(), true, false), nil
}

// UnmarshalBinary replaces the flag by the one in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError] or [*VersionError] and changes nothing if b is not a DWFlag.
func (f *DWFlag) UnmarshalBinary(b []byte) error {
	return unmarshalFlag(b, formDWFlag, &f.writes, true, false)
}

// MarshalJSON writes true or false.
func (f *DWFlag) MarshalJSON() ([]byte, error) { return strconv.AppendBool(nil, f.Value()), nil }
