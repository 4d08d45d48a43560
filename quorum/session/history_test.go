package session

import (
	"fmt"
	"slices"
)

// A history is what sessions did, in the order in which it ended: what they wrote and read, when,
// and what came of it. States are sets of numbers, each of which is written once.
type history struct {
	events []event
	begun  map[int]before // by session
}

type event struct {
	session      int
	write        bool
	key          string
	state        []byte
	began, ended int
	ok           bool
	most         bool // a read by a majority
}

// before is what a session comes after: others, as far as they were.
type before []struct{ session, until int }

// past returns the events that a session had seen the end of by some time, its own and those of
// the sessions that it comes after.
func (h *history) past(session, until int) (all []event) {
	for _, e := range h.events {
		if e.session == session && e.ok && e.ended < until {
			all = append(all, e)
		}
	}
	for _, p := range h.begun[session] {
		all = append(all, h.past(p.session, min(p.until, until))...)
	}
	return all
}

// check returns what guarantees are violated, and an example of each.
func (h *history) check() (violated Guarantees, examples []string) {
	found := func(g Guarantees, format string, args ...any) {
		if violated&g == 0 {
			examples = append(examples, fmt.Sprintf(format, args...))
		}
		violated |= g
	}
	for _, e := range h.events {
		if e.write {
			continue
		}
		for _, p := range h.past(e.session, e.began) {
			switch missing := p.key == e.key && e.ok && !contains(e.state, p.state); {
			case missing && p.write:
				found(ReadYourWrites, "%+v after its own %+v", e, p)
			case missing:
				found(MonotonicReads, "%+v after its own %+v", e, p)
			}
		}
	}
	for _, w := range h.events {
		if seen := h.firstSeen(w); w.write && seen >= 0 {
			h.checkOrder(w, seen, found)
		}
	}
	return violated, examples
}

// firstSeen returns when somebody had first read a write, -1 if nobody had.
func (h *history) firstSeen(w event) (at int) {
	at = -1
	for _, r := range h.events {
		if !r.write && r.ok && r.key == w.key && contains(r.state, w.state) && (at < 0 || r.ended < at) {
			at = r.ended
		}
	}
	return at
}

// checkOrder looks at what majorities return after somebody had seen a write: what its session had
// seen before it.
func (h *history) checkOrder(w event, seen int, found func(Guarantees, string, ...any)) {
	for _, p := range h.past(w.session, w.began) {
		i := slices.IndexFunc(h.events, func(r event) bool {
			return !r.write && r.ok && r.most && r.key == p.key && r.began > seen && !contains(r.state, p.state)
		})
		switch {
		case i < 0:
		case p.write:
			found(MonotonicWrites, "%+v, though %+v was seen, and before it was %+v", h.events[i], w, p)
		default:
			found(WritesFollowReads, "%+v, though %+v was seen, and before it was %+v", h.events[i], w, p)
		}
	}
}

func contains(state, part []byte) bool {
	both, _ := union(state, part)
	return slices.Equal(both, state)
}

func union(a, b []byte) ([]byte, error) {
	both := slices.Concat(a, b)
	slices.Sort(both)
	return slices.Compact(both), nil
}
