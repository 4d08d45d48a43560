package backendtest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/internal/disk"
)

// A flawed is a right backend with one thing changed.
type flawed struct {
	store.Backend
	get   func(b store.Backend, key []byte) ([]byte, error)
	apply func(b store.Backend, ops []store.Op, sync bool) (store.Commit, error)
	scan  func(b store.Backend, prefix, from []byte, visit func(key, value []byte) error) error
	place string
}

func (f *flawed) Get(key []byte) ([]byte, error) {
	if f.get != nil {
		return f.get(f.Backend, key)
	}
	return f.Backend.Get(key)
}

func (f *flawed) Apply(ops []store.Op, sync bool) (store.Commit, error) {
	if f.apply != nil {
		return f.apply(f.Backend, ops, sync)
	}
	return f.Backend.Apply(ops, sync)
}

func (f *flawed) Scan(prefix, from []byte, visit func(key, value []byte) error) error {
	if f.scan != nil {
		return f.scan(f.Backend, prefix, from, visit)
	}
	return f.Backend.Scan(prefix, from, visit)
}

func (f *flawed) Place() string {
	if f.place != "" {
		return f.place
	}
	return f.Backend.Place()
}

// instead has each step be another one.
func instead(change func(op store.Op) store.Op) flawed {
	return flawed{apply: func(b store.Backend, ops []store.Op, sync bool) (store.Commit, error) {
		ops = slices.Clone(ops)
		for i := range ops {
			ops[i] = change(ops[i])
		}
		return b.Apply(ops, sync)
	}}
}

func kindInstead(of, with store.OpKind) flawed {
	return instead(func(op store.Op) store.Op {
		if op.Kind == of {
			op.Kind = with
		}
		return op
	})
}

type nothing struct{}

func (nothing) Wait() error { return nil }

// flaws are what is wrong, and which check has to notice it.
var flaws = map[string]struct {
	flawed
	noticed string
}{
	"an empty value where there is none": {flawed{get: func(b store.Backend, key []byte) ([]byte, error) {
		value, err := b.Get(key)
		return append([]byte{}, value...), err
	}}, "Nothing"},
	"steps in another order": {flawed{apply: func(b store.Backend, ops []store.Op, sync bool) (store.Commit, error) {
		ops = slices.Clone(ops)
		slices.Reverse(ops)
		return b.Apply(ops, sync)
	}}, "Steps"},
	"keys as text": {instead(func(op store.Op) store.Op {
		op.Key = bytes.ToValidUTF8(op.Key, []byte("?"))
		return op
	}), "AnyKey"},
	"a prefix as a key":          {kindInstead(store.OpDeletePrefix, store.OpDelete), "DeletePrefix"},
	"joins that replace":         {kindInstead(store.OpJoin, store.OpSet), "Joins"},
	"nothing set under a joined": {kindInstead(store.OpSet, store.OpJoin), "Steps"},
	"bad operands left out": {flawed{apply: func(b store.Backend, ops []store.Op, sync bool) (store.Commit, error) {
		return b.Apply(slices.DeleteFunc(slices.Clone(ops), func(op store.Op) bool {
			_, err := standard.Decode(op.Value)
			return op.Kind == store.OpJoin && err != nil
		}), sync)
	}}, "BadOperands"},
	"scans from the beginning": {flawed{scan: func(b store.Backend, prefix, _ []byte, visit func(key, value []byte) error) error {
		return b.Scan(prefix, nil, visit)
	}}, "Scan"},
	"scans backwards": {flawed{scan: func(b store.Backend, prefix, from []byte, visit func(key, value []byte) error) error {
		var found [][2][]byte
		_ = b.Scan(prefix, from, func(key, value []byte) error {
			found = append(found, [2][]byte{bytes.Clone(key), bytes.Clone(value)})
			return nil
		})
		for _, f := range slices.Backward(found) {
			if err := visit(f[0], f[1]); err != nil {
				return err
			}
		}
		return nil
	}}, "Scan"},
	"scans that go on": {flawed{scan: func(b store.Backend, prefix, from []byte, visit func(key, value []byte) error) error {
		return b.Scan(prefix, from, func(key, value []byte) error {
			_ = visit(key, value)
			return nil
		})
	}}, "ScanEnds"},
	"scans of many moments": {flawed{scan: func(b store.Backend, prefix, from []byte, visit func(key, value []byte) error) error {
		return b.Scan(prefix, from, func(key, _ []byte) error {
			value, err := b.Get(key)
			if value == nil || err != nil {
				return err
			}
			return visit(key, value)
		})
	}}, "ScanOfOneMoment"},
	"steps one by one": {flawed{apply: func(b store.Backend, ops []store.Op, sync bool) (c store.Commit, err error) {
		for _, op := range ops {
			if c, err = b.Apply([]store.Op{op}, sync); err == nil && c != nil {
				err = c.Wait()
			}
		}
		if sync {
			return nothing{}, err
		}
		return nil, err
	}}, "Crashed"},
	"nothing synced": {flawed{apply: func(b store.Backend, ops []store.Op, sync bool) (store.Commit, error) {
		_, err := b.Apply(ops, false)
		if sync {
			return nothing{}, err
		}
		return nil, err
	}}, "Crashed"},
	"always the same place":     {flawed{place: "here"}, "Place"},
	"a clone that is not told":  {flawed{place: "here"}, "Trap14-ClonedFolder"},
	"a backup that is not told": {flawed{place: "here"}, "Trap13-RestoredBackup"},
	"acknowledged and not synced": {flawed{apply: func(b store.Backend, ops []store.Op, sync bool) (store.Commit, error) {
		_, err := b.Apply(ops, false)
		if sync {
			return nothing{}, err
		}
		return nil, err
	}}, "Trap34-SyncAlways"},
}

