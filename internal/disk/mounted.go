package disk

import (
	"bytes"
	"slices"

	"github.com/eventual-go/eventual/crdt/store"
)

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
	return m.disk.value(string(key)), nil
}

// Apply implements store.Backend.
func (m *mounted) Apply(ops []store.Op, sync bool) (store.Commit, error) {
	if err := m.lock(); err != nil {
		return nil, err
	}
	d := m.disk
	defer d.mu.Unlock()
	if d.fault.failed != nil {
		return nil, d.fault.failed
	}
	kept := make([]store.Op, len(ops))
	for i, op := range ops {
		kept[i] = store.Op{Kind: op.Kind, Key: bytes.Clone(op.Key), Value: append([]byte{}, op.Value...)}
		d.last[string(op.Key)] = d.written + 1
	}
	if err := d.fault.countDown(&d.fault.writes); err != nil {
		d.unsure = kept
		return nil, err
	}
	d.tail = append(d.tail, d.carryOut(kept))
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
	c.mounted.disk.pass()
	if err := c.mounted.lock(); err != nil {
		return err
	}
	d := c.mounted.disk
	defer d.mu.Unlock()
	if c.upto <= d.synced {
		return nil
	}
	if err := d.fault.countDown(&d.fault.syncs); err != nil {
		return err
	}
	d.tail = slices.Clone(d.tail[c.upto-d.synced:])
	d.synced = c.upto
	return nil
}

// Scan implements store.Backend.
func (m *mounted) Scan(prefix, from []byte, visit func(key, value []byte) error) error {
	if err := m.lock(); err != nil {
		return err
	}
	keys := m.disk.keys(string(prefix))
	first, _ := slices.BinarySearch(keys, string(prefix)+string(from))
	keys = keys[first:]
	values := make([][]byte, len(keys))
	for i, key := range keys {
		values[i] = m.disk.value(key)
	}
	m.disk.mu.Unlock()
	for i, key := range keys {
		if err := visit([]byte(key), values[i]); err != nil {
			return err
		}
	}
	return nil
}

// Place implements store.Backend.
func (m *mounted) Place() string { return m.disk.place }

// Close implements store.Backend. A disk that has failed keeps what is not durable as it is.
func (m *mounted) Close() error {
	if err := m.lock(); err != nil {
		return err
	}
	d := m.disk
	defer d.mu.Unlock()
	d.mounts++
	if d.fault.failed == nil {
		d.tail, d.synced = nil, d.written
	}
	return d.fault.failed
}
