package store_test

import "time"

// How long a test waits for what another goroutine does, and how often it looks.
const (
	eventually = 10 * time.Second
	tick       = time.Millisecond
)
