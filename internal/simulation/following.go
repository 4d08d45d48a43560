package simulation

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/internal/wire"
)

var (
	_ antientropy.Follower  = (*replica)(nil)
	_ antientropy.Collector = (*replica)(nil)
)

func isStale(err error) bool {
	_, ok := errors.AsType[*store.StaleError](err)
	return ok
}

// at is the generation of the store in the model, nil if it has met nobody.
func (p *replica) at() *generation { return p.run.generation(p.stands) }

// knows is all that the replica has seen of a key, also what it has forgotten.
func (p *replica) knows(l *ledger) shadow { return p.at().knows(l, p.shadows[l.index]) }

// has reports whether the replica has seen so much of a key.
func (p *replica) has(l *ledger, s shadow) bool { return l.covers(p.knows(l), s) }

// lifted is what a state comes to that was merged: of one that is of an earlier
// generation what the records since then leave. Of a state that cannot be merged it is
// nothing, and a violation if it was.
func (p *replica) lifted(l *ledger, in shadow, state []byte, merged bool) shadow {
	from, _ := unseal(state)
	at := p.at()
	if at == nil || in.empty() {
		return in
	}
	later, known := at.since(p.run.generation(from))
	if next := p.run.generation(from); !known && next.before != at {
		if merged {
			p.run.fail(generationWrong, l.key, "%s of generation %d merged what is of %d", p.node.id, at.number, next.number)
		}
		return shadow{}
	}
	for _, g := range later {
		if in = g.settle(l, in); in.empty() {
			p.run.did("a state of what was forgotten arrives late")
			return in
		}
	}
	return in
}

// checkBuried checks that nothing shows in a key that was removed and forgotten before. A
// counter is checked at rest: who has forgotten that something was taken back is told of
// it again only with the whole state of who goes on counting, and not with each delta.
func (p *replica) checkBuried(l *ledger) {
	at, live := p.at(), p.shadows[l.index].live()
	if !p.run.calm {
		live = live.without(l.of[gcounter]).without(l.of[pncounter])
	}
	if at == nil {
		return
	}
	if again := live.intersect(at.forgotten[l].gone); len(again) > 0 {
		p.run.fail(cameBack, l.key, "%v at %s", again, p.node.id)
	}
	for id := range live.intersect(l.ranked).all() {
		if l.marks[id].made == nil {
			continue // by one that had met nobody
		}
		later, _ := at.since(l.marks[id].made)
		for _, g := range later {
			if !l.join(shadow{seen: bit(id)}, g.residues[l]).live().has(id) {
				p.run.fail(cameBack, l.key, "mark %d at %s", id, p.node.id)
			}
		}
	}
}

// Generation implements antientropy.Follower.
func (p *replica) Generation() string { return p.stands }

// Since implements antientropy.Follower.
func (p *replica) Since(generation string, limit int) (records [][]byte, ok bool) {
	return p.store.Since(generation, limit)
}

// Settle implements antientropy.Follower.
func (p *replica) Settle(ctx context.Context, record []byte) error {
	if !p.ready() {
		return errFallen
	}
	p.tempt(0.04)
	paper, before := p.run.paper(record), p.stands
	if err := p.store.Settle(ctx, record); err != nil {
		if p.fell(err) {
			p.pending.to = paper.to()
		}
		p.run.explain(err)
		return err
	}
	p.arrived(before, paper)
	return nil
}

// arrived does to the shadows what a record did to the store.
func (p *replica) arrived(before string, by paper) {
	r := p.run
	if p.store.Generation() == before {
		return
	}
	p.stands = p.store.Generation()
	g := r.decided(by)
	if p.store.Generation() != by.to() {
		r.fail(generationWrong, "", "%s is of %x after the record to %x", p.node.id, p.store.Generation(), by.to())
		return
	}
	p.checkFork(g)
	p.identities = append(p.identities, p.store.Replica())
	r.trace.say(r.now, p.node.index, "settles record %d", g.number)
	for _, l := range r.keys {
		if _, concerned := g.residues[l]; concerned {
			p.settled(g, l)
		}
	}
}

func (p *replica) settled(g *generation, l *ledger) {
	s := p.shadows[l.index]
	p.set(l, g.settle(l, s))
	switch {
	case s.empty():
	case p.shadows[l.index].empty():
		p.run.did("a key forgotten")
	default:
		p.run.did("a key kept that has more than was forgotten")
	}
	p.load(l)
	p.checkBuried(l)
}

// load has the state of a key compared with the model.
func (p *replica) load(l *ledger) {
	if _, err := p.Load(p.run.ctx, l.key); err != nil {
		p.run.fail(errorUnexplained, l.key, "load: %v", err)
	}
}

