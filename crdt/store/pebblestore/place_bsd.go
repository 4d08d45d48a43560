//go:build darwin || freebsd || netbsd

package pebblestore

import (
	"os"
	"syscall"
)

// identity returns the number of a file and the time of its last change in nanoseconds.
func identity(info os.FileInfo) (inode uint64, changed int64, ok bool) {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return uint64(s.Ino), s.Ctimespec.Nano(), true
}

func volume(string) string { return "" }
