package vclock

import (
	"slices"

	"github.com/eventual-go/eventual/internal/planted"
)

// maxEdits is how many spans Merge puts in one by one where each may move all that come after it. With more
// to come, one linear pass over the rest is cheaper.
const maxEdits = 8

// Merge adds all events of other, and reports whether any was new. A small other costs O(log n) for each of
// its spans as long as they only widen what is there.
func (c *Context) Merge(other *Context) (changed bool) {
	from := other.list()
	known := c.spans.sameSlots(from)
	i := max(0, known-1) // the last of them may reach further
	from = from[known:]
	for k, s := range from {
		if planted.Bug == planted.ContextGap {
			s.Lo = 1
		}
		i = c.spans.seek(i, s.Replica, s.Lo-1)
		if c.spans.coveredAt(i, s) {
			continue
		}
		changed = true
		if c.widens(i, s) {
			c.spans[i].widen(s)
			continue
		}
		if rest := from[k:]; len(rest) > maxEdits || i == len(c.spans) {
			c.mergeTail(i, rest)
			break
		}
		c.put(i, s)
	}
	return changed
}

// widens reports whether s joins the span at i and no other.
func (c *Context) widens(i int, s Span) bool {
	return c.spans.joins(i, s) && !c.spans.joins(i+1, s)
}

// put adds s at i, the first span that does not end before s.Lo-1, joining all spans that it reaches.
func (c *Context) put(i int, s Span) {
	end := i
	for c.spans.joins(end, s) {
		end++
	}
	if end == i {
		c.spans = slices.Insert(c.spans, i, s)
		return
	}
	c.spans[i].widen(s)
	if end > i+1 {
		c.spans[i].Hi = max(c.spans[i].Hi, c.spans[end-1].Hi)
		c.spans = slices.Delete(c.spans, i+1, end)
	}
}

func (s *Span) widen(other Span) {
	s.Lo, s.Hi = min(s.Lo, other.Lo), max(s.Hi, other.Hi)
}

// mergeTail merges spans of which none joins one before c.spans[i], in one pass. It moves c.spans[i:] aside
// by as much as from can add at most, so the merged spans never overtake those that are still to be read.
func (c *Context) mergeTail(i int, from spanList) {
	n := len(c.spans)
	whole := slices.Grow(c.spans, len(from))[:n+len(from)]
	mine := whole[i+len(from):]
	copy(mine, whole[i:n])
	out := whole[:i]
	for len(mine) > 0 && len(from) > 0 {
		if from[0].startsBefore(&mine[0]) {
			out, from = out.appendJoined(from[0]), from[1:]
		} else {
			out, mine = out.appendJoined(mine[0]), mine[1:]
		}
	}
	for _, s := range from {
		out = out.appendJoined(s)
	}
	for _, s := range mine {
		out = out.appendJoined(s)
	}
	c.spans = out
}

func (s *Span) startsBefore(other *Span) bool {
	if s.Replica == other.Replica {
		return s.Lo < other.Lo
	}
	return s.Replica.less(other.Replica)
}
