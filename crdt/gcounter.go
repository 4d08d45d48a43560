package crdt

import (
	"math"
	"slices"
	"strconv"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// GCounter counts up. Concurrent additions all count; a reset takes away exactly the additions that it saw,
// so what others add meanwhile remains.
//
// The zero GCounter is 0 and ready to use. It may be read by several goroutines, but not while one changes
// it; copy it by Clone. It holds 32 bytes for each replica that ever added; Add takes O(log n) for n
// replicas, Merge O(n), without allocation when no replica is new. What one replica adds in all stops at
// [math.MaxUint64] instead of wrapping round, also across resets, and so does the value.
//
// It is the state-based G-Counter of Shapiro, Preguiça, Baquero, Zawirski, "A comprehensive study of
// Convergent and Commutative Replicated Data Types", 2011, section 3.1, with a baseline for each replica.
type GCounter struct{ t tally }

// Add counts n more on behalf of replica r and returns the delta, which is empty if n is 0 or r is zero. Only
// one writer may use r at a time.
func (c *GCounter) Add(r vclock.ReplicaID, n uint64) (delta *GCounter) {
	var d struct { // one piece of memory, and none if the delta is not kept
		GCounter
		row [1]entry
	}
	d.t = c.t.add(r, n, &d.row)
	return &d.GCounter
}

// Value is the sum of what was added and not reset.
func (c *GCounter) Value() uint64 {
	hi, lo := c.tally().sum()
	if hi > 0 {
		return math.MaxUint64
	}
	return lo
}

// Reset takes away what was added as far as it is known here, and returns the delta.
func (c *GCounter) Reset() (delta *GCounter) { return &GCounter{c.t.reset()} }

// Empty reports whether nothing was added, or all of it was reset.
func (c *GCounter) Empty() bool { return c.tally().isReset() }

// Merge takes in what o knows. See [Lattice].
func (c *GCounter) Merge(o *GCounter) (changed bool) { return c != o && c.t.merge(o.tally()) }

// MergeNovel merges o and returns what was new in it. See [Delta].
func (c *GCounter) MergeNovel(o *GCounter) (novel *GCounter, changed bool) {
	t := c.t.mergeNovel(o.tally())
	return &GCounter{t}, len(t) > 0
}

// Clone returns a counter of its own with the same state.
func (c *GCounter) Clone() *GCounter { return &GCounter{slices.Clone(c.tally())} }

func (c *GCounter) tally() tally {
	if c == nil {
		return nil
	}
	return c.t
}

// AppendBinary appends the wire form. It does not fail.
func (c *GCounter) AppendBinary(b []byte) ([]byte, error) {
	t := c.tally()
	w := formGCounter.begin(b, 1)
	w.Array(3 * len(t))
	for _, e := range t {
		writeReplica(w, e.replica)
		w.Uint(e.total)
		w.Uint(e.base)
	}
	return w.Done(), nil
}

// UnmarshalBinary replaces the counter by the one in b, of which it keeps nothing. It returns a
// [*CorruptError], [*MismatchError] or [*VersionError] and changes nothing if b is not a GCounter.
func (c *GCounter) UnmarshalBinary(b []byte) error {
	r, err := formGCounter.openOf(b, 1)
	if err != nil {
		return err
	}
	t := readTally(r)
	if err := formGCounter.close(r); err != nil {
		return err
	}
	c.t = t
	return nil
}

func readTally(r *wire.Reader) tally {
	n := fields(r, 3)
	t := make(tally, 0, min(n, r.Left()/leastReplica))
	var prev vclock.ReplicaID
	for range n {
		prev = readReplica(r, prev)
		e := readEntry(r, prev)
		if e.total == 0 {
			r.Fail("entry without a count")
		}
		if r.Err() != nil {
			break
		}
		t = append(t, e)
	}
	return t
}

// fields reads the head of an array of records with so many values each, and returns how many records.
func fields(r *wire.Reader, each int) int {
	n := r.Array()
	if n%each != 0 {
		r.Fail("incomplete record")
	}
	return n / each
}

// MarshalJSON writes the value, a number.
func (c *GCounter) MarshalJSON() ([]byte, error) {
	return strconv.AppendUint(nil, c.Value(), 10), nil
}
