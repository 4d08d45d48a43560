package pebblestore

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/antientropy/storetest"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/crdt/store/backendtest"
)

// A hasty disk syncs nothing, for where nothing crashes.
type hasty struct{ vfs.FS }

func (h hasty) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := h.FS.Create(name, c)
	return hastyFile{f}, err
}

type hastyFile struct{ vfs.File }

func (hastyFile) Sync() error                { return nil }
func (hastyFile) SyncData() error            { return nil }
func (hastyFile) SyncTo(int64) (bool, error) { return false, nil }

// Folders on the disk keep what stores rely on, and stores in them keep their promises, also where folders are lost,
// copied and put back.
func TestFolders(t *testing.T) {
	needsIdentity(t)
	if testing.Short() {
		t.Skip("the same runs on disks in memory")
	}
	root := t.TempDir()
	at := func(place string) string { return filepath.Join(root, place) }
	backendtest.Run(t, backendtest.Config{
		Open: func(place string) (store.Backend, error) { return Open(at(place), options(hasty{vfs.Default})) },
		Copy: func(from, to string) error {
			if err := os.RemoveAll(at(to)); err != nil {
				return err
			}
			return os.CopyFS(at(to), os.DirFS(at(from)))
		},
		Remove: func(place string) error { return os.RemoveAll(at(place)) },
	})
}

func coin() *rand.Rand { return rand.New(rand.NewPCG(1, 1)) }

// machines are disks in memory that can crash, by the places where they are.
type machines struct {
	mu  sync.Mutex
	all map[string]*vfs.MemFS
}

func (m *machines) at(place string) *vfs.MemFS {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[place] == nil {
		m.all[place] = vfs.NewCrashableMem()
	}
	return m.all[place]
}

func (m *machines) put(place string, disk *vfs.MemFS) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[place] = disk
}

// A disk in memory has no files whose identity could be asked for. So a copy loses the file of the place, as the copy of a
// folder that forgets one, and is somewhere else by that.
func (m *machines) copy(from, to string) error {
	disk := m.at(from).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: coin()})
	m.put(to, disk)
	return disk.Remove(disk.PathJoin("data", placeFile))
}

func (m *machines) crash(place string) error {
	m.put(place, m.at(place).CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: coin()}))
	return nil
}

// The same on disks that crash, and lose half of what was not synced.
func TestFoldersThatCrash(t *testing.T) {
	m := &machines{all: map[string]*vfs.MemFS{}}
	backendtest.Run(t, backendtest.Config{
		Open:   func(place string) (store.Backend, error) { return Open("data", options(m.at(place))) },
		Copy:   m.copy,
		Remove: func(place string) error { m.put(place, nil); return nil },
		Crash:  m.crash,
	})
}

// A store in a folder does what those who replicate rely on, also if it has next to nothing in memory.
func TestAStoreInAFolderIsWhatReplicationNeeds(t *testing.T) {
	for name, cache := range map[string]int64{"cold": 1, "warm": 0} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, storetest.Config{
				New: func() antientropy.Store {
					s, err := store.Open(store.Config{Secret: secret, Cache: cache}, open(t, vfs.NewMem()))
					require.NoError(t, err)
					t.Cleanup(func() { require.NoError(t, s.Close()) })
					return s
				},
				State: func(i int) []byte { return element(t, "of "+string(rune('a'+i)), 0) },
				Bad:   []byte("bad"),
				Delete: func(s antientropy.Store, key string) error {
					_, err := s.(*store.Store).Delete(key)
					return err
				},
			})
		})
	}
}
