package handoff

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Buffer holds the hints of one node: what for whom, what goes next, what an answer
// means, what has become too old. It is what [Handoff] holds them in, and most users
// will not need it. It has no goroutine, clock, lock or I/O: equal calls have equal
// results. The time is what Tick was told last. A Buffer is for one goroutine at a
// time, and must not be copied once it is used.
//
// All hints of one target and key are one, joined. What has to be made durable, and
// what is to be told, is gathered until Changes takes it.
type Buffer struct {
	// Join merges two states, of which the first may be empty. It must be set.
	Join func(a, b []byte) ([]byte, error)

	Limits

	// Seed picks the jitter of pauses.
	Seed uint64

	volatile bool // nobody takes rows

	targets map[transport.NodeID]*target // those with hints, and those that are overdue
	bytes   int
	batches uint64
	random  uint64
	now     time.Time
	counts  Counts
	changes Changes

	// strangers says that the refusal of a hint for a node of which nothing is known was
	// told: of those nothing is remembered.
	strangers bool
}

// Changes are what came of calls of a [Buffer].
type Changes struct {
	Rows    []Row     // for a [Log], in this order
	Dropped []Dropped // for [Events]
}

// set has a row written.
func (b *Buffer) set(of interface{ row() Row }) {
	if !b.volatile {
		b.changes.Rows = append(b.changes.Rows, of.row())
	}
}

// unset has a row deleted.
func (b *Buffer) unset(id func() string) {
	if !b.volatile {
		b.changes.Rows = append(b.changes.Rows, Row{ID: id()})
	}
}

// Changes returns what has changed since it was called last.
func (b *Buffer) Changes() Changes {
	c := b.changes
	b.changes = Changes{}
	return c
}

// Keep holds delta for a node. It fails with a *[FullError] if bounds forbid it, and
// with the error of Join if that does not take delta. What was held under key and no
// longer joins with anything gives way to it, and is dropped.
func (b *Buffer) Keep(to transport.NodeID, key string, delta []byte) error {
	p, err := prepare(b.Join, b.state(to, key), delta)
	if err != nil {
		return err
	}
	return b.keep(to, key, p)
}

// state is what is held under key for a node.
func (b *Buffer) state(to transport.NodeID, key string) []byte {
	if t := b.targets[to]; t != nil {
		if h := t.hints[key]; h != nil {
			return h.state
		}
	}
	return nil
}

// states are what is held under key, one for each target that something is held for.
func (b *Buffer) states(key string) (all [][]byte) {
	for _, id := range b.ids() {
		if s := b.state(id, key); s != nil {
			all = append(all, s)
		}
	}
	return all
}

func (b *Buffer) ids() []transport.NodeID { return slices.Sorted(maps.Keys(b.targets)) }

// A prepared hint is what a delta makes of what is held.
type prepared struct {
	state []byte
	known bool  // all of it was held already
	lost  error // why what was held is given up for it
}

// prepare joins delta to what is held. The result is the Buffer's own.
func prepare(join func(a, b []byte) ([]byte, error), held, delta []byte) (p prepared, err error) {
	if len(delta) == 0 {
		return prepared{known: true}, nil
	}
	state, err := join(held, delta)
	if err != nil && len(held) > 0 {
		p.lost = err
		state, err = join(nil, delta)
	}
	if err != nil {
		return prepared{}, err
	}
	p.known = p.lost == nil && bytes.Equal(state, held)
	p.state = slices.Clone(state)
	return p, nil
}

func (b *Buffer) keep(to transport.NodeID, key string, p prepared) error {
	if p.known {
		b.counts.Kept++
		return nil
	}
	t, known := b.targets[to]
	if !known {
		t = newTarget(to) // known once something is held for it
	}
	b.expire(t)
	h := t.hints[key]
	if err := b.admit(t, key, h, len(p.state)); err != nil {
		return err
	}
	if p.lost != nil && h != nil {
		b.drop(Dropped{Target: to, Hints: 1, Bytes: h.cost(), Reason: Refused, Key: key, Err: p.lost})
	}
	if !known {
		b.meet(t)
	}
	if h == nil {
		h = &hint{target: t, key: key, since: b.now}
		t.add(h)
		b.bytes += h.cost()
	}
	b.put(h, p.state)
	b.counts.Kept++
	return nil
}

// put gives h another state.
func (b *Buffer) put(h *hint, state []byte) {
	grown := len(state) - len(h.state)
	h.state = state
	h.target.bytes += grown
	b.bytes += grown
	h.seq++
	if h.fresh.IsZero() {
		h.fresh = b.now
	}
	b.set(h)
}

