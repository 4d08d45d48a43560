package handoff

import (
	"slices"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// hintOverhead is what a hint takes in memory beside its key and state.
const hintOverhead = 192

// A hint is all that is held for one target under one key.
type hint struct {
	target *target
	key    string
	state  []byte
	since  time.Time // of the oldest delta in it that was not delivered
	fresh  time.Time // of the oldest delta that was joined since it was sent; zero if none was
	seq    uint64    // grows with each delta
	sent   uint64    // the seq when it was sent

	refusals     int
	older, newer *hint
}

func (h *hint) cost() int { return hintOverhead + len(h.key) + len(h.state) }

// gone reports whether h was taken out. What waits in a queue is told that late.
func (h *hint) gone() bool { return h.target == nil }

// marks are what is to be remembered of a target beside its hints.
type marks uint8

const (
	incomplete marks = 1 << iota // hints were dropped, or not taken: to be shown while others are held
	overdue                      // one of them because it was too old: none are taken until it answers

	allMarks = incomplete | overdue
)

func (m marks) has(other marks) bool { return m&other == other }

// A target is what is known of one node that hints are held for.
type target struct {
	id    transport.NodeID
	hints map[string]*hint
	bytes int
	marks marks

	oldest, newest *hint   // linked by the time since which they are held
	queue          []*hint // in the order in which they are sent; those of the flight are not among them
	flight         flight

	alone     bool      // hints go one by one: several were too large for the network
	allowance int       // bytes of the next request, as the target said; zero if it did not
	polite    time.Time // until when the target asked to wait
	retry     time.Time // until when to wait after failures
	failures  int       // in a row
}

func newTarget(id transport.NodeID) *target {
	return &target{id: id, hints: make(map[string]*hint)}
}

// A flight is a batch on its way.
type flight struct {
	id    uint64 // zero if there is none
	hints []*hint
	least int // what the batch asked for
}

func (t *target) due() time.Time {
	if t.retry.After(t.polite) {
		return t.retry
	}
	return t.polite
}

func (t *target) add(h *hint) {
	t.hints[h.key] = h
	t.bytes += h.cost()
	t.queue = append(t.queue, h)
	t.link(h)
}

func (t *target) remove(h *hint) {
	delete(t.hints, h.key)
	t.bytes -= h.cost()
	t.unlink(h)
	h.target, h.state = nil, nil
	if gone := len(t.queue) - len(t.hints); gone > len(t.hints)+16 {
		t.queue = slices.DeleteFunc(t.queue, (*hint).gone)
	}
}

// link puts h behind all that are not newer. Mostly those are all there are.
func (t *target) link(h *hint) {
	h.older, h.newer = t.newest, nil
	for h.older != nil && h.older.since.After(h.since) {
		h.older, h.newer = h.older.older, h.older
	}
	t.join(h.older, h)
	t.join(h, h.newer)
}

// join makes newer the next after older; nil is the end.
func (t *target) join(older, newer *hint) {
	if older == nil {
		t.oldest = newer
	} else {
		older.newer = newer
	}
	if newer == nil {
		t.newest = older
	} else {
		newer.older = older
	}
}

func (t *target) unlink(h *hint) {
	t.join(h.older, h.newer)
	h.older, h.newer = nil, nil
}

// renew makes h as old as the oldest delta in it that was not delivered.
func (t *target) renew(h *hint) {
	h.since, h.refusals = h.fresh, 0
	t.unlink(h)
	t.link(h)
}

// take takes the hints out of the queue that fit into so many bytes, those of the
// request's head included.
func (t *target) take(limit int) (taken []*hint) {
	size := requestOverhead
	for h := t.first(); h != nil; h = t.first() {
		if size += wireSize(h.key, len(h.state)); size > limit {
			break
		}
		taken = append(taken, h)
		t.queue = t.queue[1:]
		if t.alone {
			break
		}
	}
	return taken
}

// first is the next in the queue, nil if there is none.
func (t *target) first() *hint {
	for len(t.queue) > 0 && t.queue[0].gone() {
		t.queue = t.queue[1:]
	}
	if len(t.queue) == 0 {
		return nil
	}
	return t.queue[0]
}

// back puts hints that were taken back to where they were.
func (t *target) back(hints []*hint) {
	if len(hints) > 0 {
		t.queue = slices.Concat(hints, t.queue)
	}
}
