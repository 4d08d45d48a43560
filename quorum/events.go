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
	// OnAnswer is called for each owner that was asked for what it has, or to merge a write, when
	// that has ended, whether anybody still waits for it or not: for package pbs, or histograms.
	OnAnswer func(AnswerEvent)
	// OnRepair is called for each owner that a read found behind, when the attempt to
	// bring it up has ended; that may be after the read was answered.
	OnRepair func(RepairEvent)
}

// A ReadEvent is the outcome of one Read, the same that the caller gets.
type ReadEvent struct {
	Key     string
	Options ReadOptions // with those of the bucket
	Result  ReadResult
	Err     error
	Elapsed time.Duration
}

// A WriteEvent is the outcome of one Write, the same that the caller gets.
type WriteEvent struct {
	Key     string
	Options WriteOptions // with those of the bucket
	Bytes   int          // length of the delta
	Result  WriteResult
	Err     error
	Elapsed time.Duration
}

// An AnswerEvent is how long an owner took.
type AnswerEvent struct {
	Node    transport.NodeID
	Write   bool          // it was to merge a write; else to load
	Elapsed time.Duration // since it was to be asked, time in a queue included
	Err     error
}

// answered tells of an owner that was asked at a time.
func (c *Coordinator) answered(s *Send, asked time.Time, err error) {
	if c.Events.OnAnswer != nil && (s.role == roleLoad || s.role == roleWrite) {
		c.Events.OnAnswer(AnswerEvent{Node: s.To, Write: s.role == roleWrite, Elapsed: time.Since(asked), Err: err})
	}
}

// now is the time, if anybody is to be told how long something took.
func (e *Events) now() (t time.Time) {
	if e.OnAnswer != nil {
		t = time.Now()
	}
	return t
}

// A RepairEvent is the outcome of bringing one owner up to what a read found.
type RepairEvent struct {
	Key   string
	Node  transport.NodeID
	Bytes int // length of the state that was sent
	Err   error
}

// read counts a read and tells of it.
func (c *Coordinator) read(key string, opts *ReadOptions, res ReadResult, err error, start time.Time) {
	n := &c.counters
	n.reads.Add(1)
	switch {
	case err != nil:
		n.readErrors.Add(1)
	case res.Stale:
		n.stale.Add(1)
	}
	if res.Concurrent {
		n.conflicts.Add(1)
	}
	if c.Events.OnRead != nil {
		c.Events.OnRead(ReadEvent{Key: key, Options: *opts, Result: res, Err: err, Elapsed: time.Since(start)})
	}
}

// wrote counts a write and tells of it.
func (c *Coordinator) wrote(key string, opts *WriteOptions, size int, res WriteResult, err error, start time.Time) {
	n := &c.counters
	n.writes.Add(1)
	if err != nil {
		n.writeErrors.Add(1)
	}
	if c.Events.OnWrite != nil {
		c.Events.OnWrite(WriteEvent{Key: key, Options: *opts, Bytes: size, Result: res, Err: err, Elapsed: time.Since(start)})
	}
}

// told counts what came of one send, and tells of repairs.
func (c *Coordinator) told(x *call, s *Send, err error) {
	n := &c.counters
	switch s.role {
	case roleLoad:
		if err == nil {
			n.answers.Add(1)
		}
	case roleWrite:
		if err == nil {
			n.lag.add(time.Since(x.start))
		}
	case roleHint:
		if s.task.kind == taskHint && err == nil {
			n.hints.Add(1)
		} else if s.task.kind == taskHint && s.To == c.Self { // whose turn comes last
			n.hintErrors.Add(1)
		}
	case roleRepair:
		n.repairs.Add(1)
		if err != nil {
			n.repairErrors.Add(1)
		}
		if c.Events.OnRepair != nil {
			c.Events.OnRepair(RepairEvent{Key: s.task.key, Node: s.To, Bytes: len(s.task.state), Err: err})
		}
	}
}