// checkFork checks that those who are members all along settle the same records. One of
// which all who knew it have lost their disks may be decided once more.
func (p *replica) checkFork(g *generation) {
	if !p.node.owner {
		return
	}
	for _, o := range p.run.owners() {
		if other := o.replica.at().numbered(g.number); other != nil && other != g {
			p.run.fail(forked, "", "%s settles another record %d than %s", p.node.id, g.number, o.id)
		}
	}
}

// Adopt implements antientropy.Follower.
func (p *replica) Adopt(ctx context.Context, generation string) (iter.Seq2[string, []byte], error) {
	if !p.ready() {
		return nobody, errFallen
	}
	p.tempt(0.25)
	before := p.stands
	aside, err := p.store.Adopt(ctx, generation)
	if p.fell(err) {
		p.pending = pending{to: cmp.Or(generation, genesis), adopts: true}
		return nobody, err
	}
	p.stands = p.standing(err)
	if err != nil || before == "" || p.stands == before {
		return aside, err
	}
	p.identities = append(p.identities, p.store.Replica())
	p.emptied(aside, p.run.generation(before))
	return func(func(string, []byte) bool) {}, nil
}

// emptied takes note of what a store held that was emptied: it may be lost, and is told.
// So may be what it had forgotten, if that is not known where it is now: then all the
// others have lost their disks, one after the other, and have begun anew.
func (p *replica) emptied(aside iter.Seq2[string, []byte], before *generation) {
	r := p.run
	r.did("a readmission")
	r.trace.say(r.now, p.node.index, "is readmitted")
	p.node.emptiedAt = r.now
	if p.node.owner {
		r.ownersEmptied = true
	}
	if r.plan.retires {
		p.emptiedHeritage(aside)
		return
	}
	told := make(map[*ledger][]byte)
	for key, value := range aside {
		told[r.ledger(key)] = value
	}
	p.tenure++
	_, known := p.at().since(before)
	for _, l := range r.keys {
		if value := told[l]; len(value) > 0 {
			r.did("a key set aside")
		}
		if !known {
			l.aside = l.join(l.aside, before.forgotten[l])
		}
		if len(p.pending.to) == 0 {
			r.bind(l, told[l], p.shadows[l.index])
		}
		l.aside, p.shadows[l.index] = l.join(l.aside, p.shadows[l.index]), shadow{}
	}
	p.begin()
}

// Propose implements antientropy.Collector.
func (p *replica) Propose(limit int, quiet time.Duration) []byte {
	if !p.ready() {
		return nil
	}
	proposal := p.store.Propose(limit, quiet)
	if proposal == nil || p.run.plan.retires {
		return proposal
	}
	paper := p.run.paper(proposal)
	for _, it := range paper.items {
		l := p.run.ledger(it.key)
		p.run.bind(l, it.value, p.shadows[l.index])
	}
	return proposal
}

// Prepare implements antientropy.Collector.
func (p *replica) Prepare(ctx context.Context, proposal []byte) ([]byte, error) {
	if !p.ready() {
		return nil, errFallen
	}
	p.tempt(0.04)
	reply, err := p.store.Prepare(ctx, proposal)
	if p.fell(err) {
		p.perhapsPrepared(proposal)
		return nil, err
	}
	p.stands = p.standing(err)
	if err != nil || p.run.plan.retires || len(proposal) == 0 {
		return reply, err
	}
	paper := p.run.paper(proposal)
	refused := p.run.refusals(reply)
	for i, it := range paper.items {
		if !slices.Contains(refused, i) {
			l := p.run.ledger(it.key)
			p.set(l, l.join(p.shadows[l.index], p.run.meaning(l, it.value)))
			p.load(l)
			p.checkBuried(l)
		}
	}
	return reply, nil
}

// perhapsPrepared takes note of what a proposal may have brought.
func (p *replica) perhapsPrepared(proposal []byte) {
	if p.run.plan.retires || len(proposal) == 0 {
		return
	}
	for _, it := range p.run.paper(proposal).items {
		l := p.run.ledger(it.key)
		p.perhaps(l, l.join(p.shadows[l.index], p.run.meaning(l, it.value)), nil)
	}
}

// refusals reads a reply: what of a proposal was refused.
func (r *run) refusals(reply []byte) (refused []int) {
	in, err := wire.NewReader(reply)
	if err != nil {
		r.fail(errorUnexplained, "", "a reply: %v", err)
		return nil
	}
	for n := in.Array(); n > 0; n-- {
		refused = append(refused, int(in.Uint()))
	}
	return refused
}

// Conclude implements antientropy.Collector.
func (p *replica) Conclude(ctx context.Context, proposal []byte, replies [][]byte) ([]byte, error) {
	if !p.ready() {
		return nil, errFallen
	}
	p.tempt(0.04)
	before := p.stands
	record, err := p.store.Conclude(ctx, proposal, replies)
	if p.fell(err) {
		paper := p.run.paper(proposal)
		p.pending.to = paper.to()
	}
	if err != nil || record == nil {
		return record, err
	}
	p.arrived(before, p.run.paper(record))
	return record, nil
}
