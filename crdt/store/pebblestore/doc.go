// Package pebblestore keeps the bytes of a [store.Store] in a folder on the disk, by Pebble.
//
//	b, err := pebblestore.Open("/var/lib/app", pebblestore.Options{})
//	// ... give b to store.Open, and close it when the store is closed
//
// Pebble's merge operator is [store.Joined]. So a change writes what it adds, however large the value is that it is
// added to; values and deltas are joined when they are read, and when tables are written. It is a module of its own,
// so that who keeps all in memory does not need Pebble.
//
// # Guarantees
//
// Those of [store.Backend]. All that one Apply was given survives a crash, or nothing of it, and nothing that was
// applied later without it. What sync adds:
//
//   - Without sync a write survives the process only once the log's block of 32 KiB is full or something later is
//     synced. A kill -9 may take it away, not only a power cut.
//   - With sync it survives both as soon as Commit.Wait has returned. Those who wait at the same time share syncs: 64
//     writers cost little more than a few.
//   - Close makes all durable.
//
// How often a store asks for sync is its own policy, see package store.
//
// # Errors
//
// A write that fails is the end: of the log, of a table in the background, of a manifest, on a full disk. From that
// moment on nothing gets to the disk any more. Every Apply and every Wait fails, those under way included, with the
// same *[FailedError]; what is in the folder can still be read. The process goes on: Pebble's own answer would be to end
// it, or to try again without pause. Nothing is tried twice, since a sync that succeeds after one that failed says
// nothing of what was to be synced before. Until Close is called, the goroutines of Pebble that were writing tables
// wait; Close ends them, and releases files and memory. Then the folder may be opened again, which shows what was
// really written: all that was acknowledged, and perhaps some that was not.
//
// A folder whose log or manifest is damaged is not opened. What is read from a table and cannot be understood is an error with [store.ErrDamaged] in its tree, and not the end: other keys
// can be read, and any can be written. A value is whole again when it is set, not when something is joined to it. But
// a table with damage cannot be compacted: the folder still works, reads get slower as it grows, and Pebble tries
// again and again. So it should be given up before long, for a new one that is filled from peers.
//
// # Place
//
// [Backend.Place] is renamed whenever files are not as the last Open left them: after a copy of the folder was put in
// its place, or opened elsewhere, by cp, rsync, tar or hard links, in whole or in part, in place or not. Each Open
// leaves a mark that a copy cannot have, in a file and in the database. Renaming the folder does not change the place,
// nor does a reboot. Three things change it without need, which is the safe side: changing the owner or the rights of
// its file, a crash in the middle of Open, and file systems that number files anew at each mount (FUSE). An
// [Options.FS] whose files have no numbers, as one in memory, has no place. What cannot be told: a block device copied
// or put back as a whole, as snapshots of virtual machines are. Snapshots of btrfs and ZFS can be told, but not if ZFS
// rolls one back in place.
//
// # Costs
//
// In memory: [Options.Cache], up to four times [Options.Table], and the filters of the tables that are in use, 10 bits a
// key. On the disk: what there is, with snappy, up to a tenth more that is to be compacted away, the log up to about
// what is in memory, and a new table beside the old ones while it is written. Each byte is written once to the log, once
// to a table, and some times more by compaction; [Backend.Stats] tells.
//
// A value that is read costs its size and that of all deltas since it was last compacted; a store that keeps in memory
// what it uses reads each once.
//
// # Concurrency
//
// All methods but Close may be called at the same time. The only goroutines are Pebble's, which end with Close.
//
// # Files
//
// Those of Pebble at format 24 (FormatValueSeparation), and PLACE. Keys have one byte in front: 1 for those of the
// store, 0 for the backend's own. The merge operator's name, eventual.join.1, is among the files, and another one is
// refused. A folder belongs to one process at a time, by a lock that ends with it.
//
// # Testing
//
// With vfs.NewCrashableMem as [Options.FS] power cuts can be tried, with package errorfs of Pebble's failing disks.
package pebblestore
