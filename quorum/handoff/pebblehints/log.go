package pebblehints

import (
	"cmp"
	"errors"
	"iter"
	"slices"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/crdt/store/pebblestore"
	"github.com/eventual-go/eventual/quorum/handoff"
)

// Options say how a [Log] is opened. The zero value is a good one.
type Options struct {
	// FS is what the files are kept in. If nil, the disk. Tests give one in memory, or
	// one that fails.
	FS vfs.FS

	// Table is how many bytes of writes are collected in memory before they are written
	// out as a table, and how far the log has to be read at the next Open at least. Up
	// to four times as much is held while the disk lags behind. If zero or less, 4 MiB.
	Table int64

	// Tune may change how Pebble is set up, as [pebblestore.Options.Tune] does.
	Tune func(*pebble.Options)
}

// A Log is a folder with the rows of one [handoff.Handoff]. It is a [handoff.Log].
type Log struct{ b *pebblestore.Backend }

var _ handoff.Log = (*Log)(nil)

// Open opens the folder dir, and makes it if it is missing. One Log at a time may have it
// open, in all processes. The errors are those of [pebblestore.Open].
func Open(dir string, o Options) (*Log, error) {
	b, err := pebblestore.Open(dir, pebblestore.Options{
		FS: o.FS, Table: cmp.Or(max(o.Table, 0), 4<<20), Cache: 1 << 20, Tune: o.Tune,
	})
	if err != nil {
		return nil, err
	}
	return &Log{b}, nil
}

// Apply implements [handoff.Log]: all rows, or none, are durable when it has returned.
func (l *Log) Apply(rows []handoff.Row) error {
	ops := make([]store.Op, len(rows))
	for i, r := range rows {
		ops[i] = store.Op{Kind: store.OpSet, Key: []byte(r.ID), Value: r.Value}
		if len(r.Value) == 0 {
			ops[i].Kind = store.OpDelete
		}
	}
	c, err := l.b.Apply(ops, true)
	if err != nil {
		return err
	}
	return c.Wait()
}

var errEnough = errors.New("enough")

// All implements [handoff.Log]. It yields the rows in ascending order of IDs.
func (l *Log) All() iter.Seq2[handoff.Row, error] {
	return func(yield func(handoff.Row, error) bool) {
		err := l.b.Scan(nil, nil, func(key, value []byte) error {
			if !yield(handoff.Row{ID: string(key), Value: slices.Clone(value)}, nil) {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) {
			yield(handoff.Row{}, err)
		}
	}
}

// Close makes durable what was applied, and releases everything. After a failure it
// returns the *[pebblestore.FailedError], and has released everything all the same.
func (l *Log) Close() error { return l.b.Close() }