// Each check notices what it is there for, and nothing where all is right.
func TestFlawsAreNoticed(t *testing.T) {
	for name, flaw := range flaws {
		t.Run(name, func(t *testing.T) {
			require.NotEmpty(t, checked(t, flaw.noticed, func(b store.Backend) store.Backend {
				f := flaw.flawed
				f.Backend = b
				return &f
			}))
			require.Empty(t, checked(t, flaw.noticed, func(b store.Backend) store.Backend { return b }))
		})
	}
}

// checked is what a check says of a disk.
func checked(t *testing.T, name string, change func(store.Backend) store.Backend) []string {
	i := slices.IndexFunc(promises, func(p promise) bool { return p.name == name })
	require.GreaterOrEqual(t, i, 0, "no check %q", name)
	j := &judge{ctx: t.Context()}
	d := &drives{all: map[string]*disk.Disk{}, change: change}
	var done sync.WaitGroup
	done.Go(func() {
		promises[i].check(&rig{tester: j, name: name, Config: Config{Open: d.open, Copy: d.copy, Remove: d.remove, Crash: d.crash}})
	})
	done.Wait()
	return j.says
}

// A judge is a test that only takes note.
type judge struct {
	ctx  context.Context
	says []string
}

func (j *judge) Helper()                  {}
func (j *judge) Context() context.Context { return j.ctx }
func (j *judge) Errorf(format string, args ...any) {
	j.says = append(j.says, fmt.Sprintf(format, args...))
}
func (j *judge) FailNow() { runtime.Goexit() }

// drives are disks by the places where they are.
type drives struct {
	all    map[string]*disk.Disk
	n      int
	change func(store.Backend) store.Backend
}

func (d *drives) place() string {
	d.n++
	return fmt.Sprint("disk ", d.n)
}

func (d *drives) open(place string) (store.Backend, error) {
	if d.all[place] == nil {
		d.all[place] = disk.New(standard, d.place())
	}
	return d.change(d.all[place].Mount()), nil
}

func (d *drives) copy(from, to string) error {
	d.all[to] = d.all[from].Copy(d.place())
	return nil
}

func (d *drives) remove(place string) error {
	delete(d.all, place)
	return nil
}

func (d *drives) crash(place string) error {
	d.all[place].Crash(d.all[place].Tail() / 2)
	return nil
}
