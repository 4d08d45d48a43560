package vclock

import (
	"iter"
	"math"
	"slices"
	"strconv"
)

// Clock is a version vector: for each replica the number of its events that are known, which are always the
// first so many. Where events may be missing in between, use a [Context].
//
// The zero Clock is empty and ready to use; a nil *Clock reads as an empty one. A Clock may be read by
// several goroutines, but not while one changes it. Copy it by [Clock.Clone], not by assignment.
//
// It holds 24 bytes for each replica, sorted. Get and Has take O(log n); Merge and Compare O(n), and they
// allocate nothing unless a replica is new (Parker et al., "Detection of Mutual Inconsistency in
// Distributed Systems", IEEE TSE 1983; Mattern 1989).
type Clock struct {
	entries []entry // sorted by replica, each once; no zero replica, no zero seq
}

type entry struct {
	replica ReplicaID
	seq     uint64
}

// Tick records the next event of r and returns its dot. It returns the zero Dot, and records nothing, for
// the zero replica and when r has used up all 2^64-1 sequence numbers.
func (c *Clock) Tick(r ReplicaID) Dot {
	if r.IsZero() {
		return Dot{}
	}
	i := c.find(r)
	if i == len(c.entries) || c.entries[i].replica != r {
		c.entries = slices.Insert(c.entries, i, entry{replica: r})
	}
	if c.entries[i].seq == math.MaxUint64 {
		return Dot{}
	}
	c.entries[i].seq++
	return Dot{Replica: r, Seq: c.entries[i].seq}
}

// Get returns how many events of r are known: 0 if none.
func (c *Clock) Get(r ReplicaID) uint64 {
	list := c.list()
	if i := c.find(r); i < len(list) && list[i].replica == r {
		return list[i].seq
	}
	return 0
}

// Has reports whether the event d is known.
func (c *Clock) Has(d Dot) bool { return d.Seq > 0 && d.Seq <= c.Get(d.Replica) }

// Merge takes the higher of both counts for each replica, and reports whether that changed c.
func (c *Clock) Merge(other *Clock) (changed bool) {
	mine, from := c.entries, other.list()
	i := 0
	for ; i < len(from) && i < len(mine) && mine[i].replica == from[i].replica; i++ {
		if mine[i].seq < from[i].seq {
			mine[i].seq = from[i].seq
			changed = true
		}
	}
	if i == len(from) {
		return changed
	}
	return c.mergeRest(i, from[i:]) || changed
}

// Compare tells whether c happened before other, after it, is equal to it, or is concurrent with it.
func (c *Clock) Compare(other *Clock) Ordering {
	a, b := c.list(), other.list()
	within, contains := true, true
	for len(a) > 0 && len(b) > 0 && (within || contains) {
		x, y := &a[0], &b[0]
		switch {
		case x.replica == y.replica:
			within = within && x.seq <= y.seq
			contains = contains && x.seq >= y.seq
			a, b = a[1:], b[1:]
		case x.replica.less(y.replica):
			within = false
			a = a[1:]
		default:
			contains = false
			b = b[1:]
		}
	}
	return ordering(within && len(a) == 0, contains && len(b) == 0)
}

// All yields each replica and its count, in the order of the replicas. The clock must not change meanwhile.
func (c *Clock) All() iter.Seq2[ReplicaID, uint64] {
	return func(yield func(ReplicaID, uint64) bool) {
		for _, e := range c.list() {
			if !yield(e.replica, e.seq) {
				return
			}
		}
	}
}

// Len returns the number of replicas with events.
func (c *Clock) Len() int { return len(c.list()) }

// Clone returns a clock of its own with the same events.
func (c *Clock) Clone() *Clock { return &Clock{entries: slices.Clone(c.list())} }

// String returns for instance "{paris:3 tokyo:1}".
func (c *Clock) String() string {
	b := []byte{'{'}
	for i, e := range c.list() {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(e.replica.appendText(b), ':')
		b = strconv.AppendUint(b, e.seq, 10)
	}
	return string(append(b, '}'))
}

func (c *Clock) list() []entry {
	if c == nil {
		return nil
	}
	return c.entries
}

// find returns where r is, or where it belongs.
func (c *Clock) find(r ReplicaID) int {
	list := c.list()
	low, high := 0, len(list)
	for low < high {
		mid := int(uint(low+high) >> 1)
		if list[mid].replica.less(r) {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// mergeRest merges entries of which none belongs before c.entries[i].
func (c *Clock) mergeRest(i int, from []entry) (changed bool) {
	mine, missing := c.entries, 0
	for _, e := range from {
		for i < len(mine) && mine[i].replica.less(e.replica) {
			i++
		}
		switch {
		case i == len(mine) || mine[i].replica != e.replica:
			missing++
		case mine[i].seq < e.seq:
			mine[i].seq = e.seq
			changed = true
		}
	}
	if missing == 0 {
		return changed
	}
	c.insert(from, missing)
	return true
}

// insert adds those entries of from, missing in number, whose replicas c lacks. It works from the back, so
// that every entry moves at most once.
func (c *Clock) insert(from []entry, missing int) {
	a, b := len(c.entries)-1, len(from)-1
	c.entries = slices.Grow(c.entries, missing)[:len(c.entries)+missing]
	for w := len(c.entries) - 1; w > a; w-- { // w-a entries are still missing, so b >= 0
		switch {
		case a < 0 || c.entries[a].replica.less(from[b].replica):
			c.entries[w] = from[b]
			b--
		case c.entries[a].replica == from[b].replica:
			c.entries[w] = c.entries[a]
			a, b = a-1, b-1
		default:
			c.entries[w] = c.entries[a]
			a--
		}
	}
}
