package handoff

import (
	"time"

	"github.com/eventual-go/eventual/transport"
)

// Counts add up what was done since the [Handoff] was made.
type Counts struct {
	Kept          uint64             // deltas
	Replayed      uint64             // hints that a target has merged
	ReplayedBytes uint64             // of their states
	Reclaimed     uint64             // hints that this node has merged itself, since their target holds the key no more
	Dropped       [allReasons]uint64 // hints dropped, and deltas not taken, by [Reason]
	Received      uint64             // hints of others that were merged here
	ReceivedBytes uint64             // of their states
}

// Stats are what is held, and what was done.
type Stats struct {
	Counts
	Hints   int
	Bytes   int           // by [Limits]
	Oldest  time.Time     // since when the oldest has been held; zero if there is none
	Targets []TargetStats // that something is held for, or that are overdue, in ascending order of names
}

// TargetStats are what is held for one node.
type TargetStats struct {
	Target transport.NodeID
	Hints  int
	Bytes  int       // by [Limits]
	Oldest time.Time // since when the oldest has been held; zero if there is none

	// Failures is how many attempts in a row have failed.
	Failures int

	// Incomplete says that hints were dropped, or not taken: the target needs
	// anti-entropy. It is remembered until nothing is held for the target; if that was
	// delivered, the target is there, and reconciliations reach it.
	Incomplete bool

	// Overdue says that a hint was dropped because it was too old. Until all that is
	// held was delivered no more are taken. A target that nothing is held for any more is
	// then asked about once a minute whether it is there.
	Overdue bool
}

// Stats returns what is held, and what was done.
func (b *Buffer) Stats() Stats {
	s := Stats{Counts: b.counts, Bytes: b.bytes}
	for _, id := range b.ids() {
		t := b.targets[id].stats()
		s.Hints += t.Hints
		if !t.Oldest.IsZero() {
			s.Oldest = earlier(s.Oldest, t.Oldest)
		}
		s.Targets = append(s.Targets, t)
	}
	return s
}

func (t *target) stats() TargetStats {
	s := TargetStats{
		Target: t.id, Hints: len(t.hints), Bytes: t.bytes, Failures: t.failures,
		Incomplete: t.marks.has(incomplete), Overdue: t.marks.has(overdue),
	}
	if t.oldest != nil {
		s.Oldest = t.oldest.since
	}
	return s
}
