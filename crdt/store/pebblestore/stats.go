package pebblestore

import (
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Stats are what a [Backend] holds, and what it has written since it was opened, in bytes.
type Stats struct {
	Disk      int64 // all files of the folder, as far as Pebble made them
	Memory    int64 // writes not yet in tables, and the cache
	Applied   int64 // what Apply was given, encoded as a batch
	Logged    int64 // written to the log
	Flushed   int64 // written to tables for the first time
	Compacted int64 // written to tables once more
}

// Stats returns them. It costs O(tables), so not for each write.
func (b *Backend) Stats() Stats {
	if b.closed.Load() {
		return Stats{}
	}
	m := b.db.Metrics()
	var flushed, compacted uint64 // Pebble's own total counts what is logged as flushed
	for i := range m.Levels {
		l := &m.Levels[i]
		flushed += l.TableBytesFlushed + l.BlobBytesFlushed
		compacted += l.TableBytesCompacted + l.BlobBytesCompacted
	}
	return Stats{
		Disk:      int64(m.DiskSpaceUsage()),
		Memory:    int64(m.MemTable.Size) + m.BlockCache.Size,
		Applied:   int64(m.WAL.BytesIn),
		Logged:    int64(m.WAL.BytesWritten),
		Flushed:   int64(flushed),
		Compacted: int64(compacted),
	}
}

// Checkpoint makes a copy of all that was applied before, in the folder to, which must not exist. It may be called while
// the backend is in use. On the same disk tables are shared by hard links, so it costs little until they are
// compacted; otherwise they are copied.
//
// The copy has another [Backend.Place]: who opens it is somebody else. An error is final only if the backend has failed
// itself.
func (b *Backend) Checkpoint(to string) error {
	if b.closed.Load() {
		return errClosed
	}
	if err := b.guard.failed(); err != nil {
		return err
	}
	err := b.db.Checkpoint(to, pebble.WithFlushedWAL())
	if err = b.guard.cause(err); err != nil {
		return fmt.Errorf("pebblestore: checkpoint %s: %w", to, err)
	}
	return nil
}
