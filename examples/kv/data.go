package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/crdt/store/pebblestore"
	"github.com/eventual-go/eventual/vclock"
)

// openStore opens what the replica has in its folder, or makes a store in memory if there is none. What was answered
// is on disk: the store waits for it at each write.
func (n *node) openStore() error {
	cfg := store.Config{
		Replica: vclock.NewReplicaID(string(n.id)),
		Kinds:   n.kinds,
		Secret:  n.config.secret,
		Now:     n.config.now,
		Events: store.Events{
			Rotated: func(r store.Rotation) {
				fmt.Fprintf(os.Stderr, "kv %s: writes as %v from now on: %v\n", n.id, r.To, r.Reason)
			},
			Damaged: func(key string, err error) { fmt.Fprintf(os.Stderr, "kv %s: %q: %v\n", n.id, key, err) },
			Failed:  func(err error) { n.failed <- err },
		},
	}
	if n.config.data == "" {
		n.store = store.New(cfg)
		return nil
	}
	dir := filepath.Join(n.config.data, "replica-"+string(n.id))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	disk, err := pebblestore.Open(dir, pebblestore.Options{Kinds: n.kinds})
	if err != nil {
		return err
	}
	cfg.Replica = vclock.Named(string(n.id)) // who it is says the folder
	if n.store, err = store.Open(cfg, disk); err != nil {
		return errors.Join(err, disk.Close())
	}
	return nil
}
