package pebblestore

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// A fault is a disk on which writes of a kind fail from some moment on.
type fault struct {
	on   atomic.Bool
	hits atomic.Int32
	what func(errorfs.Op) bool
	err  error
}

func (f *fault) String() string { return "fault" }

func (f *fault) MaybeError(op errorfs.Op) error {
	if !f.on.Load() || !f.what(op) {
		return nil
	}
	f.hits.Add(1)
	return f.err
}

func to(suffix string, kinds ...errorfs.OpKind) func(errorfs.Op) bool {
	return func(op errorfs.Op) bool {
		for _, k := range kinds {
			if op.Kind == k && strings.Contains(op.Path, suffix) {
				return true
			}
		}
		return false
	}
}

var faults = map[string]func(errorfs.Op) bool{
	"sync of the log":     to(".log", errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo),
	"write of the log":    to(".log", errorfs.OpFileWrite),
	"a new log":           to(".log", errorfs.OpCreate, errorfs.OpReuseForWrite),
	"a new table":         to(".sst", errorfs.OpCreate),
	"write of a table":    to(".sst", errorfs.OpFileWrite),
	"sync of a table":     to(".sst", errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo),
	"write of a manifest": to("MANIFEST", errorfs.OpFileWrite),
	"sync of a manifest":  to("MANIFEST", errorfs.OpFileSync, errorfs.OpFileSyncData),
	"sync of the folder":  func(op errorfs.Op) bool { return op.Kind == errorfs.OpFileSync && op.Path == "data" },
	"all writes": func(op errorfs.Op) bool {
		return op.Kind.ReadOrWrite() == errorfs.OpIsWrite && op.Kind != errorfs.OpFileClose
	},
}

// Whatever fails, whoever writes or waits then is told, nobody is told that something is durable that is not, the
// process goes on, and the folder can be opened again.
func TestTrap33_AFailedWriteIsTheEnd(t *testing.T) {
	for name, what := range faults {
		for _, err := range []error{syscall.EIO, syscall.ENOSPC} {
			t.Run(fmt.Sprint(name, " ", err), func(t *testing.T) {
				// The bubble is there to see that no goroutine stays behind.
				synctest.Test(t, func(t *testing.T) { fails(t, &fault{what: what, err: err}) })
			})
		}
	}
}

func fails(t *testing.T, f *fault) {
	disk := vfs.NewCrashableMem()
	b := small(t, errorfs.Wrap(disk, f))
	apply(t, b, true, set("before", "1"))
	w := newWriters(b)
	w.run(20, func() { f.on.Store(true) })
	require.Positive(t, f.hits.Load())

	end, ok := errors.AsType[*FailedError](b.guard.failed())
	require.True(t, ok)
	require.ErrorIs(t, end, f.err)
	for _, sync := range []bool{false, true} {
		_, err := b.Apply([]store.Op{set("late", "1")}, sync)
		require.Equal(t, end, err, "it says so again and again")
		_, err = b.Apply(nil, sync)
		require.Equal(t, end, err)
	}
	require.Equal(t, "1", string(get(t, b, "before")), "what there is can be read")
	require.Nil(t, get(t, b, "late"))
	scan(t, b, "", "")
	require.ErrorIs(t, b.Checkpoint("copy"), end)

	// What the disk has now is what it had when it failed, also after Close.
	cut := disk.CrashClone(vfs.CrashCloneCfg{})
	require.ErrorIs(t, b.Close(), end)
	for _, fs := range []vfs.FS{cut, disk.CrashClone(vfs.CrashCloneCfg{}), disk} {
		again := small(t, fs)
		w.check(t, again)
		shut(t, again)
	}
}

// writers apply what they count, each at a key of its own, and note how far they were told that it is durable.
type writers struct {
	b      *Backend
	acked  []atomic.Int64
	rounds atomic.Int64
}

func newWriters(b *Backend) *writers { return &writers{b: b, acked: make([]atomic.Int64, 4)} }

// run has them write until the backend fails, and calls then after so many rounds.
func (w *writers) run(rounds int64, then func()) {
	var wg sync.WaitGroup
	for i := range w.acked {
		wg.Go(func() {
			for n := int64(1); w.write(i, n); n++ {
				if w.rounds.Add(1) == rounds {
					then()
				}
			}
		})
	}
	wg.Wait()
}

func (w *writers) write(i int, n int64) bool {
	key := "writer" + strconv.Itoa(i)
	text := strconv.FormatInt(n, 10)
	c, err := w.b.Apply([]store.Op{set(key, text), set(key+text, noise(uint64(n)))}, n%2 == 0)
	if err != nil {
		return false
	}
	if c == nil {
		return true
	}
	if c.Wait() != nil {
		return false
	}
	w.acked[i].Store(n)
	return true
}

// check fails unless b has everything that was acknowledged.
func (w *writers) check(t *testing.T, b *Backend) {
	t.Helper()
	require.Equal(t, "1", string(get(t, b, "before")))
	for i := range w.acked {
		key := "writer" + strconv.Itoa(i)
		n, _ := strconv.ParseInt(string(get(t, b, key)), 10, 64)
		require.GreaterOrEqual(t, n, w.acked[i].Load(), key)
		for j := range n {
			require.Len(t, get(t, b, key+strconv.FormatInt(j+1, 10)), 4096, "%s %d", key, j+1)
		}
	}
}

