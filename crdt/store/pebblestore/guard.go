package pebblestore

import (
	"strings"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// A guard stands between Pebble and the disk. It lets everything through until a write fails. From then on nothing gets
// to the files of the folder any more, as if the power had been cut at that moment, and Pebble does not hear of it.
//
// For Pebble cannot stop. To it an error of the log is a panic, in places where it holds no lock that it then unlocks,
// which nobody can recover from; one of the manifest is the end of the process; one of a table is tried again at once,
// for ever. And after a failed sync the same sync may succeed, with the bytes lost. So it goes on writing to nowhere,
// and the backend, which knows, tells everybody.
//
// Writes of tables come from the background and have no end. They are held back until the backend is closed, so that
// the tables that Pebble knows of stay those that can be read.
type guard struct {
	vfs.FS
	dir     string
	nowhere vfs.FS
	lost    atomic.Pointer[FailedError]
	told    func()
	armed   atomic.Bool
	over    chan struct{} // closed by disarm
}

func newGuard(disk vfs.FS, dir string, told func()) *guard {
	dir = disk.PathDir(disk.PathJoin(dir, "x"))
	return &guard{FS: disk, dir: dir, nowhere: vfs.NewMem(), told: told, over: make(chan struct{})}
}

// arm says that the backend is in use: from now on tables can wait. While it is opened Pebble waits for them itself.
func (g *guard) arm() { g.armed.Store(true) }

// disarm says that it is not any more.
func (g *guard) disarm() { close(g.over) }

// fail makes err the end, unless something else was before it, and returns what was the end.
func (g *guard) fail(op, path string, err error) error {
	g.lost.CompareAndSwap(nil, &FailedError{Op: op, Path: path, Err: err})
	g.told()
	return g.lost.Load()
}

// failed returns the end, or nil.
func (g *guard) failed() error {
	if e := g.lost.Load(); e != nil {
		return e
	}
	return nil
}

// cause returns the end in place of err, which comes from it, and err if there is no end.
func (g *guard) cause(err error) error {
	if lost := g.failed(); lost != nil {
		return lost
	}
	return err
}

// ours reports whether name lies in the folder itself. What is written elsewhere is a copy, and fails by itself.
func (g *guard) ours(name string) bool { return g.FS.PathDir(name) == g.dir }

// write does one write to the file of that name, or to the folder itself, or none after the end.
func (g *guard) write(op, name string, do func() error) {
	if g.lost.Load() == nil {
		err := do()
		if err == nil {
			return
		}
		_ = g.fail(op, name, err)
	}
	if g.armed.Load() && (strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")) {
		<-g.over
	}
}

// file does what opens a file of that name for writing. After the end it is one in memory.
func (g *guard) file(op, name string, open func() (vfs.File, error)) (vfs.File, error) {
	if !g.ours(name) {
		return open()
	}
	var f vfs.File
	g.write(op, name, func() (err error) {
		f, err = open()
		return err
	})
	if f == nil {
		return g.nowhere.Create("x", vfs.WriteCategoryUnspecified)
	}
	return &file{f, g, name}, nil
}

// Unwrap implements [vfs.FS].
func (g *guard) Unwrap() vfs.FS { return g.FS }

// Create implements [vfs.FS]. A marker says which manifest is the one. Pebble syncs the folder after it has made the
// marker, and not between the manifest and the marker, so that it relies on a disk that keeps their order.
func (g *guard) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if g.ours(name) && strings.HasPrefix(g.FS.PathBase(name), "marker.") {
		g.write("sync", g.dir, func() error { return syncFolder(g.FS, g.dir) })
	}
	return g.file("create", name, func() (vfs.File, error) { return g.FS.Create(name, c) })
}

// OpenReadWrite implements [vfs.FS].
func (g *guard) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return g.file("open", name, func() (vfs.File, error) { return g.FS.OpenReadWrite(name, c, opts...) })
}

// ReuseForWrite implements [vfs.FS].
func (g *guard) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return g.file("reuse", to, func() (vfs.File, error) { return g.FS.ReuseForWrite(from, to, c) })
}

// OpenDir implements [vfs.FS]. Pebble syncs the folder by it.
func (g *guard) OpenDir(name string) (vfs.File, error) {
	f, err := g.FS.OpenDir(name)
	if err != nil || g.FS.PathDir(g.FS.PathJoin(name, "x")) != g.dir {
		return f, err
	}
	return &file{f, g, name}, nil
}

// Rename implements [vfs.FS].
func (g *guard) Rename(from, to string) error {
	if !g.ours(to) {
		return g.FS.Rename(from, to)
	}
	g.write("rename", to, func() error { return g.FS.Rename(from, to) })
	return nil
}

// Remove implements [vfs.FS]. What is too much on the disk does no harm, so it is no end if that fails. But after the
// end nothing may go: it may be what another file was to replace.
func (g *guard) Remove(name string) error {
	if g.ours(name) && g.failed() != nil {
		return nil
	}
	return g.FS.Remove(name)
}

// A file is one of the folder's, open for writing.
type file struct {
	vfs.File
	g    *guard
	name string
}

// Write implements [vfs.File].
func (f *file) Write(p []byte) (int, error) {
	f.g.write("write", f.name, func() error {
		_, err := f.File.Write(p)
		return err
	})
	return len(p), nil
}

// WriteAt implements [vfs.File].
func (f *file) WriteAt(p []byte, at int64) (int, error) {
	f.g.write("write", f.name, func() error {
		_, err := f.File.WriteAt(p, at)
		return err
	})
	return len(p), nil
}

// Sync implements [vfs.File].
func (f *file) Sync() error {
	f.g.write("sync", f.name, f.File.Sync)
	return nil
}

// SyncData implements [vfs.File].
func (f *file) SyncData() error {
	f.g.write("sync", f.name, f.File.SyncData)
	return nil
}

// SyncTo implements [vfs.File].
func (f *file) SyncTo(length int64) (full bool, _ error) {
	f.g.write("sync", f.name, func() (err error) {
		full, err = f.File.SyncTo(length)
		return err
	})
	return full, nil
}

// Close implements [vfs.File]. It closes the file after the end, too.
func (f *file) Close() error {
	if err := f.File.Close(); err != nil && f.g.failed() == nil {
		_ = f.g.fail("close", f.name, err)
	}
	return nil
}
