package pebblestore

import (
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// A FailedError says that a write of the folder failed, of whatever file, in whatever goroutine. It is final: all that
// is applied from then on, or waited for, fails with the first one there was, and nothing more is written. What is on
// the disk shows at the next [Open].
type FailedError struct {
	Op   string // what failed: create, open, reuse, rename, write, sync, close; apply, and pebble for what it gave up by itself
	Path string // the file, if it was one
	Err  error  // as the file system said it: errors.Is(err, syscall.ENOSPC) finds a full disk
}

// Error implements error.
func (e *FailedError) Error() string {
	what := e.Err.Error()
	if !strings.Contains(what, e.Path) { // most file systems say it themselves
		what = e.Path + ": " + what
	}
	return fmt.Sprintf("pebblestore: failed for good: %s: %s", e.Op, what)
}

// Unwrap returns e.Err.
func (e *FailedError) Unwrap() error { return e.Err }

// A logger is what Pebble calls when it wants the process to end. It comes back from it, which does no harm, since
// nothing that Pebble does then gets to the disk.
type logger struct {
	guard *guard
	next  pebble.Logger // what the user has, or nil
}

// Infof implements [pebble.Logger].
func (l logger) Infof(format string, args ...any) {
	if l.next != nil {
		l.next.Infof(format, args...)
	}
}

// Errorf implements [pebble.Logger].
func (l logger) Errorf(format string, args ...any) {
	if l.next != nil {
		l.next.Errorf(format, args...)
	}
}

// Fatalf implements [pebble.Logger].
func (l logger) Fatalf(format string, args ...any) {
	err := fmt.Errorf(format, args...)
	_ = l.guard.fail("pebble", "", err)
	l.Errorf("%v", err)
}

// watch has the backend told of what goes on, besides the user. Pebble may hold its own locks when it does.
func (b *Backend) watch(p *pebble.Options) {
	mine := pebble.EventListener{
		WALCreated:    func(pebble.WALCreateInfo) { b.room.changed() },
		FlushEnd:      func(pebble.FlushInfo) { b.room.changed() },
		CompactionEnd: func(info pebble.CompactionInfo) { b.room.compacted(info.Err) },
		FormatUpgrade: func(pebble.FormatMajorVersion) { b.upgraded = true },
		// Pebble ends the process unless somebody listens. Who reads what is damaged gets an error.
		DataCorruption: func(pebble.DataCorruptionInfo) {},
	}
	if p.EventListener != nil {
		mine = pebble.TeeEventListener(mine, *p.EventListener)
	}
	p.EventListener = &mine
}
