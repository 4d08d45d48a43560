package store_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/crdt/store/backendtest"
	"github.com/eventual-go/eventual/internal/disk"
)

// disks are disks by the places where they are. Wherever one is copied to, it is somewhere else.
type disks struct {
	mu   sync.Mutex
	all  map[string]*disk.Disk
	n    int
	kept int // how much of a tail is left by the next crash
	name func(n int) string
}

func (d *disks) next() string {
	d.n++
	return d.name(d.n)
}

func (d *disks) open(place string) (store.Backend, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all[place] == nil {
		d.all[place] = disk.New(crdt.Standard(), d.next())
	}
	return d.all[place].Mount(), nil
}

func (d *disks) copy(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all[to] = d.all[from].Copy(d.next())
	return nil
}

func (d *disks) remove(place string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.all, place)
	return nil
}

func (d *disks) crash(place string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept++
	d.all[place].Crash(d.kept * 7 % (d.all[place].Tail() + 1))
	return nil
}

// The disk that the other tests run on keeps what stores rely on, and stores keep their promises on it: where it can
// tell its place, and where it cannot.
func TestStoresOnADiskInMemory(t *testing.T) {
	for name, place := range map[string]func(n int) string{
		"placed":  func(n int) string { return fmt.Sprint("disk ", n) },
		"nowhere": func(int) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			d := &disks{all: map[string]*disk.Disk{}, name: place}
			backendtest.Run(t, backendtest.Config{Open: d.open, Copy: d.copy, Remove: d.remove, Crash: d.crash})
		})
	}
}
