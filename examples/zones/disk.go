package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/crdt/store/pebblestore"
	"github.com/eventual-go/eventual/quorum/handoff"
	"github.com/eventual-go/eventual/quorum/handoff/pebblehints"
	"github.com/eventual-go/eventual/vclock"
)

// A disk is the folder of one node: its keys, the hints that it keeps, and its ring. All three
// belong together; a node that has lost one of them must not come back under its name.
type disk struct {
	dir       string // empty: there is none
	savedRing []byte // nil: none was saved
	hints     *pebblehints.Log
	failed    chan error // holds what became of it, if that is nothing good
}

func (d *disk) open(cfg config) (*store.Store, error) {
	d.dir, d.failed = cfg.data, make(chan error, 1)
	c := store.Config{Replica: vclock.NewReplicaID(string(cfg.id)), Kinds: kinds}
	if d.dir == "" {
		return store.New(c), nil
	}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if d.savedRing, err = os.ReadFile(d.ringFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if d.hints, err = pebblehints.Open(filepath.Join(d.dir, "hints"), pebblehints.Options{}); err != nil {
		return nil, err
	}
	backend, err := pebblestore.Open(filepath.Join(d.dir, "store"), pebblestore.Options{Kinds: kinds})
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	c.Replica = vclock.Named(string(cfg.id)) // who it is says the folder
	c.Events.Failed = func(err error) { d.failed <- err }
	c.Events.Rotated = func(r store.Rotation) {
		fmt.Fprintf(os.Stderr, "zones %s: writes as %v from now on: %v\n", cfg.id, r.To, r.Reason)
	}
	s, err := store.Open(c, backend)
	if err != nil {
		return nil, errors.Join(err, backend.Close(), d.close())
	}
	return s, nil
}

// hintLog is where hints are kept, a nil interface if that is memory.
func (d *disk) hintLog() handoff.Log {
	if d.hints == nil {
		return nil
	}
	return d.hints
}

func (d *disk) ringFile() string { return filepath.Join(d.dir, "ring") }

// saveRing puts the ring on the disk before the node goes by it: whole, or not at all.
func (d *disk) saveRing(state []byte) error {
	if d.dir == "" {
		return nil
	}
	f, err := os.CreateTemp(d.dir, "ring-*")
	if err != nil {
		return err
	}
	_, err = f.Write(state)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.ringFile())
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(d.dir)
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// watch ends as soon as the disk has failed: then the node leaves, and is to be started again.
func (d *disk) watch(ctx context.Context) error {
	select {
	case err := <-d.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (d *disk) close() error {
	if d.hints == nil {
		return nil
	}
	return d.hints.Close()
}
