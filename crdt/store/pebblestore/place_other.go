//go:build !linux && !darwin && !freebsd && !netbsd

package pebblestore

import "os"

func identity(os.FileInfo) (inode uint64, changed int64, ok bool) { return 0, 0, false }

func volume(string) string { return "" }
