// Package backendtest checks that a [store.Backend] of one's own does what a store relies on, and that stores over it
// keep what they promise: nothing is lost that was acknowledged, and no event is numbered twice.
//
// # Smallest use
//
//	func TestBackend(t *testing.T) {
//		root := t.TempDir()
//		at := func(place string) string { return filepath.Join(root, place) }
//		backendtest.Run(t, backendtest.Config{
//			Open:   func(place string) (store.Backend, error) { return open(at(place)) },
//			Copy:   func(from, to string) error { return os.CopyFS(at(to), os.DirFS(at(from))) },
//			Remove: func(place string) error { return os.RemoveAll(at(place)) },
//		})
//	}
//
// Run it with -race: some of the checks call the backend from many goroutines.
//
// # What is checked
//
// Of the backend itself: each kind of step, in the order of a batch and with borders at any byte; what is joined is what
// [store.Joined] says; scans are in order, of one moment, and end as told; bytes belong to whom the interface says; all
// is there after Close and Open; what was waited for is there after a crash, and what was not is there or not, but
// nothing without what was before it; and a place is another one after its bytes were copied, also if they were
// copied back.
//
// Of stores over it: they are what they were when they are opened again, or after a crash as far as Config.Sync says;
// disks that were lost, restored and cloned lose no event of anybody; two writers of one name part; what was deleted and
// forgotten does not come back, whoever was away or was closed meanwhile; and a disk that fails once has failed for good.
package backendtest

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// A Config says how to handle the backends to check. They join with the kinds of crdt.Standard. Places are names that Run
// makes up, of letters, digits and '-', as those of folders; no two checks use the same.
type Config struct {
	// Open opens the backend at a place, which is made if nothing is there. Needed.
	Open func(place string) (store.Backend, error)

	// Copy copies all that is at a place that nobody has open to another, in place of what is there. Needed.
	Copy func(from, to string) error

	// Remove takes away all that is at a place that nobody has open. Needed.
	Remove func(place string) error

	// Crash takes a place away from who has it open, as a power cut does: of what was not durable, any part that was
	// applied first is left. Who had it will call its methods still; they may return anything, but must not change
	// what is there. If nil, what crashes leave is not checked.
	Crash func(place string) error
}

// Run checks backends, each promise in a subtest.
func Run(t *testing.T, c Config) {
	t.Helper()
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			if p.crashes && c.Crash == nil {
				t.Skip("no Crash")
			}
			p.check(&rig{tester: t, Config: c, name: p.name})
		})
	}
}

type promise struct {
	name    string
	check   func(r *rig)
	crashes bool
}

var promises = []promise{
	{name: "Nothing", check: testNothing},
	{name: "Steps", check: testSteps},
	{name: "AnyKey", check: testAnyKey},
	{name: "DeletePrefix", check: testDeletePrefix},
	{name: "Joins", check: testJoins},
	{name: "BadOperands", check: testBadOperands},
	{name: "Scan", check: testScan},
	{name: "ScanEnds", check: testScanEnds},
	{name: "ScanOfOneMoment", check: testScanOfOneMoment},
	{name: "BytesAreTheCallers", check: testBytesAreTheCallers},
	{name: "Concurrent", check: testConcurrent},
	{name: "Reopened", check: testReopened},
	{name: "Place", check: testPlace},
	{name: "Crashed", check: testCrashed, crashes: true},
	{name: "StoreReopened", check: testStoreReopened},
	{name: "StoreReopenedAtEachStep", check: testStoreReopenedAtEachStep},
	{name: "Batches", check: testBatches, crashes: true},
	{name: "Trap13-LostDisk", check: testTrap13LostDisk},
	{name: "Trap13-Crash", check: testTrap13Crash, crashes: true},
	{name: "Trap13-RestoredBackup", check: testTrap13RestoredBackup},
	{name: "Trap14-ClonedFolder", check: testTrap14ClonedFolder},
	{name: "Trap14-TwoWriters", check: testTrap14TwoWriters},
	{name: "Trap15-Doomstone", check: testTrap15Doomstone},
	{name: "Trap26-Away", check: testTrap26Away},
	{name: "Trap26-AwayForLong", check: testTrap26AwayForLong},
	{name: "Trap26-CutsInBetween", check: testTrap26CutsInBetween, crashes: true},
	{name: "Trap33-ErrorsAreFinal", check: testTrap33},
	{name: "Trap34-SyncAlways", check: testTrap34Always, crashes: true},
	{name: "Trap34-SyncNever", check: testTrap34Never, crashes: true},
	{name: "Trap34-SyncAtTimes", check: testTrap34AtTimes, crashes: true},
}

// A tester is what the checks need of a *testing.T.
type tester interface {
	require.TestingT
	Helper()
	Context() context.Context
}

// A rig is one check under way.
type rig struct {
	tester
	Config
	name   string
	places int
}

// place makes up a place.
func (r *rig) place() string {
	r.places++
	return fmt.Sprintf("%s-%d", r.name, r.places)
}

// open opens what is at a place.
func (r *rig) open(place string) store.Backend {
	r.Helper()
	b, err := r.Open(place)
	require.NoError(r, err)
	return b
}

// fresh is a backend at a place of its own.
func (r *rig) fresh() (b store.Backend, place string) {
	r.Helper()
	place = r.place()
	return r.open(place), place
}

func (r *rig) close(c interface{ Close() error }) {
	r.Helper()
	require.NoError(r, c.Close())
}
