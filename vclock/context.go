package vclock

import (
	"iter"
	"math"
	"math/bits"
	"slices"
	"strconv"
)

// Context is a causal context: the exact set of events that have been seen, gaps included. It claims what
// was added to it and nothing else, so events may arrive in any order, or never.
//
// The zero Context is empty and ready to use; a nil *Context reads as an empty one. A Context may be read
// by several goroutines, but not while one changes it. Copy it by [Context.Clone], not by assignment.
//
// It holds one [Span] of 32 bytes for each unbroken run of events, sorted by replica and then by sequence
// number; runs that meet become one. So it costs what its gaps cost, not what its events number: one span
// for each replica once everything has arrived. Has, Max, Next and an Add that makes no new span take
// O(log n) for n spans. What two contexts do together takes O(m·log(n/m)) when the smaller has m spans, and
// allocates nothing unless spans are to be stored (Almeida, Shoker, Baquero, "Delta State Replicated Data
// Types", 2016, section 7.2, with intervals in place of a vector and a cloud of dots).
type Context struct {
	spans spanList
}

// Next returns the dot after the highest one seen of r, for r's writer to mint. It records nothing: add the
// dot when the event happens. It returns the zero Dot for the zero replica, and when the highest possible
// sequence number has been seen.
func (c *Context) Next(r ReplicaID) Dot {
	highest := c.Max(r)
	if r.IsZero() || highest == math.MaxUint64 {
		return Dot{}
	}
	return Dot{Replica: r, Seq: highest + 1}
}

// Add records the event d, and reports whether it was new. A dot that is no event is ignored.
func (c *Context) Add(d Dot) (changed bool) {
	return c.AddSpan(Span{Replica: d.Replica, Lo: d.Seq, Hi: d.Seq})
}

// AddSpan records all events of s, and reports whether any was new. A span that is not valid (see [Span])
// is ignored.
func (c *Context) AddSpan(s Span) (changed bool) {
	if !s.isValid() {
		return false
	}
	i := c.spans.find(s.Replica, s.Lo-1)
	if c.spans.coveredAt(i, s) {
		return false
	}
	c.put(i, s)
	return true
}

// Has reports whether the event d has been seen.
func (c *Context) Has(d Dot) bool {
	list := c.list()
	return list.startsBy(list.find(d.Replica, d.Seq), d.Replica, d.Seq)
}

// Max returns the highest sequence number seen of r: 0 if none. Lower ones may be missing.
func (c *Context) Max(r ReplicaID) uint64 {
	list := c.list()
	i := list.find(r, math.MaxUint64)
	if i < len(list) && list[i].Replica == r {
		return math.MaxUint64
	}
	if i > 0 && list[i-1].Replica == r {
		return list[i-1].Hi
	}
	return 0
}

// All yields the spans in order: by replica, then by sequence number. No two of them overlap or meet. The
// context must not change meanwhile.
func (c *Context) All() iter.Seq[Span] { return slices.Values(c.list()) }

// SpansOf yields the spans of one replica in order. The context must not change meanwhile.
func (c *Context) SpansOf(r ReplicaID) iter.Seq[Span] {
	return func(yield func(Span) bool) {
		list := c.list()
		for i := list.find(r, 0); i < len(list) && list[i].Replica == r; i++ {
			if !yield(list[i]) {
				return
			}
		}
	}
}

// Len returns the number of spans.
func (c *Context) Len() int { return len(c.list()) }

// Count returns the number of events, or [math.MaxUint64] if there are more than that.
func (c *Context) Count() uint64 {
	var total uint64
	for _, s := range c.list() {
		sum, carry := bits.Add64(total, s.Hi-s.Lo+1, 0)
		if carry > 0 {
			return math.MaxUint64
		}
		total = sum
	}
	return total
}

// Clone returns a context of its own with the same events.
func (c *Context) Clone() *Context { return &Context{spans: slices.Clone(c.list())} }

// String returns for instance "{paris:1-3,5 tokyo:1}".
func (c *Context) String() string {
	b := []byte{'{'}
	var last ReplicaID
	for i, s := range c.list() {
		switch {
		case s.Replica == last:
			b = append(b, ',')
		case i > 0:
			b = append(b, ' ')
			fallthrough
		default:
			b = append(s.Replica.appendText(b), ':')
		}
		b = s.appendRange(b)
		last = s.Replica
	}
	return string(append(b, '}'))
}

func (c *Context) list() spanList {
	if c == nil {
		return nil
	}
	return c.spans
}

func (s Span) appendRange(b []byte) []byte {
	b = strconv.AppendUint(b, s.Lo, 10)
	if s.Hi == s.Lo {
		return b
	}
	return strconv.AppendUint(append(b, '-'), s.Hi, 10)
}
