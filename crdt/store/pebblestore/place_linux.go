package pebblestore

import (
	"fmt"
	"os"
	"syscall"
)

// identity returns the number of a file and the time of its last change in nanoseconds.
func identity(info os.FileInfo) (inode uint64, changed int64, ok bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return uint64(s.Ino), s.Ctim.Nano(), true
}

// File systems whose snapshots have the numbers and times of the original, but an identity of their own, which stays
// the same over boots. See btrfs_statfs (it mixes in the number of the subvolume) and zfs_statvfs (the guid of the data
// set). That of other file systems may be made of the device's number.
const (
	btrfs = 0x9123683e
	zfs   = 0x2fc12fc1
)

// volume tells a snapshot from its original.
func volume(dir string) string {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return ""
	}
	if kind := uint32(s.Type); kind != btrfs && kind != zfs {
		return ""
	}
	return fmt.Sprintf(" %x", s.Fsid)
}
