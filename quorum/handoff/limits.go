package handoff

import "time"

// Limits bound what a node holds for others. The zero Limits are good ones. A hint
// counts with its key, its state and 192 bytes.
type Limits struct {
	// MaxBytes is the most bytes that are held for all targets together. If zero,
	// 256 MiB.
	MaxBytes int

	// MaxTargetBytes is the most bytes that are held for one target. If zero, 64 MiB.
	MaxTargetBytes int

	// MaxTargetHints is the most keys that are held for one target. If zero, 100,000.
	MaxTargetHints int

	// MaxTargets is the most nodes that something is held for, or that are overdue: see
	// [TargetStats]. A node that has departed for good counts until [Handoff.Forget]. If
	// zero, 1,000.
	MaxTargets int

	// MaxAge is how long a hint is held, from the oldest delta in it that was not
	// delivered. If zero, three hours. From the moment at which one of a target has
	// become older, no more are taken for that target until it has got all that is
	// held for it: the window begins neither when the target comes and goes, nor when
	// this node is started again.
	MaxAge time.Duration

	// MaxMessage is the most bytes of a request, to be set to no more than the
	// transport carries, and the same on all nodes. A hint that does not fit is not
	// taken. If zero, 1 MiB; at least 1 KiB.
	MaxMessage int
}

func (l Limits) filled() Limits {
	l.MaxBytes = positive(l.MaxBytes, 256<<20)
	l.MaxTargetBytes = positive(l.MaxTargetBytes, 64<<20)
	l.MaxTargetHints = positive(l.MaxTargetHints, 100_000)
	l.MaxTargets = positive(l.MaxTargets, 1000)
	l.MaxAge = positive(l.MaxAge, 3*time.Hour)
	l.MaxMessage = max(positive(l.MaxMessage, 1<<20), 1<<10)
	return l
}

func positive[N ~int | ~int64](n, otherwise N) N {
	if n <= 0 {
		return otherwise
	}
	return n
}

// admit refuses a hint that is over the limits. One that is smaller than what it takes
// the place of is not.
func (b *Buffer) admit(t *target, key string, h *hint, size int) error {
	l := b.filled()
	e := &FullError{Target: t.id, Key: key, Size: size}
	grown, more := size, 0
	if h != nil {
		grown -= len(h.state)
	} else {
		grown, more = grown+hintOverhead+len(key), 1
	}
	switch {
	case requestOverhead+wireSize(key, size) > l.MaxMessage:
		e.Reason, e.Limit = TooLarge, l.MaxMessage
	case t.marks.has(overdue):
		e.Reason = TooOld
	case grown <= 0:
		return nil
	case b.targets[t.id] == nil && len(b.targets) >= l.MaxTargets:
		e.Reason, e.Limit = TooMany, l.MaxTargets
	case len(t.hints)+more > l.MaxTargetHints:
		e.Reason, e.Limit = TooMany, l.MaxTargetHints
	case t.bytes+grown > l.MaxTargetBytes:
		e.Reason, e.Limit = TooMany, l.MaxTargetBytes
	case b.bytes+grown > l.MaxBytes:
		e.Reason, e.Limit = TooMany, l.MaxBytes
	default:
		return nil
	}
	b.refuse(t, e)
	return e
}

// refuse notes that a hint was not taken. It is told once for each target, until that
// has got all that is held. Of a target that nothing is held for nothing is remembered,
// else names alone would fill the memory: of those the first is told, until a hint for
// one of them is taken.
func (b *Buffer) refuse(t *target, e *FullError) {
	b.counts.Dropped[e.Reason]++
	told := b.strangers
	if b.targets[t.id] != nil {
		told = t.marks.has(incomplete)
		b.mark(t, incomplete)
	} else {
		b.strangers = true
	}
	if !told {
		b.changes.Dropped = append(b.changes.Dropped, Dropped{Target: e.Target, Hints: 1, Bytes: e.Size, Reason: e.Reason, Key: e.Key, Err: e})
	}
}