// Each single write fails once, from Open to Close. Open and Close say so too.
func TestTrap33_AnySingleFailureIsTold(t *testing.T) {
	fails := 0
	for k := int32(0); ; k++ {
		if testing.Short() && k%7 != 0 {
			continue
		}
		disk := vfs.NewCrashableMem()
		b := small(t, disk)
		apply(t, b, true, set("before", "1"))
		shut(t, b)
		hit, acked := one(t, disk, k)
		again := small(t, disk.CrashClone(vfs.CrashCloneCfg{}))
		for i := range acked {
			require.NotNil(t, get(t, again, strconv.Itoa(i)), "write %d, key %d", k, i)
		}
		require.Equal(t, "1", string(get(t, again, "before")))
		shut(t, again)
		if !hit {
			break
		}
		fails++
	}
	require.Greater(t, fails, 5)
}

// one lets the k-th write fail, and returns whether there was one, and how many keys were acknowledged.
func one(t *testing.T, disk vfs.FS, k int32) (hit bool, acked int) {
	n := new(atomic.Int32)
	f := &fault{err: syscall.EIO, what: func(op errorfs.Op) bool {
		writes := op.Kind.ReadOrWrite() == errorfs.OpIsWrite
		harmless := op.Kind == errorfs.OpRemove || op.Kind == errorfs.OpFilePreallocate || op.Kind == errorfs.OpLock
		return writes && !harmless && !strings.Contains(op.Path, "LOCK") && n.Add(1) == k+1
	}}
	f.on.Store(true)
	b, err := Open("data", Options{FS: errorfs.Wrap(disk, f), Table: 32 << 10})
	if err != nil {
		require.Positive(t, f.hits.Load(), "%d", k)
		require.ErrorIs(t, err, syscall.EIO)
		return true, 0
	}
	for i := range 20 {
		c, err := b.Apply([]store.Op{set(strconv.Itoa(i), strings.Repeat("x", 4096))}, i%2 == 1)
		if err != nil {
			break
		}
		if c != nil {
			if c.Wait() != nil {
				break
			}
			acked = i + 1
		}
	}
	failed := b.guard.failed()
	err = b.Close()
	hit = f.hits.Load() > 0
	if failed != nil {
		require.Equal(t, failed, err, "%d", k)
	}
	require.Equal(t, hit, err != nil, "%d: %v", k, err)
	return hit, acked
}

// While the disk lags behind writers wait. They are let go when it fails.
func TestTrap33_WhoWaitsForRoomIsLetGo(t *testing.T) {
	disk := &gated{FS: vfs.NewMem(), gate: make(chan struct{}), suffix: ".sst"}
	f := &fault{what: to(".sst", errorfs.OpFileWrite), err: syscall.ENOSPC}
	f.on.Store(true)
	b := small(t, errorfs.Wrap(disk, f))
	var wg sync.WaitGroup
	waiting := make(chan struct{}, 1000)
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				if _, err := b.Apply([]store.Op{set(fmt.Sprint(i, n), strings.Repeat("x", 8<<10))}, false); err != nil {
					return
				}
				waiting <- struct{}{}
			}
		})
	}
	for !b.room.full(b.db.Metrics()) {
		<-waiting
	}
	close(disk.gate)
	wg.Wait()
	require.ErrorIs(t, b.Close(), syscall.ENOSPC)
}

// gated makes files of a kind wait to be made.
type gated struct {
	vfs.FS
	gate   chan struct{}
	suffix string
}

func (g *gated) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if strings.HasSuffix(name, g.suffix) {
		<-g.gate
	}
	return g.FS.Create(name, c)
}

// However the folder is called, its files are known.
func TestTrap33_OnTheDisk(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, dir := range []string{"data", "./data/", "data/../data", t.TempDir() + "/"} {
		f := &fault{what: to(".log", errorfs.OpFileWrite), err: syscall.ENOSPC}
		b := openWith(t, dir, Options{FS: errorfs.Wrap(vfs.Default, f)})
		apply(t, b, true, set("a", "1"))
		_, err := Open(dir, Options{})
		require.Error(t, err, "one at a time")
		f.on.Store(true)
		c, err := b.Apply([]store.Op{set("b", "1")}, true)
		if err == nil {
			err = c.Wait()
		}
		require.ErrorIs(t, err, syscall.ENOSPC, dir)
		require.ErrorIs(t, b.Close(), syscall.ENOSPC)
		b = openWith(t, dir, Options{})
		require.Equal(t, "1", string(get(t, b, "a")))
		require.Nil(t, get(t, b, "b"))
		shut(t, b)
	}
}

func TestTrap33_TooMuchAtOnceIsTheEnd(t *testing.T) {
	b := open(t, vfs.NewMem())
	huge := make([]byte, 300<<20)
	_, err := b.Apply([]store.Op{join("a", huge), join("a", huge), join("a", huge), join("a", huge)}, true)
	require.ErrorIs(t, err, pebble.ErrBatchTooLarge)
	_, err = b.Apply(nil, true)
	require.ErrorIs(t, err, pebble.ErrBatchTooLarge)
	require.ErrorIs(t, b.Close(), pebble.ErrBatchTooLarge)
}

func TestTrap33_WhatPebbleGivesUpIsTheEnd(t *testing.T) {
	b := open(t, vfs.NewMem())
	apply(t, b, true, set("a", "1"))
	logger{b.guard, nil}.Fatalf("no way %d", 1)
	_, err := b.Apply(nil, true)
	require.ErrorContains(t, err, "no way 1")
	require.Equal(t, "1", string(get(t, b, "a")))
	require.ErrorContains(t, b.Close(), "no way 1")
}
