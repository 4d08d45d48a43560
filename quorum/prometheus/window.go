package quorumprom

import (
	"slices"
	"time"
)

const (
	conflictSpan = time.Minute
	errorSpan    = 5 * time.Minute
	resolution   = 30 // samples to a span, at most
)

// A tally is what had been counted at a moment. Counts only grow.
type tally struct {
	conflicts, writes, writeErrors, repairs, repairErrors uint64
}

// since is by how much t has grown since then. What a counter that began anew had
// before is not known, so it has not grown.
func (t tally) since(then tally) tally {
	return tally{
		conflicts:    grown(t.conflicts, then.conflicts),
		writes:       grown(t.writes, then.writes),
		writeErrors:  grown(t.writeErrors, then.writeErrors),
		repairs:      grown(t.repairs, then.repairs),
		repairErrors: grown(t.repairErrors, then.repairErrors),
	}
}

func grown(now, then uint64) uint64 { return max(now, then) - then }

type sample struct {
	at time.Time
	tally
}

// A window says what was counted lately. It reaches back over its span to the last
// sample before it; while there is none, to the first one. It keeps a sample each
// thirtieth of its span, however often it is asked.
type window struct {
	span time.Duration
	kept []sample // ascending in time; the first is where the window begins
}

// grown takes a sample, and returns what was counted since the window began, and how
// long ago that was.
func (w *window) grown(now time.Time, t tally) (tally, time.Duration) {
	if len(w.kept) == 0 {
		w.kept = append(w.kept, sample{now, t})
	}
	later := slices.IndexFunc(w.kept, func(s sample) bool { return now.Sub(s.at) < w.span })
	if later < 0 {
		later = len(w.kept)
	}
	w.kept = slices.Delete(w.kept, 0, max(later-1, 0))
	if now.Sub(w.kept[len(w.kept)-1].at) >= w.span/resolution {
		w.kept = append(w.kept, sample{now, t})
	}
	first := w.kept[0]
	return t.since(first.tally), max(now.Sub(first.at), 0)
}

// windows are those behind the gauges of a [Collector].
type windows struct {
	minute, errors window
}

// rates are what the gauges show.
type rates struct {
	conflicts   float64 // a minute
	repairs     float64 // the share of them that succeeded
	writeErrors float64 // the share of writes that failed
}

func (w *windows) rates(now time.Time, t tally) rates {
	w.minute.span, w.errors.span = conflictSpan, errorSpan
	met, over := w.minute.grown(now, t)
	lately, _ := w.errors.grown(now, t)
	return rates{
		conflicts:   float64(met.conflicts) / max(over, time.Minute).Minutes(),
		repairs:     1 - share(lately.repairErrors, lately.repairs),
		writeErrors: share(lately.writeErrors, lately.writes),
	}
}

// share is the part of all that some are, from 0 to 1; 0 if there are none. Counters
// are not read at one instant, so there may be more than all for once.
func share(some, all uint64) float64 {
	if all == 0 {
		return 0
	}
	return float64(min(some, all)) / float64(all)
}
