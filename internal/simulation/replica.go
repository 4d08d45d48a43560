package simulation

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/internal/disk"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/vclock"
)

// replica is a store together with the shadow of each of its keys. It is what the
// protocols get as their store, so nothing enters or leaves a store unseen.
type replica struct {
	run     *run
	node    *node
	now     func() time.Time
	store   *store.Store
	shadows []shadow // by ledger

	named      vclock.ReplicaID   // as its program calls it
	identities []vclock.ReplicaID // that it has written under
	writers    map[*ledger]vclock.ReplicaID
	stands     string // its generation, as of the last call that has returned
	medium
}

// maxDrift is how far ahead a timestamp may be: the clocks of a run jump further.
const maxDrift = 2 * time.Second

// born is when virtual time begins, for those who ask for the time of day.
var born = time.Unix(1_700_000_000, 0)

func (r *run) newReplica(n *node, identity vclock.ReplicaID) *replica {
	p := &replica{
		run:     r,
		node:    n,
		now:     func() time.Time { return born.Add(r.now + n.skew) },
		shadows: make([]shadow, r.plan.keys),

		named:      identity,
		identities: []vclock.ReplicaID{identity},
		writers:    make(map[*ledger]vclock.ReplicaID),
	}
	if n.keeping == inMemory {
		p.store = store.New(p.config())
		return p
	}
	p.disk, p.damaged = disk.New(r.kinds, r.place(n)), make(map[string]bool)
	p.begin()
	var err error
	if p.store, err = store.Open(p.config(), p.disk.Mount()); err != nil {
		r.fail(errorUnexplained, "", "%s: open: %v", n.id, err)
	}
	return p
}

// Index implements antientropy.Store.
func (p *replica) Index() *merkle.Tree { return p.store.Index() }

// GenerationOf implements what quorum asks of a replica that forgets.
func (p *replica) GenerationOf(state []byte) string { return p.store.GenerationOf(state) }

// Lift implements what quorum asks of a replica that forgets.
func (p *replica) Lift(key string, state []byte) ([]byte, error) { return p.store.Lift(key, state) }

// Load implements antientropy.Store and quorum.Replica.
func (p *replica) Load(ctx context.Context, key string) ([]byte, error) {
	if !p.ready() {
		return nil, errFallen
	}
	state, err := p.store.Load(ctx, key)
	if p.run.plan.retires {
		return state, err
	}
	l := p.run.ledger(key)
	if p.fell(err) {
		return nil, err
	}
	if err != nil || l == nil {
		p.run.fail(errorUnexplained, key, "load: %v", err)
		return nil, errors.Join(err, errStopped)
	}
	p.run.bind(l, state, p.shadows[l.index])
	return state, nil
}

// Merge implements antientropy.Store and quorum.Replica.
func (p *replica) Merge(ctx context.Context, key string, state []byte) (novel []byte, err error) {
	if !p.ready() {
		return nil, errFallen
	}
	if p.run.plan.retires {
		p.run.checkEcho(p.node, key, state)
		if novel, err = p.store.Merge(ctx, key, state); err != nil && !p.fell(err) {
			p.run.refused(key, err)
		}
		p.stands = p.standing(err)
		return novel, err
	}
	l := p.run.ledger(key)
	if l == nil {
		p.run.fail(bytesUnknown, key, "a key that nobody wrote")
		return nil, errStopped
	}
	in, known, ok := p.meaning(l, state)
	if !ok {
		p.run.counts.Refused++
		return nil, errNotFor
	}
	last := p.store.Clock().Last()
	p.run.checkEcho(p.node, key, state)
	novel, err = p.store.Merge(ctx, key, state)
	if p.fell(err) {
		p.perhaps(l, l.join(p.shadows[l.index], p.lifted(l, in, state, false)), nil)
		return nil, err
	}
	p.stands = p.standing(err)
	if err != nil {
		p.run.refused(key, err)
		return nil, err
	}
	p.checkClock(l, in.without(known), last)
	p.merged(l, p.lifted(l, in, state, true), novel)
	p.checkBuried(l)
	return novel, nil
}

// checkClock checks that the timestamps of a state which was merged were not too far
// ahead, and that the clock has taken note of them. last is how far it was before. A
// register in a map keeps no timestamp of a write that is gone.
func (p *replica) checkClock(l *ledger, in shadow, last vclock.Timestamp) {
	for id := range in.seen.intersect(l.timed).without(in.gone.intersect(l.of[ormap])).all() {
		stamp := l.marks[id].stamp
		stamp.Replica = last.Replica // all that counts is the moment
		now := p.store.Clock().Last()
		now.Replica = stamp.Replica
		limit := p.now().Add(maxDrift).UnixNano()
		if stamp.Compare(last) > 0 && stamp.Wall > limit || stamp.Compare(now) > 0 {
			p.run.fail(clockWrong, l.key, "merged %v, the clock was at %v, is at %v, may follow up to %d", stamp, last, now, limit)
		}
	}
}

// merged does to the shadows what a merge did to the store.
func (p *replica) merged(l *ledger, in shadow, novel []byte) {
	mine := p.shadows[l.index]
	part := l.novel(in, mine)
	if part.empty() != (len(novel) == 0) {
		p.run.fail(noveltyWrong, l.key, "merging %v into %v: new was %v, said %x", in, mine, part, novel)
		return
	}
	p.checkGuard(l, part)
	if p.run.calm && !part.empty() && l.covers(l.join(l.aside, mine), part) {
		p.run.stirred()
	}
	p.set(l, l.join(mine, in))
	p.remark(l, in, mine, p.shadows[l.index])
	p.run.bind(l, novel, part)
}

// remark counts what is worth counting in a merge of in that left s.
func (p *replica) remark(l *ledger, in, mine, s shadow) {
	for id := range in.seen.intersect(l.ranked).without(s.seen).all() {
		p.run.did(l.marks[id].component.String() + " write comes after what displaces it")
	}
	for id := range in.gone.intersect(l.of[ormap]).without(mine.seen).all() {
		if strings.Contains(l.marks[id].place, "/") {
			p.run.did("ormap nested removal comes before what it removes")
		}
	}
}

// standing is the generation of the store after a call. In one that failed it may have changed, which shows when the
// store is opened again.
func (p *replica) standing(err error) string {
	if isFall(err) {
		return p.stands
	}
	return p.store.Generation()
}

// refused tells the one refusal that clocks explain from all others.
func (r *run) refused(key string, err error) {
	drift, ahead := errors.AsType[*vclock.DriftError](err)
	if ahead && drift.Ahead > maxDrift || r.explained(err) {
		r.counts.Refused++
		return
	}
	r.fail(errorUnexplained, key, "merge: %v", err)
}

// errStopped is what a replica answers once the run has failed.
var errStopped = errors.New("simulation: the run has failed")

// ledger finds the history of a key, nil if there is no such key.
func (r *run) ledger(key string) *ledger { return r.byKey[key] }
