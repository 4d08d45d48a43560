package antientropy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// A polity is some nodes that agree on what to forget, while their epochs change, they
// stop, and messages are lost and come twice. It is copied where a history can go on in
// two ways: so all ways are gone.
type polity struct {
	nodes []*citizen
	sent  []posted // requests, for those that come twice
}

type citizen struct {
	id     transport.NodeID
	epochs []Epoch // to be told of, in order
	told   int     // of them
	store  *chain
	place  *Membership
	leads  *Collection
	answer []byte // on its way to that
	reborn bool   // it has lost everything once
}

type posted struct {
	from, to int
	method   string
	req      string
}

func (c *citizen) epoch() Epoch {
	if c.told == 0 {
		return Epoch{}
	}
	return c.epochs[c.told-1]
}

func (c *citizen) responder() *Responder { return &Responder{Store: c.store, Membership: c.place} }

func newPolity(at string, epochs []Epoch, told int, ids ...transport.NodeID) *polity {
	p := new(polity)
	for _, id := range ids {
		c := &citizen{id: id, epochs: epochs, told: told, store: &chain{name: string(id), at: at, most: 2}}
		c.place = &Membership{Self: id, Epoch: c.epoch}
		p.nodes = append(p.nodes, c)
	}
	return p
}

// copied is a world that goes on by itself.
func (p *polity) copied() *polity {
	q := &polity{sent: slices.Clip(p.sent)}
	for _, c := range p.nodes {
		d := &citizen{id: c.id, epochs: c.epochs, told: c.told, reborn: c.reborn, answer: c.answer}
		store := *c.store
		d.store = &store
		m := c.place
		d.place = &Membership{Self: c.id, Epoch: d.epoch, epoch: m.epoch, at: m.at, moves: m.moves}
		d.place.at.passed = slices.Clone(m.at.passed)
		if c.leads != nil {
			l := *c.leads
			l.f, l.c, l.m = d.store, d.store, d.place
			l.replies, l.pledges, l.result.HeldUp = slices.Clone(l.replies), slices.Clone(l.pledges), slices.Clone(l.result.HeldUp)
			d.leads = &l
		}
		q.nodes = append(q.nodes, d)
	}
	return q
}

// key is what the future depends on.
func (p *polity) key() string {
	var b strings.Builder
	for _, c := range p.nodes {
		fmt.Fprintf(&b, "%d %t %+v %+v;", c.told, c.reborn, *c.store, c.place.at)
		if l := c.leads; l != nil {
			fmt.Fprintf(&b, "%x ", c.answer)
			fmt.Fprintf(&b, "%d %d %d %s %d %v %v %s %d;", l.epoch.Number, l.stage, l.at, l.generation, l.rank, l.theirs, l.pledges, l.proposal, len(l.result.HeldUp))
			fmt.Fprintf(&b, "%t %d;", l.released, l.promised)
		}
	}
	for _, s := range p.sent {
		fmt.Fprintf(&b, "%d%d%s%s", s.from, s.to, s.method, s.req)
	}
	return b.String()
}

func (p *polity) index(id transport.NodeID) int {
	return slices.IndexFunc(p.nodes, func(c *citizen) bool { return c.id == id })
}

func (p *polity) serve(from, to int, method string, req []byte) ([]byte, error) {
	return p.nodes[to].responder().ServeCall(context.Background(), p.nodes[from].id, method, req)
}

// A move is one thing that may happen next.
type move struct {
	name string
	do   func(p *polity) bool // false: it cannot
}

