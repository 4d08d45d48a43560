package crdt

import (
	"strconv"

	"github.com/eventual-go/eventual/vclock"
)

var formEWFlag = form{"ewflag", 12}

// EWFlag is on or off, and begins off. If one replica disables it while another enables it, enabling wins: a
// disabling ends exactly the enablings that it saw.
//
// The zero EWFlag is off and ready to use. It may be read by several goroutines, but not while one changes it; copy
// it by Clone. Operations take O(n) for n enablings that raced, and merging O(n + size of the argument's context).
//
// It is the enable-wins flag of Almeida, Shoker, Baquero, "Delta State Replicated Data Types", 2018, section 7.3.
// [DWFlag] is the one in which disabling wins.
type EWFlag struct {
	writes MVRegister[bool] // enablings only, so all values are true
}

// Enable turns the flag on, on behalf of replica r, and returns the delta. It is an event that survives the
// disablings which have not seen it, so enabling again is news. Only one writer may use r at a time, and r must
// never be used again by one who has forgotten events of r. If r is zero, or has no sequence numbers left, nothing
// happens.
func (f *EWFlag) Enable(r vclock.ReplicaID) (delta *EWFlag) { return &EWFlag{f.writes.write(r, true)} }

// Disable turns the flag off as far as its enablings are known here, and returns the delta. It mints no event.
func (f *EWFlag) Disable() (delta *EWFlag) { return &EWFlag{f.writes.end()} }

// Reset takes away the enablings that are known here, and returns the delta. It is the same as Disable.
func (f *EWFlag) Reset() (delta *EWFlag) { return f.Disable() }

// Value reports whether the flag is on.
func (f *EWFlag) Value() bool { return !f.core().Empty() }

// Empty reports whether the flag is off.
func (f *EWFlag) Empty() bool { return !f.Value() }

// Explain names the enablings that keep the flag on.
func (f *EWFlag) Explain() Explanation {
	return Explanation{Present: f.Value(), For: writers(f.core(), true)}
}

func (f *EWFlag) core() *MVRegister[bool] {
	if f == nil {
		return nil
	}
	return &f.writes
}

// Merge takes in what o knows. See [Lattice].
func (f *EWFlag) Merge(o *EWFlag) (changed bool) { return f.writes.Merge(o.core()) }

// MergeNovel merges o and returns what was new in it: enablings not seen before, and the end of such as kept the
// flag on here. See [Delta].
func (f *EWFlag) MergeNovel(o *EWFlag) (novel *EWFlag, changed bool) {
	part, changed := f.writes.MergeNovel(o.core())
	return &EWFlag{*part}, changed
}

// Context returns a copy of the causal context: all enablings that were seen.
func (f *EWFlag) Context() *vclock.Context { return f.core().Context() }

// Delta returns what a replica with the context since may lack: the enablings that it has not seen and that keep
// the flag on, and all that have ended. It says nothing of those that it has seen and that keep the flag on.
func (f *EWFlag) Delta(since *vclock.Context) *EWFlag { return &EWFlag{*f.core().Delta(since)} }

// Clone returns a flag of its own with the same state.
func (f *EWFlag) Clone() *EWFlag { return &EWFlag{*f.core().Clone()} }

// AppendBinary appends the wire form. The error is always nil.
func (f *EWFlag) AppendBinary(b []byte) ([]byte, error) {
	return appendFlag(b, formEWFlag, f.core(), true), nil
}

// UnmarshalBinary replaces the flag by the one in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError] or [*VersionError] and changes nothing if b is not an EWFlag.
func (f *EWFlag) UnmarshalBinary(b []byte) error {
	return unmarshalFlag(b, formEWFlag, &f.writes, true)
}

// MarshalJSON writes true or false.
func (f *EWFlag) MarshalJSON() ([]byte, error) { return strconv.AppendBool(nil, f.Value()), nil }
