package pebblestore

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
)

// Options say how a [Backend] is opened. The zero value is a good one.
type Options struct {
	// Kinds are what joins values. If nil, [crdt.Standard]. They must be those of the store, and must never lack a kind
	// of which there are values in the folder: what they cannot decode is kept as it is, beside what should have been
	// joined with it, so that such values grow with each write until a store that knows the kinds reads them.
	Kinds *crdt.Kinds

	// FS is what the files are kept in. If nil, the disk. Tests give one in memory, or one that fails.
	FS vfs.FS

	// Cache is how many bytes of blocks that were read are kept in memory. If zero or less, 64 MiB.
	Cache int64

	// Table is how many bytes of writes are collected in memory before they are written out as a table, and how far
	// the log has to be read at the next Open at least. Up to four times as much is held while the disk lags behind.
	// If zero or less, 16 MiB.
	Table int64

	// Tune may change how Pebble is set up, its EventListener and Logger included. What the backend relies on is set
	// after it: FS, Comparer, Merger, the log's folder, and when writes have to wait. Nil changes nothing.
	Tune func(*pebble.Options)
}

// A Backend is a folder of Pebble's. It is a [store.Backend]; what each method promises is said there.
type Backend struct {
	db     *pebble.DB
	guard  *guard
	room   *room
	place  string
	closed atomic.Bool

	upgraded bool // while it was opened, from an older format or from none
}

var _ store.Backend = (*Backend)(nil)

var errClosed = errors.New("pebblestore: closed")

// Keys have one byte in front, so that every prefix of the store's, the empty one as well, has a key that follows all
// of them, and so that the backend can have some of its own.
const (
	ownKeys  = 0
	dataKeys = 1
)

// Open opens the folder dir, and makes it if it is missing. One Backend at a time may have it open, in all processes.
//
// It costs what Pebble needs to read its log again, up to [Options.Table] and a little more, whatever else there is. It
// fails with an error that has [store.ErrDamaged] in its tree if the folder cannot be read, and with a *[FailedError]
// if it cannot be written to.
func Open(dir string, o Options) (*Backend, error) {
	disk := o.FS
	if disk == nil {
		disk = vfs.Default
	}
	b := &Backend{room: newRoom()}
	b.guard = newGuard(disk, dir, b.room.changed)
	db, err := pebble.Open(dir, b.options(o))
	if err != nil {
		return nil, fmt.Errorf("pebblestore: open %s: %w", dir, b.guard.cause(damaged(err)))
	}
	b.db = db
	b.room.look = db.Metrics
	if err := b.guard.cause(b.prepare(disk, dir)); err != nil {
		return nil, fmt.Errorf("pebblestore: open %s: %w", dir, errors.Join(err, db.Close()))
	}
	b.guard.arm()
	return b, nil
}

// prepare does what there is to do in a folder that has just been opened. Pebble begins its log before it upgrades the
// folder, so that the first log of a new one has the oldest format, in which damage in the middle looks like the end.
func (b *Backend) prepare(disk vfs.FS, dir string) (err error) {
	if b.upgraded {
		if err := b.db.Flush(); err != nil {
			return err
		}
	}
	b.place, err = settle(b.db, disk, dir)
	return err
}

// options are those of Pebble.
func (b *Backend) options(o Options) *pebble.Options {
	p := &pebble.Options{
		CacheSize:                  cmp.Or(max(o.Cache, 0), 64<<20),
		MemTableSize:               uint64(cmp.Or(max(o.Table, 0), 16<<20)),
		CompactionConcurrencyRange: func() (int, int) { return 1, 2 },
		FormatMajorVersion:         pebble.FormatValueSeparation,
	}
	for i := range p.Levels {
		p.Levels[i].FilterPolicy = bloom.FilterPolicy(10)
	}
	if o.Tune != nil {
		o.Tune(p)
	}
	kinds := o.Kinds
	if kinds == nil {
		kinds = crdt.Standard()
	}
	p.FS, p.Comparer, p.Merger = b.guard, pebble.DefaultComparer, merger(kinds)
	p.Logger, p.LoggerAndTracer = logger{b.guard, p.Logger}, nil
	p.DisableWAL, p.ReadOnly, p.WALDir, p.WALFailover = false, false, "", nil
	b.watch(p)
	b.room.limit(p)
	return p
}

// Place implements [store.Backend]. It is empty where files have no identity that a program could ask for, as on
// Windows. See the package's documentation for what changes it.
func (b *Backend) Place() string { return b.place }

// Close implements [store.Backend]. After a failure it returns the *[FailedError], and has released everything all the
// same: the folder may be opened again.
func (b *Backend) Close() error {
	if b.closed.Swap(true) {
		return nil
	}
	b.guard.disarm()
	err := b.db.Close()
	return b.guard.cause(err)
}
