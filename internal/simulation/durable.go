package simulation

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/vclock"
)

// This file is the model of what a disk holds: of each key its shadows, each with the number of the write that put it
// there. A crash keeps the first so many writes, so what is there again is known exactly; also of a call that the
// crash came into, of which nobody was told that it had happened.

// held is what a key consists of from a write on.
type held struct {
	at     uint64
	shadow shadow
	write  *write // that nobody was told of
}

// pending is what a call was about that the disk failed in: the generation that the store may be of since.
type pending struct {
	to     string
	adopts bool
}

// set has a key consist of something else, because of a call that has returned.
func (p *replica) set(l *ledger, s shadow) {
	old := p.shadows[l.index]
	p.shadows[l.index] = s
	if p.disk == nil || s.equal(old) {
		return
	}
	at := p.disk.Last(p.where(l))
	if p.node.keeping == synced && at > p.disk.Synced() {
		p.run.fail(notDurable, l.key, "%s has returned from write %d, and durable are %d", p.node.id, at, p.disk.Synced())
	}
	p.keep(l, held{at: at, shadow: s})
}

// perhaps takes note of what a key may consist of: the call has failed.
func (p *replica) perhaps(l *ledger, s shadow, w *write) {
	if at := p.disk.Last(p.where(l)); at > p.began {
		p.keep(l, held{at, s, w})
	}
}

func (p *replica) keep(l *ledger, h held) {
	of := p.kept[l.index]
	for len(of) > 1 && of[1].at <= p.disk.Synced() {
		of = of[1:]
	}
	p.kept[l.index] = append(of, h)
}

// where the value of a key lies on the disk, as package store has it.
func (p *replica) where(l *ledger) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{'v'}, p.tenure), l.key...)
}

// rollBack has the model be what there is on the disk by a write.
func (p *replica) rollBack(upto uint64) {
	before := p.allKnown()
	for i, of := range p.kept {
		there := of[0].shadow
		for _, h := range of[1:] {
			if h.at > upto {
				break
			}
			if there = h.shadow; h.write != nil {
				p.run.writes = append(p.run.writes, h.write)
				p.run.did("a write that nobody was told of")
			}
		}
		p.shadows[i] = there
	}
	p.begin()
	p.forgot(before)
}

// begin has the model begin with what is there.
func (p *replica) begin() {
	p.kept = make([][]held, len(p.shadows))
	for i, s := range p.shadows {
		p.kept[i] = []held{{shadow: s}}
	}
}

// allKnown is all that the replica has seen, by ledger.
func (p *replica) allKnown() []shadow {
	known := make([]shadow, len(p.shadows))
	for _, l := range p.run.keys {
		if l.index < len(known) {
			known[l.index] = p.knows(l)
		}
	}
	return known
}

// forgot takes note of what a replica has seen before and does not know any more. What nobody else knows may be gone.
func (p *replica) forgot(before []shadow) {
	r := p.run
	for _, l := range r.keys {
		prior := before[l.index]
		if l.covers(p.knows(l), prior) {
			continue
		}
		p.node.forgotAt, p.node.forgetful = r.now, true
		r.patchy = r.patchy || p.node.owner
		rest := shadow{}
		for _, o := range r.present() {
			rest = l.join(rest, o.replica.knows(l))
		}
		if l.covers(rest, prior) {
			r.did("what was lost is known elsewhere")
			continue
		}
		r.did("what was lost is known nowhere")
		gone := prior.gone.without(rest.gone)
		l.aside = l.join(l.aside, shadow{prior.seen.without(rest.seen).union(gone), gone})
		for _, w := range r.writes {
			w.unsure = w.unsure || w.ledger == l && !l.covers(rest, w.effect)
		}
	}
}

// hurt takes note that the store has come upon a key that cannot be read.
func (p *replica) hurt(key string, err error) {
	if !p.damaged[key] {
		p.run.fail(errorUnexplained, key, "damaged: %v", err)
		return
	}
	p.run.did("a damaged key found")
	p.harm(key)
}

// harm has nothing be there of a key that was damaged.
func (p *replica) harm(key string) {
	l := p.run.ledger(key)
	if l == nil || p.shadows[l.index].empty() {
		return
	}
	before := p.allKnown()
	p.shadows[l.index] = shadow{}
	p.kept[l.index] = []held{{}}
	p.forgot(before)
}

// recovered checks a store that was opened: it is of a generation that it was of or was about to be of, each key is what
// the disk holds of it, and the index is what one made anew from all keys is.
func (p *replica) recovered() {
	p.catchUp()
	for _, l := range p.run.keys {
		p.load(l)
		p.checkBuried(l)
	}
	p.checkIndex()
}

// catchUp does to the model what a call did that the crash came into, if it did.
func (p *replica) catchUp() {
	at, before := p.store.Generation(), p.stands
	switch {
	case at == before:
	case before == "" && at == genesis:
		p.stands = at
	case at != p.pending.to:
		p.run.fail(generationWrong, "", "%s is of %x after %x, and was on the way to %x", p.node.id, at, before, p.pending.to)
	case p.pending.adopts && before == "":
		p.stands = at
	case p.pending.adopts:
		p.run.did("a readmission that a crash came into")
		p.stands = at
		p.emptied(nobody, p.run.generation(before))
	default:
		records, ok := p.store.Since(before, math.MaxInt)
		if !ok || len(records) != 1 {
			p.run.fail(generationWrong, "", "%s has %d records from %x to %x", p.node.id, len(records), before, at)
			return
		}
		p.run.did("a record that a crash came into")
		p.arrived(before, p.run.paper(records[0]))
	}
}

func nobody(func(string, []byte) bool) {}

// everyKey is all keys that clients use.
func (r *run) everyKey() (keys []string) {
	if r.plan.retires {
		return plainKeys[:]
	}
	for _, l := range r.keys {
		keys = append(keys, l.key)
	}
	return keys
}

// checkIndex compares the index with one made anew.
func (p *replica) checkIndex() {
	r := p.run
	anew := store.New(store.Config{Replica: vclock.Named("anew"), Kinds: r.kinds, Secret: []byte("simulation"), Now: p.now, MaxDrift: time.Duration(math.MaxInt64)})
	keys := p.store.Index()
	for _, key := range r.everyKey() {
		state, err := p.store.Load(r.ctx, key)
		_, value := unseal(state)
		if _, bad := anew.Merge(r.ctx, key, value); err != nil || bad != nil {
			r.fail(errorUnexplained, key, "%s: index: %v, %v", p.node.id, err, bad)
		}
	}
	if p.store.Index().Root() != anew.Index().Root() {
		r.fail(indexWrong, "", "%s was opened with an index of %d keys, and made anew it is of %d", p.node.id, keys.Len(), anew.Index().Len())
	}
}
