// Package disk is a disk that exists in memory alone, with all that can happen to one: a crash that keeps a part of what
// was not synced, a copy, an older copy put back, errors, no space. It has no randomness, clock or goroutine of its own.
package disk

import (
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

	mu      sync.Mutex
	place   string
	present map[string]content // with all writes
	tail    []write            // those that are not durable, the oldest first
	unsure  []store.Op         // the one that failed, as it would have been
	written uint64             // how many writes there were
	synced  uint64             // how many of them are durable
	mounts  int
	fault   fault
	damaged map[string]bool
	last    map[string]uint64 // the write that was the last one to a key
}

// A content is what was put under a key and is to be joined, the oldest first. It is never changed.
type content [][]byte

// A write is what there was before, under the keys that it went to.
type write []undo

type undo struct {
	key     string
	before  content // nil if there was nothing
	damaged bool
}

// New returns an empty disk at a place, which may be "" for one that cannot tell where it is.
func New(kinds *crdt.Kinds, place string) *Disk {
	return &Disk{
		kinds: kinds, place: place,
		present: make(map[string]content), damaged: make(map[string]bool), last: make(map[string]uint64),
	}
}

// Mount returns the disk as a backend, in place of whoever had it before. No errors are to come.
func (d *Disk) Mount() store.Backend {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mounts++
	d.fault, d.unsure = fault{}, nil
	return &mounted{disk: d, mount: d.mounts}
}

// Tail is how many writes are not durable. One that failed is not counted.
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

// Synced is how many writes are durable: the first ones.
func (d *Disk) Synced() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.synced
}

// Last is the number of the last write to a key, counted from 1; 0 if there was none. One that failed is counted, too.
func (d *Disk) Last(key []byte) uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last[string(key)]
}

// Crash takes the disk away from who has it, and keeps so many of the writes that are not durable, the oldest ones. It
// returns the number of the last write that is there. If a write has failed, it comes after those in the tail.
func (d *Disk) Crash(keep int) (upto uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mounts++
	upto = d.synced + uint64(min(keep, len(d.tail)))
	for _, w := range slices.Backward(d.tail[min(keep, len(d.tail)):]) {
		d.takeBack(w)
	}
	if keep > len(d.tail) && d.unsure != nil {
		d.carryOut(d.unsure)
		upto++
		d.written++
	}
	d.unsure, d.tail = nil, nil
	d.synced = d.written
	return upto
}

// Copy returns a copy of what is on the disk, as one that a program makes while the disk is in use, or not. It is
// somewhere else, if that is another place.
func (d *Disk) Copy(place string) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := New(d.kinds, place)
	c.present, c.damaged = maps.Clone(d.present), maps.Clone(d.damaged)
	return c
}

// Damage changes what is under a key into something that cannot be read, until it is overwritten.
func (d *Disk) Damage(key []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.damaged[string(key)] = true
}

// Damaged reports whether what is under a key cannot be read.
func (d *Disk) Damaged(key []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.damaged[string(key)]
}

// Replace puts other bytes under a key, behind the back of who has the disk.
func (d *Disk) Replace(key, value []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.present[string(key)] = content{slices.Clone(value)}
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

// value returns what is under a key, joined.
func (d *Disk) value(key string) []byte {
	c := d.present[key]
	if len(c) == 0 {
		return nil
	}
	if len(c) > 1 {
		c = content{store.Joined(d.kinds, c...)}
		d.present[key] = c
	}
	return append([]byte{}, c[0]...)
}

// carryOut does a write, and returns how to take it back.
func (d *Disk) carryOut(ops []store.Op) (w write) {
	for _, op := range ops {
		key := string(op.Key)
		if op.Kind == store.OpDeletePrefix {
			for _, k := range d.keys(key) {
				w = append(w, d.put(k, nil))
			}
			continue
		}
		switch op.Kind {
		case store.OpSet:
			w = append(w, d.put(key, content{op.Value}))
		case store.OpJoin:
			damaged := d.damaged[key]
			w = append(w, d.put(key, append(slices.Clip(d.present[key]), op.Value)))
			if damaged {
				d.damaged[key] = true
			}
		case store.OpDelete:
			w = append(w, d.put(key, nil))
		}
	}
	return w
}

// put has a key hold something else, and returns what it held.
func (d *Disk) put(key string, c content) undo {
	u := undo{key, d.present[key], d.damaged[key]}
	delete(d.damaged, key)
	if c == nil {
		delete(d.present, key)
	} else {
		d.present[key] = c
	}
	return u
}

func (d *Disk) takeBack(w write) {
	for _, u := range slices.Backward(w) {
		d.put(u.key, u.before)
		if u.damaged {
			d.damaged[u.key] = true
		}
	}
}

// Place is where the disk is.
func (d *Disk) Place() string { return d.place }
