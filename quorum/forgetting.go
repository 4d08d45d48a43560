package quorum

import (
	"errors"
	"slices"

	"github.com/eventual-go/eventual/internal/planted"
)

// generational is a [Replica] that forgets, by a decision that all replicas take, what deletions left, such as
// [github.com/eventual-go/eventual/crdt/store.Store].
type generational interface {
	// GenerationOf returns how much had been forgotten where a state was loaded; of an empty state, how much has been
	// here by now. What has forgotten more is greater, byte by byte; empty is nothing yet. It has 64 bytes at most.
	GenerationOf(state []byte) string

	// Lift returns what is left of a state of a key by what has been forgotten here by now, empty if that is nothing.
	Lift(key string, state []byte) ([]byte, error)
}

// What an owner has forgotten is gone from its answer, and a state that another was asked for before still shows it as
// if it had never been deleted: merged, the two would bring it back. All replicas have a deletion before any forgets
// it. So a read that meets such answers begins anew: whoever is asked after it was known that something is forgotten
// has the deletion, or has forgotten too. A read that begins with that knowledge does not have to.

// maxRestarts is how often a read begins anew. After that it does without those who have forgotten still more.
const maxRestarts = 4

var errForgetful = errors.New("quorum: more has been forgotten each time that it was asked")

// An elder is what a read knows of the generations of its answers.
type elder struct {
	since    string // known before anybody was asked
	newest   string // of all answers
	oldest   string // of those that are not empty
	some     bool   // there is one
	restarts int
}

// generation returns that of an answer; ok is false if it has none.
func (o *ReadOp) generation(a *answer) (g string, ok bool) {
	switch {
	case o.cfg.Generation == nil || o.settled || planted.Bug == planted.GenerationsMixed:
		return "", false
	case a.kind == statusNothing:
		return a.generation, true
	case a.kind == statusDone && len(a.state) > 0:
		return o.cfg.Generation(a.state), true
	}
	return "", false
}

// forgetful is an error if an answer cannot count, since it does not go together with others, ever again.
func (o *ReadOp) forgetful(a *answer) error {
	if g, ok := o.generation(a); ok && o.elder.restarts >= maxRestarts && g > o.elder.since {
		return errForgetful
	}
	return nil
}

// meet takes notice of an answer that is understood. It reports whether it does not go together with those before.
func (o *ReadOp) meet(a *answer) (apart bool) {
	g, ok := o.generation(a)
	if !ok {
		return false
	}
	e := &o.elder
	e.newest = max(e.newest, g)
	if len(a.state) > 0 && (!e.some || g < e.oldest) {
		e.oldest, e.some = g, true
	}
	return e.some && e.newest > e.oldest && e.newest > e.since
}

const nobody = -1

// restart begins anew: what was answered does not count, and what is still to be answered will not. All are asked, since
// nobody will say again that some take longer than they should.
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
	restarts, moved, hearsay, by := o.elder.restarts+1, o.moved, o.hearsay, o.by
	*o = *fresh
	o.ledger.sent, o.elder.restarts, o.moved, o.hearsay, o.by = sent, restarts, moved, hearsay, by
	return append(o.Start(), o.askRest()...)
}

// forgets is what Local is where it forgets; nil if it does not.
func (c *Coordinator) forgets() generational {
	g, _ := c.Local.(generational)
	return g
}

// generation is how states of Local tell their generation; nil if they do not.
func (c *Coordinator) generation() func([]byte) string {
	c.tells.Do(func() {
		if g := c.forgets(); g != nil {
			c.generationOf = g.GenerationOf
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
