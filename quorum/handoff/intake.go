package handoff

import (
	"errors"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// How the rate is shared.
const (
	ahead     = 250 * time.Millisecond // what may be taken before its time
	maxLate   = 10 * time.Second       // how long a turn is kept for who does not come
	maxTurns  = 4096                   // senders that have one
	busyPause = time.Second            // of those that get none
)

// An Intake decides when a node takes replays, and from whom how much: what all senders
// together send stays within a rate, and they take turns. It is what [Handoff] serves
// replays by, and most users will not need it. It has no goroutine, clock, lock or
// I/O, and is for one goroutine at a time. The zero value takes 8 MiB a second.
//
// Each answer gives the sender its next turn: when, and how many bytes. Turns follow one
// another at the rate, so whoever has had one comes again after all the others. Who sends
// more, or earlier, is answered with a turn and nothing is merged.
type Intake struct {
	// Rate is how many bytes of requests are taken in a second, from all together. A
	// quarter of a second, or one message, may be used up ahead. If zero, 8 MiB; if
	// negative, no bound.
	Rate int

	// MaxMessage is the most bytes of one request. If zero, 1 MiB; at least 1 KiB.
	MaxMessage int

	turns map[transport.NodeID]turn
	ready time.Time // when all turns that were given are over
	paid  time.Time // when all that was taken is within the rate
}

// A turn is when a sender may send how many bytes.
type turn struct {
	at    time.Time
	bytes int
}

// Serve answers one request of a node. merge is called with what is to be merged, if
// anything is, and returns an error for each that it refuses. Serve fails with a
// *[CorruptError], or with [ErrVersion].
func (i *Intake) Serve(now time.Time, from transport.NodeID, req []byte, merge func(keys []string, states [][]byte) []error) ([]byte, error) {
	q, err := decodeReplay(req)
	if err != nil {
		return nil, err
	}
	var a answer
	next, ok := i.admit(now, from, len(req), &q)
	if ok && len(q.hints) > 0 {
		a = q.outcome(merge(q.columns()))
	}
	return a.encode(now, next), nil
}

func (q *replay) columns() (keys []string, states [][]byte) {
	keys, states = make([]string, len(q.hints)), make([][]byte, len(q.hints))
	for i, e := range q.hints {
		keys[i], states[i] = e.key, e.state
	}
	return keys, states
}

// outcome is the answer to hints that were merged with these errors.
func (q *replay) outcome(errs []error) answer {
	a := answer{taken: len(q.hints)}
	for i := range q.hints {
		err := errUnsaid
		if i < len(errs) {
			err = errs[i]
		}
		if err == nil {
			continue
		}
		r := refusal{index: i}
		if len(a.refusals) < maxTold {
			r.reason = shortened(err.Error())
		}
		a.refusals = append(a.refusals, r)
	}
	return a
}

var errUnsaid = errors.New("handoff: replica says nothing of a hint")

// admit reports whether a request of so many bytes may be merged, and returns the turn
// that its sender has next.
func (i *Intake) admit(now time.Time, from transport.NodeID, size int, q *replay) (next turn, ok bool) {
	if i.Rate < 0 {
		return turn{now, min(max(q.want, q.least, firstAllowance), i.maxMessage())}, size <= i.maxMessage()
	}
	if len(q.hints) == 0 {
		size = 0 // it only asks
	}
	had := i.due(now, from)
	if size > 0 && !i.free(now, had, size) {
		return i.ask(now, from, had, size, size), false
	}
	if size > 0 {
		i.take(now, from, had, size)
		had = turn{}
	}
	return i.ask(now, from, had, q.least, q.want), true
}

// due is the turn of a node, none if it has let it pass.
func (i *Intake) due(now time.Time, from transport.NodeID) turn {
	had := i.turns[from]
	if now.Sub(had.at) > maxLate {
		delete(i.turns, from)
		return turn{}
	}
	return had
}

// free reports whether so many bytes may be merged now: it is the sender's turn, or
// nobody's and they are few. Senders that come late must not come all at once.
func (i *Intake) free(now time.Time, had turn, size int) bool {
	if had.bytes > 0 {
		return !now.Before(had.at) && size <= had.bytes && i.paid.Sub(now) <= ahead
	}
	return size <= min(firstAllowance, i.maxMessage()) && !i.ready.After(now)
}

// take pays for what is merged, with the sender's turn if it had one.
func (i *Intake) take(now time.Time, from transport.NodeID, had turn, size int) {
	delete(i.turns, from)
	i.paid = later(i.paid, now).Add(i.takes(size))
	if had.bytes == 0 {
		i.ready = later(i.ready, now).Add(i.takes(size))
	}
}

// ask gives a node a turn of so many bytes, unless it has one: at least as many as its
// next hint has, else no more than a fraction of the rate, so that turns are short. If
// too many have one it has to ask again.
func (i *Intake) ask(now time.Time, from transport.NodeID, had turn, least, want int) turn {
	bytes := min(max(least, min(want, i.slice())), i.maxMessage())
	next := had
	switch {
	case had.bytes == 0 && bytes == 0:
		return turn{now, min(firstAllowance, i.maxMessage())} // as anybody has
	case had.bytes == 0 && !i.room(now):
		return turn{now.Add(busyPause), min(firstAllowance, i.maxMessage())}
	case had.bytes == 0:
		next = turn{later(i.ready, now), bytes}
		i.ready = next.at.Add(i.takes(bytes))
	case min(least, bytes) > had.bytes: // too few to be of use
		next.bytes = bytes
		i.ready = i.ready.Add(i.takes(bytes - had.bytes))
	}
	next.at = later(next.at, i.paid.Add(-ahead))
	if i.turns == nil {
		i.turns = make(map[transport.NodeID]turn)
	}
	i.turns[from] = next
	return next
}

// room reports whether one more may have a turn, after those were taken away that nobody
// came for.
func (i *Intake) room(now time.Time) bool {
	if len(i.turns) >= maxTurns {
		for id := range i.turns {
			i.due(now, id)
		}
	}
	return len(i.turns) < maxTurns
}

func (i *Intake) rate() int       { return positive(i.Rate, 8<<20) }
func (i *Intake) slice() int      { return i.rate() / 4 }
func (i *Intake) maxMessage() int { return Limits{MaxMessage: i.MaxMessage}.filled().MaxMessage }

// takes is how long so many bytes take.
func (i *Intake) takes(bytes int) time.Duration {
	return time.Duration(float64(bytes) / float64(i.rate()) * float64(time.Second))
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