// moves are all kinds of things that may happen, of which some histories have but some.
func (p *polity) moves(duplicates int, restarts bool) (all []move) {
	for i, c := range p.nodes {
		all = append(all,
			move{fmt.Sprint("learn ", c.id), func(p *polity) bool { return p.learn(i) }},
			move{fmt.Sprint("collect ", c.id), func(p *polity) bool { return p.collect(i) }},
			move{fmt.Sprint("ask ", c.id), func(p *polity) bool { return p.ask(i, duplicates) }},
			move{fmt.Sprint("answer ", c.id), func(p *polity) bool { return p.answer(i) }},
			move{fmt.Sprint("lose ", c.id), func(p *polity) bool { return p.lose(i) }},
			move{fmt.Sprint("delay ", c.id), func(p *polity) bool { return p.delay(i, duplicates) }},
			move{fmt.Sprint("stop ", c.id), func(p *polity) bool { return p.stop(i) }},
		)
		if restarts {
			all = append(all, move{fmt.Sprint("restart ", c.id), func(p *polity) bool { return p.restart(i) }})
		}
		for j := range p.nodes {
			if i != j {
				all = append(all, move{fmt.Sprint("round ", c.id, " ", p.nodes[j].id), func(p *polity) bool { return p.round(i, j) }})
			}
		}
	}
	for i, c := range p.nodes {
		all = append(all,
			move{fmt.Sprint("decide ", c.id), func(p *polity) bool { return p.decide(i, duplicates) }},
			move{fmt.Sprint("quiet ", c.id), func(p *polity) bool { return p.quiet(i) }},
			move{fmt.Sprint("release ", c.id), func(p *polity) bool { return p.release(i, duplicates) }},
		)
	}
	for i := range duplicates {
		all = append(all, move{fmt.Sprint("again ", i), func(p *polity) bool { return p.again(i) }})
	}
	return all
}

func (p *polity) learn(i int) bool {
	c := p.nodes[i]
	if c.told == len(c.epochs) {
		return false
	}
	c.told++
	return true
}

func (p *polity) collect(i int) bool {
	c := p.nodes[i]
	if c.leads != nil {
		return false
	}
	l, err := NewCollection(context.Background(), c.store, c.place, CollectionConfig{})
	if err == nil {
		c.leads = l
	}
	return err == nil
}

// ask lets the request of a collection arrive. The answer is on its way then.
func (p *polity) ask(i, duplicates int) bool {
	c := p.nodes[i]
	if c.leads == nil || c.answer != nil {
		return false
	}
	peer, method, req, more := c.leads.Next()
	if !more {
		c.leads = nil
		return true
	}
	to := p.index(peer)
	p.post(posted{i, to, method, string(req)}, duplicates)
	resp, err := p.serve(i, to, method, req)
	if err != nil {
		return p.lose(i)
	}
	c.answer = resp
	return true
}

// delay has the request of a collection arrive later, if at all: the one who asks takes it
// for lost.
func (p *polity) delay(i, duplicates int) bool {
	c := p.nodes[i]
	if c.leads == nil || c.answer != nil {
		return false
	}
	peer, method, req, more := c.leads.Next()
	return more && p.post(posted{i, p.index(peer), method, string(req)}, duplicates) && p.lose(i)
}

// post keeps a request for later.
func (p *polity) post(s posted, most int) bool {
	if len(p.sent) >= most || slices.Contains(p.sent, s) {
		return false
	}
	p.sent = append(p.sent, s)
	return true
}

// answer lets the answer arrive.
func (p *polity) answer(i int) bool {
	c := p.nodes[i]
	if c.leads == nil || c.answer == nil {
		return false
	}
	resp := c.answer
	c.answer = nil
	if c.leads.Step(context.Background(), resp) != nil {
		c.leads = nil
	}
	return true
}

// lose loses the request, or the answer if there is one.
func (p *polity) lose(i int) bool {
	c := p.nodes[i]
	if c.leads == nil {
		return false
	}
	c.answer = nil
	if c.leads.Failed(context.Background(), transport.ErrUnreachable) != nil {
		c.leads = nil
	}
	return true
}

// decide has a collection go on until something is decided, if nothing is in its way.
func (p *polity) decide(i, duplicates int) bool {
	c := p.nodes[i]
	before := c.store.at
	if !p.collect(i) && c.leads == nil {
		return false
	}
	for c.store.at == before && (p.answer(i) || p.ask(i, duplicates)) {
	}
	return true
}

// quiet has a node find nothing to propose from now on, or something again.
func (p *polity) quiet(i int) bool {
	s := p.nodes[i].store
	s.quiet = !s.quiet
	return s.quiet || s.proposed < s.most
}

// release has a collection that proposes nothing more go on to its end, if nothing is in its way.
func (p *polity) release(i, duplicates int) bool {
	c := p.nodes[i]
	if !p.collect(i) && c.leads == nil {
		return false
	}
	before := c.store.quiet
	for c.store.quiet = true; c.leads != nil && (p.answer(i) || p.ask(i, duplicates)); {
	}
	c.store.quiet = before
	return true
}

