package crdt

import "github.com/eventual-go/eventual/vclock"

// Exceeds reports whether v knows a later event of r than o does, in one of the kinds, each of which numbers its events
// for itself: so whoever writes as r, in o, sees that v has events of r that it has not minted. It takes O(log n) for each
// state of n replicas or spans, and allocates nothing; of a type that is not of this package it takes what its Context
// takes.
func (v *Value) Exceeds(o *Value, r vclock.ReplicaID) bool {
	for _, c := range v.list() {
		var theirs component
		if i, found := o.search(c.kind().tag); found {
			theirs = o.parts[i]
		}
		if c.exceeds(theirs, r) {
			return true
		}
	}
	return false
}

// exceeds is Exceeds of one state, beside another of its kind or none.
func (c *boxed[P]) exceeds(o component, r vclock.ReplicaID) bool {
	theirs, ok := o.(*boxed[P])
	mine := c.lastsOf(r)
	if !ok {
		return mine != [2]uint64{}
	}
	last := theirs.lastsOf(r)
	return mine[0] > last[0] || mine[1] > last[1]
}

// lastsOf returns the number of the last event of r, and where two series are numbered, that of the other: of what was
// added to a counter, and of what was subtracted.
func (c *boxed[P]) lastsOf(r vclock.ReplicaID) (last [2]uint64) {
	if !c.def.own {
		last[0] = c.context().Max(r)
		return last
	}
	switch s := any(c.state).(type) {
	case *PNCounter:
		return [2]uint64{s.pos.lastOf(r, unitsUp), s.neg.lastOf(r, unitsDown)}
	case interface{ lastOf(vclock.ReplicaID) uint64 }:
		last[0] = s.lastOf(r)
	}
	return last // types without events have none
}

// lastOf returns the number of the last unit of r.
func (t tally) lastOf(r vclock.ReplicaID, u units) uint64 {
	if i, ok := t.find(0, r); ok {
		return u.span(t[i]).Hi
	}
	return 0
}

func (c *GCounter) lastOf(r vclock.ReplicaID) uint64       { return c.t.lastOf(r, unitsOnly) }
func (c *BoundedCounter) lastOf(r vclock.ReplicaID) uint64 { return c.rowOf(r).version }
func (m *MVRegister[T]) lastOf(r vclock.ReplicaID) uint64  { return m.seen.Max(r) }
func (f *EWFlag) lastOf(r vclock.ReplicaID) uint64         { return f.writes.lastOf(r) }
func (f *DWFlag) lastOf(r vclock.ReplicaID) uint64         { return f.writes.lastOf(r) }
func (p *past[E]) lastOf(r vclock.ReplicaID) uint64        { return p.seen.Max(r) }
func (l *Log[T]) lastOf(r vclock.ReplicaID) uint64         { return l.seen.Max(r) }
func (m *ORMap[K]) lastOf(r vclock.ReplicaID) uint64       { return m.seen.Max(r) }