// mark adds marks to those of t.
func (b *Buffer) mark(t *target, m marks) {
	if t.marks.has(m) {
		return
	}
	t.marks |= m
	b.set(t)
}

// drop notes that hints were dropped, which the caller takes out.
func (b *Buffer) drop(d Dropped) {
	b.counts.Dropped[d.Reason] += uint64(d.Hints)
	b.changes.Dropped = append(b.changes.Dropped, d)
	if t := b.targets[d.Target]; t != nil && d.Reason != Departed {
		b.mark(t, incomplete)
	}
}

// remove takes h out.
func (b *Buffer) remove(h *hint) {
	b.bytes -= h.cost()
	b.unset(h.id)
	h.target.remove(h)
}

// meet makes a target known.
func (b *Buffer) meet(t *target) {
	if b.targets == nil {
		b.targets = make(map[transport.NodeID]*target)
	}
	b.targets[t.id] = t
	b.strangers = false
}

// tidy forgets a target that nothing is held for, unless it is overdue: no hints are
// taken for it until it answers, which is all that a target without hints is asked for.
func (b *Buffer) tidy(t *target) {
	if !t.marks.has(overdue) {
		b.settle(t)
	}
}

// settle forgets a target that has answered and got all that was held.
func (b *Buffer) settle(t *target) {
	if len(t.hints) > 0 {
		return
	}
	if t.marks != 0 {
		b.unset(t.markID)
	}
	delete(b.targets, t.id)
}

// Tick says what time it is, and drops what has become too old.
func (b *Buffer) Tick(now time.Time) {
	b.advance(now)
	for _, id := range b.ids() {
		b.expire(b.targets[id])
	}
}

// advance is Tick that drops nothing.
func (b *Buffer) advance(now time.Time) {
	if now.After(b.now) {
		b.now = now
	}
}

func (b *Buffer) expire(t *target) {
	d := Dropped{Target: t.id, Reason: TooOld}
	before := b.now.Add(-b.filled().MaxAge)
	for h := t.oldest; h != nil && !h.since.After(before); h = t.oldest {
		d.Hints++
		d.Bytes += h.cost()
		b.remove(h)
	}
	if d.Hints > 0 {
		b.drop(d)
		b.mark(t, overdue)
	}
}

// Forget drops all that is held for a node that has departed for good.
func (b *Buffer) Forget(id transport.NodeID) {
	t := b.targets[id]
	if t == nil {
		return
	}
	d := Dropped{Target: id, Hints: len(t.hints), Bytes: t.bytes, Reason: Departed}
	for t.oldest != nil {
		b.remove(t.oldest)
	}
	b.settle(t)
	if d.Hints > 0 {
		b.drop(d)
	}
}

// Kick has a node tried at once that failed. A pause that it asked for it gets.
func (b *Buffer) Kick(id transport.NodeID) {
	if t := b.targets[id]; t != nil {
		t.failures, t.retry = 0, time.Time{}
	}
}

// Ready returns the nodes for which [Buffer.Batch] has something, in ascending order,
// and when there will be one more, or when something gets too old; zero if never.
func (b *Buffer) Ready() (ready []transport.NodeID, next time.Time) {
	for _, id := range b.ids() {
		t := b.targets[id]
		if t.oldest != nil {
			next = earlier(next, t.oldest.since.Add(b.filled().MaxAge))
		}
		switch due := t.due(); {
		case t.flight.id != 0:
		case due.After(b.now):
			next = earlier(next, due)
		default:
			ready = append(ready, id)
		}
	}
	return ready, next
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// pause is how long to wait after so many failures: from 100 ms, doubling, to most, each
// time a half to all of it.
func (b *Buffer) pause(failures int, most time.Duration) time.Duration {
	d := min(leastPause<<min(max(failures-1, 0), 16), most)
	b.random = mix(cmp.Or(b.random, b.Seed, 1))
	return d/2 + time.Duration(b.random%uint64(d/2+1))
}

// mix is the next of a sequence of random numbers (Marsaglia: Xorshift RNGs, 2003).
func mix(x uint64) uint64 {
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	return x
}

// How long is waited for what.
const (
	leastPause = 100 * time.Millisecond // between two attempts at a target that fails
	mostPause  = 5 * time.Second
	rarePause  = time.Minute // if nothing is held for it

	shortestPause = 5 * time.Millisecond // after a target asked to wait
	longestPause  = time.Minute          // that a target may ask for
)
