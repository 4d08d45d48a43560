//go:build !linux

package crdt_test

import "time"

func cpuTimed(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
