package pebblestore_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/crdt/store/backendtest"
	"github.com/eventual-go/eventual/crdt/store/pebblestore"
)

// A folder is what stores rely on, and stores in real folders keep their promises: lost, copied, put back.
func TestStoresInFolders(t *testing.T) {
	root := t.TempDir()
	at := func(place string) string { return filepath.Join(root, place) }
	backendtest.Run(t, backendtest.Config{
		Open: func(place string) (store.Backend, error) {
			return pebblestore.Open(at(place), pebblestore.Options{Table: 64 << 10})
		},
		Copy: func(from, to string) error {
			if err := os.RemoveAll(at(to)); err != nil {
				return err
			}
			return os.CopyFS(at(to), os.DirFS(at(from)))
		},
		Remove: func(place string) error { return os.RemoveAll(at(place)) },
	})
}

// powers are file systems by the places where they are, of which a power cut takes away what was not synced.
type powers struct {
	mu   sync.Mutex
	all  map[string]*vfs.MemFS
	seed uint64
}

func (p *powers) at(place string) *vfs.MemFS {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all[place] == nil {
		p.all[place] = vfs.NewCrashableMem()
	}
	return p.all[place]
}

func (p *powers) open(place string) (store.Backend, error) {
	return pebblestore.Open("data", pebblestore.Options{FS: p.at(place), Table: 64 << 10})
}

func (p *powers) copy(from, to string) error {
	fs := vfs.NewCrashableMem()
	if _, err := vfs.Clone(p.at(from), fs, "data", "data", vfs.CloneSync); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all[to] = fs
	return nil
}

func (p *powers) remove(place string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.all, place)
	return nil
}

func (p *powers) crash(place string) error {
	fs := p.at(place)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seed++
	p.all[place] = fs.CrashClone(vfs.CrashCloneCfg{
		UnsyncedDataPercent: int(p.seed*37) % 101,
		RNG:                 rand.New(rand.NewPCG(p.seed, 0)),
	})
	return nil
}

// So do stores whose power is cut.
func TestStoresWithoutPower(t *testing.T) {
	p := &powers{all: map[string]*vfs.MemFS{}}
	backendtest.Run(t, backendtest.Config{Open: p.open, Copy: p.copy, Remove: p.remove, Crash: p.crash})
}
