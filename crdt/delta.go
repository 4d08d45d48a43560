package crdt

import (
	"math"

	"github.com/eventual-go/eventual/vclock"
)

// A Causal state knows which events it has seen, so it can tell what a peer lacks who has seen others.
//
// Context returns a copy of all events seen. Delta returns what a peer with that context lacks: merging it there
// has the effect of merging the whole state. It claims no more than the state does, so it does no harm to anybody
// else, and none if the peer has moved on meanwhile. A nil context is an empty one.
//
// A context tells which events were seen, but not which of them have been taken back since. So the delta always
// carries what is needed to take back: events that are dead here, as runs, and resets. It is exact as long as
// identities are used once.
//
//	b.Merge(a.Delta(b.Context())) // b has now all that a has
type Causal[S any] interface {
	Lattice[S]
	Context() *vclock.Context
	Delta(since *vclock.Context) S
}

// units is how what is counted is numbered in a context: from first on, and at most so many.
type units struct{ first, most uint64 }

// What goes up and what goes down shares the numbers of a replica in halves.
var (
	unitsOnly = units{1, math.MaxUint64}
	unitsUp   = units{1, 1<<63 - 1}
	unitsDown = units{1 << 63, 1<<63 - 1}
)

func (u units) span(e entry) vclock.Span {
	return vclock.Span{Replica: e.replica, Lo: u.first, Hi: u.first - 1 + min(e.total, u.most)}
}

// context adds what t has counted to c.
func (t tally) context(c *vclock.Context, u units) {
	for _, e := range t {
		c.AddSpan(u.span(e))
	}
}

// since returns the entries of which c does not have every unit, and the resets, which c cannot show.
func (t tally) since(c *vclock.Context, u units) (delta tally) {
	for _, e := range t {
		var known entry
		if e.total <= u.most && covers(c, u.span(e)) {
			known.total = e.total
		}
		if d := e.lacking(known); d.total > 0 {
			delta = append(delta, d)
		}
	}
	return delta
}

// covers reports whether c has every event of s.
func covers(c *vclock.Context, s vclock.Span) bool {
	for have := range c.SpansOf(s.Replica) {
		if have.Hi >= s.Lo {
			return have.Lo <= s.Lo && have.Hi >= s.Hi
		}
	}
	return false
}

// Context returns what has been counted: of each replica as many events as it added in all, numbered from 1. Resets
// do not show. See [Causal].
func (c *GCounter) Context() *vclock.Context {
	seen := new(vclock.Context)
	c.tally().context(seen, unitsOnly)
	return seen
}

// Delta returns what a peer with that context lacks: the sums of the replicas of which it has not everything, and
// all resets. See [Causal].
func (c *GCounter) Delta(since *vclock.Context) (delta *GCounter) {
	return &GCounter{c.tally().since(since, unitsOnly)}
}

// Context returns what has been counted: of each replica as many events as it added in all, numbered from 1, and
// as many as it subtracted, numbered from 2^63. Of what exceeds 2^63-1 only so much shows; resets do not show. See [Causal].
func (c *PNCounter) Context() *vclock.Context {
	seen := new(vclock.Context)
	if c != nil {
		c.pos.context(seen, unitsUp)
		c.neg.context(seen, unitsDown)
	}
	return seen
}

// Delta returns what a peer with that context lacks: the sums of the replicas of which it has not everything, and
// all resets. See [Causal].
func (c *PNCounter) Delta(since *vclock.Context) (delta *PNCounter) {
	if c == nil {
		return new(PNCounter)
	}
	return &PNCounter{pos: c.pos.since(since, unitsUp), neg: c.neg.since(since, unitsDown)}
}

// Context returns an empty context: elements come without events. See [Causal].
func (s *GSet[E]) Context() *vclock.Context { return new(vclock.Context) }

// Delta returns a copy of the set, since a context rules out no element. See [Causal].
func (s *GSet[E]) Delta(*vclock.Context) (delta *GSet[E]) { return s.Clone() }

// Context returns an empty context: values come with a timestamp, and without an event. See [Causal].
func (r *LWWRegister[T]) Context() *vclock.Context { return new(vclock.Context) }

// Delta returns a copy of the register, since a context rules out no value. See [Causal].
func (r *LWWRegister[T]) Delta(*vclock.Context) (delta *LWWRegister[T]) { return r.Clone() }

// Delta returns what a peer with that context lacks: the values of writes not in it, and the overwriting of all
// others that were overwritten. See [Causal].
func (m *MVRegister[T]) Delta(since *vclock.Context) (delta *MVRegister[T]) {
	delta = new(MVRegister[T])
	if m == nil {
		return delta
	}
	known := new(vclock.Context) // live in both, so not spoken of
	for _, s := range m.live {
		if since.Has(s.dot) {
			known.Add(s.dot)
		} else {
			delta.live = append(delta.live, s)
		}
	}
	delta.seen = *m.seen.Diff(known)
	return delta
}
