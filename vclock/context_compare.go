package vclock

// Contains reports whether c has every event that other has.
func (c *Context) Contains(other *Context) bool {
	list, from := c.list(), other.list()
	known := list.sameSlots(from)
	i := max(0, known-1) // the last of them may reach further
	for _, s := range from[known:] {
		i = list.seek(i, s.Replica, s.Lo)
		if !list.coveredAt(i, s) {
			return false
		}
	}
	return true
}

// Intersects reports whether any event is in both.
func (c *Context) Intersects(other *Context) bool {
	few, many := c.list(), other.list()
	if len(few) > len(many) {
		few, many = many, few
	}
	i := 0
	for _, s := range few {
		i = many.seek(i, s.Replica, s.Lo)
		if many.startsBy(i, s.Replica, s.Hi) {
			return true
		}
	}
	return false
}

// Compare tells whether other has everything that c has and more (Before), the reverse (After), both have
// the same (Equal), or each has something that the other lacks (Concurrent).
func (c *Context) Compare(other *Context) Ordering {
	return ordering(other.Contains(c), c.Contains(other))
}

// Diff returns a new context of the events that are in c and not in other. It allocates no spans if there
// are none. Called on a delta with a state it is the delta's novelty, at the cost of the delta.
func (c *Context) Diff(other *Context) *Context {
	var out Context
	list, i := other.list(), 0
	for _, s := range c.list() {
		i = list.seek(i, s.Replica, s.Lo)
		out.spans = list[i:].appendMissing(out.spans, s)
	}
	return &out
}

// appendMissing appends the parts of s that are not in l, of which no span ends before s.Lo.
func (l spanList) appendMissing(out spanList, s Span) spanList {
	for i := 0; l.startsBy(i, s.Replica, s.Hi); i++ {
		if s.Lo < l[i].Lo {
			out = append(out, Span{Replica: s.Replica, Lo: s.Lo, Hi: l[i].Lo - 1})
		}
		if l[i].Hi >= s.Hi {
			return out
		}
		s.Lo = l[i].Hi + 1
	}
	return append(out, s)
}