// begin has the one who proposes do so many steps of a collection, and lose the last message if that was a request.
func (p *polity) begin(steps, duplicates int) {
	for i := range p.nodes {
		if !p.collect(i) {
			continue
		}
		for range steps {
			_ = p.answer(i) || p.ask(i, duplicates)
		}
		p.lose(i)
		return
	}
}

// stop has a node forget what it was about, as one does that keeps its store.
func (p *polity) stop(i int) bool {
	c := p.nodes[i]
	if c.leads == nil {
		return false
	}
	c.leads, c.answer = nil, nil
	return true
}

// restart has a node lose everything.
func (p *polity) restart(i int) bool {
	c := p.nodes[i]
	if c.store.at == "" {
		return false
	}
	c.leads, c.answer, c.reborn, c.store = nil, nil, true, &chain{name: c.store.name, proposed: c.store.proposed, most: c.store.most}
	c.place = &Membership{Self: c.id, Epoch: c.epoch}
	return true
}

// nowhere is all that is compared: what counts is done before.
var nowhere = []merkle.Range{{}}

func (p *polity) round(i, j int) bool {
	c := p.nodes[i]
	round := NewRound(c.store, RoundConfig{Peer: p.nodes[j].id, Membership: c.place, Ranges: nowhere})
	for {
		method, req, more := round.Next()
		if !more {
			return true
		}
		resp, err := p.serve(i, j, method, req)
		if err == nil {
			err = round.Step(context.Background(), resp)
		}
		if err != nil {
			return true
		}
	}
}

// again has a request arrive once more; the answer goes nowhere.
func (p *polity) again(i int) bool {
	if i >= len(p.sent) {
		return false
	}
	s := p.sent[i]
	_, _ = p.serve(s.from, s.to, s.method, []byte(s.req))
	return true
}

// lasting reports whether a node is in every epoch, and never lost its store.
func (c *citizen) lasting() bool {
	return !c.reborn && !slices.ContainsFunc(c.epochs, func(e Epoch) bool { return !e.has(c.id) })
}

// wrong says what must not be: of the nodes that no epoch leaves out two have gone
// different ways, or one was emptied, or it has settled what it had promised and given up: what is written meanwhile may
// contradict that. Where a memory was lost that is not to be had.
func (p *polity) wrong() string {
	amnesia := slices.ContainsFunc(p.nodes, func(c *citizen) bool { return c.reborn })
	for i, c := range p.nodes {
		if !c.lasting() {
			continue
		}
		if c.store.emptied > 0 {
			return fmt.Sprintf("%s was emptied", c.id)
		}
		if !amnesia && c.store.contrary != "" {
			return fmt.Sprintf("%s had given up %s, which was decided", c.id, c.store.contrary)
		}
		for _, d := range p.nodes[:i] {
			a, b := c.store.at, d.store.at
			if d.lasting() && a != "" && b != "" && !leads(a, b) && !leads(b, a) {
				return fmt.Sprintf("%s is at %s and %s at %s", c.id, a, d.id, b)
			}
		}
	}
	return ""
}

// stuck says what keeps all from coming to one generation once nothing happens to them
// any more, and the one that proposes from being heard by all members.
func (p *polity) stuck() string {
	q := p.copied()
	for i, c := range q.nodes {
		for q.learn(i) {
		}
		c.leads, c.answer, c.store.quiet, c.store.most = nil, nil, false, c.store.proposed+1 // there is always something more to collect
	}
	for pass := range 4 {
		if pass > 1 && !slices.ContainsFunc(q.nodes, func(c *citizen) bool { return c.store.at != q.nodes[0].store.at }) {
			break
		}
		for i, c := range q.nodes {
			for j := range q.nodes {
				if i != j {
					q.round(i, j)
				}
			}
			if q.collect(i) {
				for c.leads != nil && q.ask(i, 0) {
					q.answer(i)
				}
			} else {
				c.leads = nil
			}
		}
	}
	for _, c := range q.nodes {
		if c.store.at != q.nodes[0].store.at {
			return fmt.Sprintf("in the end %s is at %s and %s at %s", q.nodes[0].id, q.nodes[0].store.at, c.id, c.store.at)
		}
		if e := c.epoch(); c.place.proposes(e) && c.store.at != "" && c.place.at.rank < e.rank() {
			return fmt.Sprintf("%s finds not all members in epoch %d", c.id, e.Number)
		}
	}
	return q.wrong()
}
