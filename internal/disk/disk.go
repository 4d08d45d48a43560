// Package disk is a disk that exists in memory alone, with all that can happen to one: a crash that keeps a part of what
// was not synced, a copy, an older copy put back, errors, no space. It has no randomness, clock or goroutine of its own.
package disk

import (
	"bytes"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// Errors of a disk.
var (
	ErrPulled = errors.New("disk: not there any more")
	ErrFailed = errors.New("disk: input/output error")
	ErrFull   = errors.New("disk: no space left")
)

// A Disk holds what was written to it, in the order in which it was written.
type Disk struct {
	kinds *crdt.Kinds

	mu       sync.Mutex
	place    string
	durable  map[string][]byte // with all writes that were synced
	tail     [][]store.Op      // those after that
	present  map[string][]byte // with all writes
	written  uint64            // how many writes there were
	synced   uint64            // how many of them are durable
	mounts   int
	failed   error
	failAt   uint64 // the write that fails, counted from 1; 0 if none does
	failWith error
	damaged  map[string]bool
}

// New returns an empty disk at a place, which may be "" for one that cannot tell where it is.
func New(kinds *crdt.Kinds, place string) *Disk {
	return &Disk{kinds: kinds, place: place, durable: map[string][]byte{}, present: map[string][]byte{}, damaged: map[string]bool{}}
}

// Mount returns the disk as a backend, in place of whoever had it before.
func (d *Disk) Mount() store.Backend {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mounts++
	d.failed, d.failAt = nil, 0
	return &mounted{disk: d, mount: d.mounts}
}

// Tail is how many writes are not durable.
func (d *Disk) Tail() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.tail)
}

// Writes is how many writes there were.
func (d *Disk) Writes() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.written
}

// Crash takes the disk away from who has it, and keeps so many of the writes that are not durable, the oldest ones.
func (d *Disk) Crash(keep int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mounts++
	for _, ops := range d.tail[:min(keep, len(d.tail))] {
		d.carryOut(d.durable, ops)
	}
	d.tail = nil
	d.synced = d.written
	d.present = maps.Clone(d.durable)
}

// Copy returns a copy of what is on the disk, as one that a program makes while the disk is in use, or not. It is
// somewhere else.
func (d *Disk) Copy(place string) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := New(d.kinds, place)
	c.durable, c.present = maps.Clone(d.present), maps.Clone(d.present)
	return c
}

// Fail has the n-th write from now on, counted from 1, and all after it, fail with an error. Whether it is on the disk,
// nobody knows: here it is not.
func (d *Disk) Fail(n int, with error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failAt, d.failWith = d.written+uint64(n), with
}

// Damage changes what is under a key into something that cannot be read.
func (d *Disk) Damage(key []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.damaged[string(key)] = true
}

// Replace puts other bytes under a key, behind the back of who has the disk.
func (d *Disk) Replace(key, value []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.present[string(key)] = bytes.Clone(value)
	d.durable[string(key)] = bytes.Clone(value)
}

// Keys returns the keys that begin with prefix, in ascending order.
func (d *Disk) Keys(prefix string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keys(prefix)
}

func (d *Disk) keys(prefix string) (keys []string) {
	for key := range d.present {
		if strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (d *Disk) carryOut(on map[string][]byte, ops []store.Op) {
	for _, op := range ops {
		key := string(op.Key)
		switch op.Kind {
		case store.OpSet:
			on[key] = op.Value
		case store.OpJoin:
			if old, ok := on[key]; ok {
				on[key] = store.Joined(d.kinds, old, op.Value)
			} else {
				on[key] = op.Value
			}
		case store.OpDelete:
			delete(on, key)
		case store.OpDeletePrefix:
			maps.DeleteFunc(on, func(k string, _ []byte) bool { return strings.HasPrefix(k, key) })
		}
	}
}

// mounted is a disk as who has it at the time sees it.
type mounted struct {
	disk  *Disk
	mount int
}

func (m *mounted) lock() error {
	m.disk.mu.Lock()
	if m.mount != m.disk.mounts {
		m.disk.mu.Unlock()
		return ErrPulled
	}
	return nil
}

// Get implements store.Backend.
func (m *mounted) Get(key []byte) ([]byte, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	defer m.disk.mu.Unlock()
	if m.disk.damaged[string(key)] {
		return nil, store.ErrDamaged
	}
	return bytes.Clone(m.disk.present[string(key)]), nil
}

// Apply implements store.Backend.
func (m *mounted) Apply(ops []store.Op, sync bool) (store.Commit, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	d := m.disk
	defer d.mu.Unlock()
	if d.failed == nil && d.failAt > 0 && d.written+1 >= d.failAt {
		d.failed = d.failWith
	}
	if d.failed != nil {
		return nil, d.failed
	}
	kept := make([]store.Op, len(ops))
	for i, op := range ops {
		kept[i] = store.Op{Kind: op.Kind, Key: bytes.Clone(op.Key), Value: bytes.Clone(op.Value)}
		delete(d.damaged, string(op.Key))
	}
	d.carryOut(d.present, kept)
	d.tail = append(d.tail, kept)
	d.written++
	if !sync {
		return nil, nil
	}
	return &commit{m, d.written}, nil
}

// A commit is durable from Wait on.
type commit struct {
	mounted *mounted
	upto    uint64
}

// Wait implements store.Commit.
func (c *commit) Wait() error {
	if err := c.mounted.lock(); err != nil {
		return err
	}
	d := c.mounted.disk
	defer d.mu.Unlock()
	if d.failed != nil && c.upto > d.synced {
		return d.failed
	}
	for d.synced < c.upto {
		d.carryOut(d.durable, d.tail[0])
		d.tail = d.tail[1:]
		d.synced++
	}
	return nil
}

// Scan implements store.Backend.
func (m *mounted) Scan(prefix, from []byte, visit func(key, value []byte) error) error {
	if err := m.lock(); err != nil {
		return err
	}
	keys := m.disk.keys(string(prefix))
	first, _ := slices.BinarySearch(keys, string(prefix)+string(from))
	values := make([][]byte, len(keys))
	for i, key := range keys[first:] {
		values[first+i] = m.disk.present[key]
	}
	m.disk.mu.Unlock()
	for i, key := range keys[first:] {
		if err := visit([]byte(key), bytes.Clone(values[first+i])); err != nil {
			return err
		}
	}
	return nil
}

// Place implements store.Backend.
func (m *mounted) Place() string { return m.disk.place }

// Close implements store.Backend.
func (m *mounted) Close() error {
	if err := m.lock(); err != nil {
		return err
	}
	defer m.disk.mu.Unlock()
	for _, ops := range m.disk.tail {
		m.disk.carryOut(m.disk.durable, ops)
	}
	m.disk.tail, m.disk.synced = nil, m.disk.written
	m.disk.mounts++
	return m.disk.failed
}
