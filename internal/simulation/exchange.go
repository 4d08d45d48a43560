package simulation

import (
	"slices"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// waiting is one delta that an outbox holds for a peer. The simulator keeps a list
// of its own, so that it can tell what a peer says that it has.
type waiting struct {
	ledger *ledger
	effect shadow
}

// mirrored is what an outbox holds for one peer.
type mirrored struct {
	waiting []waiting
	flight  uint64 // the batch on its way; it is void once the outbox was closed
}

// mirrors reports whether what outboxes hold is known: trees hold nothing for one peer
// alone.
func (r *run) mirrors() bool { return r.plan.propagation != lazy && !r.plan.retires }

// mirrorPut repeats a Put for those peers for which the outbox now holds more.
func (a *replication) mirrorPut(key string, delta []byte, origin transport.NodeID) {
	if !a.run.mirrors() {
		return
	}
	l := a.run.ledger(key)
	w := waiting{l, a.run.meaning(l, delta)}
	for i, o := range a.run.nodes {
		switch {
		case a.out.Closed(o.id):
			a.mirror[i] = mirrored{}
		case o.id != origin && o != a.node:
			a.mirror[i].waiting = append(a.mirror[i].waiting, w)
		}
	}
}

// mirrorAcked checks that a peer has what it acknowledged: the first so many deltas
// that wait for it. It may have lost its disk since the batch was sent.
func (a *replication) mirrorAcked(to *node, b antientropy.Batch, began time.Duration, refused []antientropy.Refused) {
	m := &a.mirror[to.index]
	if !a.run.mirrors() {
		return
	}
	if m.flight != b.ID {
		return // the outbox was closed meanwhile
	}
	if b.Keys > len(m.waiting) {
		a.run.fail(outboxDiffers, "", "%s acknowledged %d deltas to %s, and %d wait", to.id, b.Keys, a.node.id, len(m.waiting))
		return
	}
	batch := m.waiting[:b.Keys]
	m.waiting, m.flight = m.waiting[b.Keys:], 0
	if to.lacksSince(began) {
		return
	}
	for _, w := range batch {
		told := slices.ContainsFunc(refused, func(x antientropy.Refused) bool { return x.Key == w.ledger.key })
		if !told && !to.replica.has(w.ledger, w.effect) {
			a.run.fail(ackedUnmerged, w.ledger.key, "%s to %s: %v", to.id, a.node.id, w.effect)
		}
	}
}

// An exchange is one round under way, and what both sides had when it began.
type exchange struct {
	with         *node
	reopened     bool // deltas did not reach the peer before
	calm         bool // it began when nothing was left to exchange
	began        time.Duration
	mine, theirs []shadow
	resumed      bool
	refused      int // merges refused in the whole cluster until then
}

func (a *replication) begin(with *node, reopened bool) *exchange {
	return &exchange{
		with: with, reopened: reopened, calm: a.run.calm, began: a.run.now,
		mine:    slices.Clone(a.node.replica.shadows),
		theirs:  slices.Clone(with.replica.shadows),
		refused: a.run.counts.Refused,
	}
}

// checkRound checks that a round which says that it is complete has brought both
// sides what the other had when it began, except for what it left to deltas, or
// what a clock refused.
func (a *replication) checkRound(rd *antientropy.Round, x *exchange) {
	r := a.run
	if r.violation != nil || r.counts.Refused != x.refused || x.with.lacksSince(x.began) || a.node.lacksSince(x.began) {
		return
	}
	hasher := a.node.replica.store.Index().Hasher()
	for _, l := range r.keys {
		if left(rd, hasher, l.key) {
			continue
		}
		mine, theirs := a.node.replica.knows(l), x.with.replica.knows(l)
		mine, theirs = x.with.replica.at().knows(l, mine), a.node.replica.at().knows(l, theirs) // one may be further now
		if !l.covers(mine, x.theirs[l.index]) || !l.covers(theirs, x.mine[l.index]) {
			r.fail(roundIncomplete, l.key, "%s began with %v and has %v; %s began with %v and has %v", a.node.id,
				x.mine[l.index], mine, x.with.id, x.theirs[l.index], theirs)
		}
	}
}

// left reports whether a round left a key to deltas.
func left(rd *antientropy.Round, hasher *merkle.Hasher, key string) bool {
	return slices.ContainsFunc(rd.Deferred(), func(at merkle.Range) bool { return at.Contains(hasher.Position(key)) })
}
