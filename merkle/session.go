package merkle

import (
	"cmp"
	"slices"
)

const (
	minMessage        = 512
	defaultMaxMessage = 64 << 10
	defaultMaxRounds  = 10_000
	defaultWidth      = 6
)

// SessionConfig says what is compared and within which bounds. The zero value
// compares everything.
type SessionConfig struct {
	// Ranges is what a session compares, and what a responder is willing to
	// compare. If nil, everything; if empty but not nil, nothing.
	Ranges []Range

	// MaxMessage is the most bytes that any message takes, both ways: a
	// responder stays below its own and the initiator's. If zero, 64 KiB; if
	// below 512, 512.
	MaxMessage int

	// MaxRounds is the most messages that a session sends before it gives up
	// with ErrTooManyRounds, so that no peer keeps it busy for ever. If zero,
	// 10,000: enough for tens of millions of differences at 64 KiB.
	MaxRounds int

	// Epoch is whatever else must be equal for two copies to be comparable, for
	// example the epoch of a partition map. If zero, nothing else.
	Epoch uint64

	width int // of short fingerprints in bytes; if zero, 6
}

func (c SessionConfig) withDefaults() SessionConfig {
	if c.Ranges == nil {
		c.Ranges = []Range{Full}
	}
	c.Ranges = normalize(c.Ranges)
	c.MaxMessage = min(max(cmp.Or(c.MaxMessage, defaultMaxMessage), minMessage), 1<<30)
	c.MaxRounds = max(cmp.Or(c.MaxRounds, defaultMaxRounds), 1)
	c.width = cmp.Or(c.width, defaultWidth)
	return c
}

// Session finds the differences between its tree and a [Responder]'s, from the
// initiator's side:
//
//	for msg := s.Start(); msg != nil; {
//		reply := ... // the answer of a Responder to msg, on the other side
//		msg, err = s.Step(reply)
//	}
//
// It is a pure state machine: no goroutine, clock or randomness; equal inputs
// give equal outputs. It works on a snapshot, so the tree may be written to
// meanwhile. It is not safe for concurrent use. It is of use once; give up on
// it by dropping it.
//
// How a session finds the differences is its own affair and may change: callers
// see messages, and in the end differences.
type Session struct {
	tree *Tree
	cfg  SessionConfig
	head head

	pending []task // a stack: what is found out last is looked into first
	flight  []task // what the message under way asks
	message []byte // the message under way

	found    []Difference // not yet taken
	checks   []Range      // what was not equal at first, to be checked at the end
	known    []Range      // of all differences found
	sorted   int          // so many of them, from the start, are sorted
	checking bool

	claims  int  // so many ids were said to differ, about
	count   int  // so many differences were found
	doubted bool // a sketch

	state    []byte // of the responder, as it was first seen
	last     []byte // the same, as it was last seen
	moved    bool   // the responder's state changed meanwhile
	failed   bool   // a check did not hold
	done     bool
	verified bool
}

// task is something to find out about a range.
type task struct {
	r     Range
	kind  taskKind
	climb *climb // of taskSketch and taskCells
}

type taskKind uint8

const (
	taskSketch  taskKind = iota // whether it differs, and if so, where, by sketches
	taskCells                   // where it differs, by cells of a table
	taskDoubt                   // none: the peer's sketch is doubted
	taskRoot                    // whether it differs, by whole fingerprints
	taskSum                     // whether it differs, by short fingerprints
	taskDiffers                 // where it differs
	taskList                    // where it differs, by a list
	taskCheck                   // whether all its differences are known
	taskRecheck                 // the same, once they were looked for with whole fingerprints
)

// NewSession returns a session that compares a snapshot of t as it is now. It is O(1)
// but for the comparison of a doubted sketch.
func NewSession(t *Tree, cfg SessionConfig) *Session {
	cfg = cfg.withDefaults()
	s := &Session{tree: t.Snapshot(), cfg: cfg, head: headOf(t, cfg)}
	s.head.width, s.head.limit = cfg.width, cfg.MaxMessage
	for _, r := range slices.Backward(cfg.Ranges) {
		s.pending = append(s.pending, s.begin(r))
	}
	s.done = len(s.pending) == 0
	s.verified = s.done
	return s
}

// Start returns the first message, or nil where there is nothing to compare.
// The slice is the caller's. Called again before the first Step, it returns
// the same.
func (s *Session) Start() []byte {
	if s.message == nil && !s.done {
		s.send()
	}
	return slices.Clone(s.message)
}

// Step takes the answer to the last message and returns the next, or nil when
// the session is finished. A message that is no answer to it is a
// [*MessageError] and changes nothing: the last message may be sent again. An
// [*IncomparableError] or [ErrTooManyRounds] ends the session. msg is not kept;
// the slice returned is the caller's.
func (s *Session) Step(msg []byte) (next []byte, err error) {
	if s.done || s.message == nil {
		return nil, ErrFinished
	}
	if len(msg) > s.cfg.MaxMessage {
		return nil, &MessageError{Offset: s.cfg.MaxMessage, Reason: "longer than MaxMessage"}
	}
	a, err := s.head.readAnswer(msg)
	if err != nil {
		s.end(err)
		return nil, err
	}
	results, reason := s.match(&a)
	if reason != "" {
		return nil, &MessageError{Offset: len(msg), Reason: reason}
	}
	s.apply(&a, results)
	return s.advance()
}

// Done reports whether the session is finished, also by an error.
func (s *Session) Done() bool { return s.done }

// Verified reports whether the session finished and found all that differed, as
// far as it can tell: on the way by ranges, because the sums of 16 bytes of what is
// outside of the differences are equal; on the way by a sketch, because nothing was
// left in its cells and what was read makes up for the sums, which hides a changed key
// with a chance of 2^-32 until the next session. False before the end, after an error,
// and where the responder's tree changed in between in a way that matters: compare
// again then.
func (s *Session) Verified() bool { return s.verified }

// Diff returns the differences found so far and not yet taken, each range once. The
// slice is the session's until the next call of Take or Step.
func (s *Session) Diff() []Difference { return s.found }

// Take returns Diff and forgets it, so that a caller can work on differences
// as they come instead of collecting them all. The slice is the caller's.
func (s *Session) Take() []Difference {
	out := s.found
	s.found = nil
	return out
}

// end finishes the session on an error that no repetition mends.
func (s *Session) end(err error) {
	if _, incomparable := err.(*IncomparableError); incomparable {
		s.done, s.message = true, nil
	}
}

// advance decides what to send next.
func (s *Session) advance() ([]byte, error) {
	if len(s.pending) == 0 {
		s.plan()
	}
	if len(s.pending) == 0 && s.misled() {
		s.pending = s.doubt(s.cfg.Ranges[0])
	}
	if len(s.pending) == 0 {
		s.done, s.message, s.flight = true, nil, nil
		s.verified = !s.failed
		return nil, nil
	}
	if s.head.round >= uint64(s.cfg.MaxRounds) {
		s.done, s.message, s.flight = true, nil, nil
		return nil, ErrTooManyRounds
	}
	s.send()
	return slices.Clone(s.message), nil
}
