package quorum

import "slices"

// generational is a [Replica] that forgets, by a decision that all replicas take, what deletions left
// ([github.com/eventual-go/eventual/crdt/store.Store.Settle]).
type generational interface {
	// GenerationOf returns how much had been forgotten where a state was loaded; of an empty state, how much has been
	// here by now. What has forgotten more is greater, byte by byte; empty is nothing yet. It has 64 bytes at most.
	GenerationOf(state []byte) string
}

// What an owner has forgotten is gone from its answer, and a state that another was asked for before still shows it as
// if it had never been deleted: merged, the two would bring it back. All replicas have a deletion before any forgets
// it. So a read that meets such answers begins anew: whoever is asked after it was known that something is forgotten
// has the deletion, or has forgotten too. A read that begins with that knowledge does not have to.

// An elder is what a read knows of the generations of its answers.
type elder struct {
	since  string // known before anybody was asked
	newest string // of all answers
	oldest string // of those that are not empty
	some   bool   // there is one
}

// meet takes notice of an answer. It reports whether it does not go together with those before.
func (e *elder) meet(of func([]byte) string, a *answer) (apart bool) {
	if of == nil {
		return false
	}
	switch {
	case a.kind == statusNothing:
		e.newest = max(e.newest, a.generation)
	case len(a.state) > 0:
		g := of(a.state)
		e.newest = max(e.newest, g)
		if !e.some || g < e.oldest {
			e.oldest, e.some = g, true
		}
	}
	return e.some && e.newest > e.oldest && e.newest > e.since
}

const nobody = -1

// restart begins anew: what was answered does not count, and what is still to be answered will not.
func (o *ReadOp) restart() []Send {
	sent := slices.Clone(o.ledger.sent)
	for i := range sent {
		sent[i].over, sent[i].member = true, nobody
	}
	cfg := o.cfg
	cfg.Since = o.elder.newest
	fresh, err := NewReadOp(cfg)
	if err != nil { // as little as before
		o.decide(err)
		return nil
	}
	moved, hearsay, by := o.moved, o.hearsay, o.by
	*o = *fresh
	o.ledger.sent, o.moved, o.hearsay, o.by = sent, moved, hearsay, by
	return o.Start()
}

// since returns the highest generation that is known here.
func (c *Coordinator) since() string { return max(c.known(), c.forgotten()) }

// known returns the highest generation that the calls of a Coordinator have met.
func (c *Coordinator) known() string {
	if g := c.newest.Load(); g != nil {
		return *g
	}
	return ""
}

// met notes the highest generation that a call met.
func (c *Coordinator) met(g string) {
	for was := c.newest.Load(); g > c.known(); was = c.newest.Load() {
		now := g
		c.newest.CompareAndSwap(was, &now)
	}
}

// generation is how states of Local tell their generation; nil if they do not.
func (c *Coordinator) generation() func([]byte) string {
	c.tells.Do(func() {
		if l, ok := c.Local.(generational); ok {
			c.generationOf = l.GenerationOf
		}
	})
	return c.generationOf
}

// forgotten is how much has been forgotten at this node by now.
func (c *Coordinator) forgotten() string {
	if of := c.generation(); of != nil {
		return of(nil)
	}
	return ""
}
