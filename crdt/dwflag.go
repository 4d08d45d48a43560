package crdt

import (
	"strconv"

	"github.com/eventual-go/eventual/vclock"
)

var formDWFlag = form{"dwflag", 13}

// DWFlag is on or off, and begins on. If one replica enables it while another disables it, disabling wins: an
// enabling ends exactly the disablings that it saw.
//
// It is the mirror image of [EWFlag], also in that it begins on: nobody has disabled it. So a DWFlag that is on has
// nothing to show, and is Empty.
//
// The zero DWFlag is on and ready to use. It may be read by several goroutines, but not while one changes it; copy
// it by Clone. Operations take O(n) for n disablings that raced, and merging O(size of the argument · log n).
//
// It is the disable-wins flag of the reference implementation by Baquero, "delta-enabled-crdts", beside Almeida,
// Shoker, Baquero, "Delta State Replicated Data Types", 2018.
type DWFlag struct{ off dotFlag }

// Disable turns the flag off, on behalf of replica r, and returns the delta. It is an event that survives the
// enablings which have not seen it, so disabling again is news. Only one writer may use r at a time, and r must
// never be used again by one who has forgotten events of r. If r is zero, or has no sequence numbers left, nothing
// happens.
func (f *DWFlag) Disable(r vclock.ReplicaID) (delta *DWFlag) { return &DWFlag{f.off.raise(r)} }

// Enable turns the flag on as far as its disablings are known here, and returns the delta. It mints no event.
func (f *DWFlag) Enable() (delta *DWFlag) { return &DWFlag{f.off.lower()} }

// Reset takes away the disablings that are known here, and returns the delta. It is the same as Enable.
func (f *DWFlag) Reset() (delta *DWFlag) { return f.Enable() }

// Value reports whether the flag is on.
func (f *DWFlag) Value() bool { return !f.core().isUp() }

// Empty reports whether the flag is on, as it is when nobody has written to it.
func (f *DWFlag) Empty() bool { return f.Value() }

// Explain names the disablings that keep the flag off.
func (f *DWFlag) Explain() Explanation {
	return Explanation{Present: f.Value(), Against: f.core().dots()}
}

func (f *DWFlag) core() *dotFlag {
	if f == nil {
		return nil
	}
	return &f.off
}

// Merge takes in what o knows. See [Lattice].
func (f *DWFlag) Merge(o *DWFlag) (changed bool) { return f.off.merge(o.core(), nil) }

// MergeNovel merges o and returns what was new in it: disablings not seen before, and the end of such as kept the
// flag off here. See [Delta].
func (f *DWFlag) MergeNovel(o *DWFlag) (novel *DWFlag, changed bool) {
	part, changed := f.off.mergeNovel(o.core())
	return &DWFlag{part}, changed
}

// Context returns a copy of the causal context: all disablings that were seen.
func (f *DWFlag) Context() *vclock.Context { return f.core().context() }

// Delta returns what a replica with the context since may lack: the disablings that it has not seen and that keep
// the flag off, and all that have ended. It says nothing of those that it has seen and that keep the flag off.
func (f *DWFlag) Delta(since *vclock.Context) *DWFlag { return &DWFlag{f.core().since(since)} }

// Clone returns a flag of its own with the same state.
func (f *DWFlag) Clone() *DWFlag { return &DWFlag{f.core().clone()} }

// AppendBinary appends the wire form. The error is always nil.
func (f *DWFlag) AppendBinary(b []byte) ([]byte, error) { return f.core().append(formDWFlag, b), nil }

// UnmarshalBinary replaces the flag by the one in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError] or [*VersionError] and changes nothing if b is not a DWFlag.
func (f *DWFlag) UnmarshalBinary(b []byte) error { return f.off.unmarshal(formDWFlag, b) }

// MarshalJSON writes true or false.
func (f *DWFlag) MarshalJSON() ([]byte, error) { return strconv.AppendBool(nil, f.Value()), nil }
