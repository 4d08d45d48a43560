package pebblestore

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

// A slow disk syncs the log only while nobody holds it up, and counts.
type slow struct {
	vfs.FS
	held  sync.RWMutex
	syncs atomic.Int64
}

func (s *slow) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := s.FS.Create(name, c)
	if err == nil && strings.HasSuffix(name, ".log") {
		f = &slowFile{f, s}
	}
	return f, err
}

type slowFile struct {
	vfs.File
	s *slow
}

func (f *slowFile) SyncData() error { return f.Sync() }

func (f *slowFile) Sync() error {
	f.s.held.RLock()
	defer f.s.held.RUnlock()
	f.s.syncs.Add(1)
	return f.File.Sync()
}

// Apply does not wait for the disk, and those who wait together are served by one sync of it.
func TestWritersShareASync(t *testing.T) {
	s := &slow{FS: vfs.NewCrashableMem()}
	b := open(t, s)
	s.held.Lock()
	before := s.syncs.Load()
	var commits []store.Commit
	for i := range 64 {
		c, err := b.Apply([]store.Op{set(strconv.Itoa(i), "1")}, true)
		require.NoError(t, err)
		require.Equal(t, "1", string(get(t, b, strconv.Itoa(i))), "it shows before it is durable")
		commits = append(commits, c)
	}
	s.held.Unlock()
	var wg sync.WaitGroup
	for _, c := range commits {
		wg.Go(func() { require.NoError(t, c.Wait()) })
	}
	wg.Wait()
	require.LessOrEqual(t, s.syncs.Load()-before, int64(2), "the first one, and one for all others")
	shut(t, b)
}

// A Wait that is never called holds up nothing, and what was applied is there all the same.
func TestNobodyNeedsToWait(t *testing.T) {
	disk := vfs.NewCrashableMem()
	b := open(t, disk)
	for i := range 10_000 { // more than the log's queue has places
		_, err := b.Apply([]store.Op{set(strconv.Itoa(i), "1")}, true)
		require.NoError(t, err)
	}
	shut(t, b)
	b = open(t, disk.CrashClone(vfs.CrashCloneCfg{}))
	keys, _ := scan(t, b, "", "")
	require.Len(t, keys, 10_000)
	shut(t, b)
}

func TestASecondWaitSaysNothingOfTheDisk(t *testing.T) {
	b := open(t, vfs.NewMem())
	c, err := b.Apply([]store.Op{set("a", "1")}, true)
	require.NoError(t, err)
	require.NoError(t, c.Wait())
	require.Error(t, c.Wait())
	shut(t, b)
	require.NoError(t, b.Close())
	_, err = b.Apply(nil, true)
	require.Error(t, err)
	_, err = b.Get([]byte("a"))
	require.Error(t, err)
	require.Error(t, b.Scan(nil, nil, nil))
	require.Error(t, b.Checkpoint("copy"))
	require.Zero(t, b.Stats())
}

// Concurrent writers see their own writes, and joins of all of them are there in the end.
func TestWritersAtTheSameTime(t *testing.T) {
	b := small(t, vfs.NewMem())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for n := range 50 {
				c, err := b.Apply([]store.Op{join("set", element(t, strconv.Itoa(i), n)), set(strconv.Itoa(i), strconv.Itoa(n))}, n%2 == 0)
				require.NoError(t, err)
				if c != nil {
					require.NoError(t, c.Wait())
				}
				got, err := b.Get([]byte(strconv.Itoa(i)))
				require.NoError(t, err)
				require.Equal(t, strconv.Itoa(n), string(got))
			}
		})
	}
	wg.Wait()
	require.Len(t, members(t, get(t, b, "set")), 50)
	shut(t, b)
}
