package crdt

import (
	"math"
	"math/bits"
	"slices"
	"strconv"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// PNCounter counts up and down. Concurrent additions all count; a reset takes away exactly the additions that
// it saw, so what others add meanwhile remains: 5, reset by one while another adds 3, is 3.
//
// The zero PNCounter is 0 and ready to use. It may be read by several goroutines, but not while one changes
// it; copy it by Clone. It holds up to 64 bytes for each replica that ever added; Add takes O(log n) for n
// replicas, Merge O(n), without allocation when no replica is new. What one replica adds in all, and what it
// subtracts, stops at [math.MaxUint64] instead of wrapping round, also across resets; the value stops at the
// ends of int64.
//
// It is a pair of resettable grow-only counters (Shapiro et al. 2011, section 3.1.3).
type PNCounter struct{ pos, neg tally }

// Add counts n more, or less if n is negative, on behalf of replica r and returns the delta, which is empty
// if n is 0 or r is zero. Only one writer may use r at a time.
func (c *PNCounter) Add(r vclock.ReplicaID, n int64) (delta *PNCounter) {
	var d struct { // one piece of memory, and none if the delta is not kept
		PNCounter
		row [1]entry
	}
	d.PNCounter = c.add(r, n, &d.row)
	return &d.PNCounter
}

func (c *PNCounter) add(r vclock.ReplicaID, n int64, row *[1]entry) (delta PNCounter) {
	if n < 0 {
		delta.neg = c.neg.add(r, -uint64(n), row)
	} else {
		delta.pos = c.pos.add(r, uint64(n), row)
	}
	return delta
}

// Value is the sum of what was added and not reset.
func (c *PNCounter) Value() int64 {
	if c == nil {
		return 0
	}
	posHi, posLo := c.pos.sum()
	negHi, negLo := c.neg.sum()
	lo, borrow := bits.Sub64(posLo, negLo, 0)
	hi, _ := bits.Sub64(posHi, negHi, borrow)
	switch {
	case int64(hi) >= 0 && (hi > 0 || lo > math.MaxInt64):
		return math.MaxInt64
	case int64(hi) < 0 && (^hi > 0 || lo < 1<<63):
		return math.MinInt64
	}
	return int64(lo)
}

// Reset takes away what was added and subtracted as far as it is known here, and returns the delta.
func (c *PNCounter) Reset() (delta *PNCounter) {
	return &PNCounter{pos: c.pos.reset(), neg: c.neg.reset()}
}

// Empty reports whether nothing was added, or all of it was reset. A counter that went up and down again is
// 0 and not empty.
func (c *PNCounter) Empty() bool { return c == nil || c.pos.isReset() && c.neg.isReset() }

// Merge takes in what o knows. See [Lattice].
func (c *PNCounter) Merge(o *PNCounter) (changed bool) {
	if o == nil || c == o {
		return false
	}
	changed = c.pos.merge(o.pos)
	return c.neg.merge(o.neg) || changed
}

// MergeNovel merges o and returns what was new in it. See [Delta].
func (c *PNCounter) MergeNovel(o *PNCounter) (novel *PNCounter, changed bool) {
	novel = new(PNCounter)
	if o == nil {
		return novel, false
	}
	novel.pos, novel.neg = c.pos.mergeNovel(o.pos), c.neg.mergeNovel(o.neg)
	return novel, len(novel.pos)+len(novel.neg) > 0
}

// Clone returns a counter of its own with the same state.
func (c *PNCounter) Clone() *PNCounter {
	if c == nil {
		return new(PNCounter)
	}
	return &PNCounter{pos: slices.Clone(c.pos), neg: slices.Clone(c.neg)}
}

// AppendBinary appends the wire form. It does not fail.
func (c *PNCounter) AppendBinary(b []byte) ([]byte, error) {
	w := formPNCounter.begin(b, 1)
	w.Array(5 * c.replicas())
	c.pairs(func(pos, neg entry) {
		writeReplica(w, eitherReplica(pos, neg))
		w.Uint(pos.total)
		w.Uint(pos.base)
		w.Uint(neg.total)
		w.Uint(neg.base)
	})
	return w.Done(), nil
}

func (c *PNCounter) replicas() (n int) {
	c.pairs(func(_, _ entry) { n++ })
	return n
}

// pairs walks along both tallies; a replica that only one of them has comes with a zero entry.
func (c *PNCounter) pairs(visit func(pos, neg entry)) {
	if c == nil {
		return
	}
	pos, neg := c.pos, c.neg
	for len(pos) > 0 || len(neg) > 0 {
		var p, n entry
		order := compareHeads(pos, neg)
		if order <= 0 {
			p, pos = pos[0], pos[1:]
		}
		if order >= 0 {
			n, neg = neg[0], neg[1:]
		}
		visit(p, n)
	}
}

// compareHeads tells which of two tallies, not both empty, has the next replica.
func compareHeads(a, b tally) int {
	switch {
	case len(b) == 0:
		return -1
	case len(a) == 0:
		return 1
	}
	return a[0].replica.Compare(b[0].replica)
}

// eitherReplica is the replica of whichever entry is not zero.
func eitherReplica(a, b entry) vclock.ReplicaID {
	if a.replica.IsZero() {
		return b.replica
	}
	return a.replica
}

// UnmarshalBinary replaces the counter by the one in b, of which it keeps nothing. It returns a
// [*CorruptError], [*MismatchError] or [*VersionError] and changes nothing if b is not a PNCounter.
func (c *PNCounter) UnmarshalBinary(b []byte) error {
	r, err := formPNCounter.openOf(b, 1)
	if err != nil {
		return err
	}
	read := readPNCounter(r)
	if err := formPNCounter.close(r); err != nil {
		return err
	}
	*c = read
	return nil
}

func readPNCounter(r *wire.Reader) (c PNCounter) {
	var prev vclock.ReplicaID
	for range fields(r, 5) {
		prev = readReplica(r, prev)
		pos, neg := readEntry(r, prev), readEntry(r, prev)
		if pos.total > 0 {
			c.pos = append(c.pos, pos)
		}
		if neg.total > 0 {
			c.neg = append(c.neg, neg)
		}
		if pos.total == 0 && neg.total == 0 {
			r.Fail("entry without a count")
		}
	}
	return c
}

// MarshalJSON writes the value, a number.
func (c *PNCounter) MarshalJSON() ([]byte, error) {
	return strconv.AppendInt(nil, c.Value(), 10), nil
}
