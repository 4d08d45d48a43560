package quorum

import (
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Events are called as things happen; a nil one is not called. They are called by
// many goroutines at once, never with a lock held, and what they take is time that
// a call takes longer.
type Events struct {
	// OnRead is called at the end of each Read, by the goroutine that called it.
	OnRead func(ReadEvent)
	// OnWrite is called at the end of each Write, by the goroutine that called it.
	OnWrite func(WriteEvent)
	// OnRepair is called for each owner that a read found behind, when the attempt to
	// bring it up has ended; that may be after the read was answered.
	OnRepair func(RepairEvent)
}

// A ReadEvent is the outcome of one Read, the same that the caller gets.
type ReadEvent struct {
	Key     string
	Level   Level
	Result  ReadResult
	Err     error
	Elapsed time.Duration
}

// A WriteEvent is the outcome of one Write, the same that the caller gets.
type WriteEvent struct {
	Key     string
	Level   Level
	Bytes   int // length of the delta
	Result  WriteResult
	Err     error
	Elapsed time.Duration
}

// A RepairEvent is the outcome of bringing one owner up to what a read found.
type RepairEvent struct {
	Key   string
	Node  transport.NodeID
	Bytes int // length of the state that was sent
	Err   error
}

func (e *Events) read(key string, level Level, res ReadResult, err error, start time.Time) {
	if e.OnRead != nil {
		e.OnRead(ReadEvent{Key: key, Level: level, Result: res, Err: err, Elapsed: time.Since(start)})
	}
}

func (e *Events) wrote(key string, level Level, size int, res WriteResult, err error, start time.Time) {
	if e.OnWrite != nil {
		e.OnWrite(WriteEvent{Key: key, Level: level, Bytes: size, Result: res, Err: err, Elapsed: time.Since(start)})
	}
}

func (e *Events) repaired(s *Send, err error) {
	if e.OnRepair != nil && s.repair {
		e.OnRepair(RepairEvent{Key: s.key, Node: s.To, Bytes: len(s.state), Err: err})
	}
}
