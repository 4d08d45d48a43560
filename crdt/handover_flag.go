package crdt

import "github.com/eventual-go/eventual/vclock"

// Handover gives the enablings by departed replicas that were in force at a cut to a successor, and forgets the others.
// See [HandoverError] for what must hold. It is exact however the flag is set meanwhile. It takes O(size).
func (f *EWFlag) Handover(at *EWFlag, to vclock.ReplicaID, from ...vclock.ReplicaID) (changed bool, err error) {
	return f.writes.Handover(at.core(), to, from...)
}

// Handover gives the enablings and disablings by departed replicas that were in force at a cut to a successor, and
// forgets the others. See [HandoverError] for what must hold. It is exact however the flag is set meanwhile. It takes
// O(size).
func (f *DWFlag) Handover(at *DWFlag, to vclock.ReplicaID, from ...vclock.ReplicaID) (changed bool, err error) {
	return f.writes.Handover(at.core(), to, from...)
}
