package caspaxos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

type node = transport.NodeID

var kinds = func() *crdt.Kinds {
	k, err := crdt.Standard().With(Kind)
	if err != nil {
		panic(err)
	}
	return k
}()

// A shelf is a Store in memory. What happens between its steps is up to meanwhile.
type shelf struct {
	states    map[string][]byte
	meanwhile func()
	cut       func() bool // whether power is cut before this is durable
}

func (m *shelf) Load(_ context.Context, key string) ([]byte, error) {
	b := m.states[key]
	if m.meanwhile != nil {
		m.meanwhile()
	}
	return b, nil
}

func (m *shelf) Merge(_ context.Context, key string, state []byte) ([]byte, error) {
	joined, err := kinds.Join(m.states[key], state)
	if err != nil {
		return nil, err
	}
	before := m.states[key]
	m.states[key] = joined
	if m.meanwhile != nil {
		m.meanwhile()
	}
	if m.cut != nil && m.cut() {
		m.states[key] = before // what others got of it meanwhile they have
		return nil, errDown
	}
	return state, nil
}

func (m *shelf) Decode(state []byte) (*crdt.Value, error) { return kinds.Decode(state) }
func (m *shelf) Seal(value []byte) []byte                 { return value }

// A plan is a kind of history.
type plan struct {
	name    string
	places  []string // owners, and next ones behind an arrow, one placement after the other
	ahead   bool
	hasty   bool // negative control: changes of the ring are over at once
	careful bool // nothing is copied
}

// A world is nodes and clients, and messages under way. What happens next is drawn from a seed.
type world struct {
	plan
	rng    *rand.Rand
	ids    []node
	rings  []quorum.Placement
	stage  int
	known  map[node]int
	done   map[node]bool // has reconciled what it gets by the present change
	down   map[node]bool
	shelf  map[node]*shelf
	server map[node]*Registers
	wire   []message
	users  []*user
	clock  int
	marks  int
	past   []*event
	texts  map[Ballot]string
	fault  error
	deep   bool
}

type message struct {
	u      *user
	c      *call
	s      send
	back   bool
	reply  reply
	err    error
	copies int
}

func newWorld(seed uint64, p plan) *world {
	w := &world{
		plan: p, rng: rand.New(rand.NewPCG(seed, 7)), known: make(map[node]int), done: make(map[node]bool),
		down: make(map[node]bool), shelf: make(map[node]*shelf), server: make(map[node]*Registers), texts: make(map[Ballot]string),
	}
	for i, text := range p.places {
		w.rings = append(w.rings, placed(text, i+1))
		for _, id := range append(w.rings[i].Owners, w.rings[i].Next...) {
			w.add(id)
		}
	}
	for i := range 3 {
		w.users = append(w.users, w.newUser(uint64(i+1)))
	}
	return w
}

func placed(text string, version int) (p quorum.Placement) {
	next := false
	for _, c := range text {
		switch {
		case c == '>':
			next = true
		case next:
			p.Next = append(p.Next, node(c))
		default:
			p.Owners = append(p.Owners, node(c))
		}
	}
	p.Version = uint64(version)
	return p
}

func (w *world) add(id node) {
	if w.shelf[id] != nil {
		return
	}
	w.ids = append(w.ids, id)
	w.shelf[id] = &shelf{states: make(map[string][]byte), meanwhile: func() { w.meanwhile(id) }, cut: func() bool { return !w.deep && w.rng.IntN(32) == 0 }}
	w.server[id] = &Registers{Self: id, Local: w.shelf[id], Kinds: kinds, Ring: ringOf{w, id}}
}

// A ringOf is the ring as one node knows it.
type ringOf struct {
	w  *world
	id node
}

func (r ringOf) Place(string) quorum.Placement { return r.w.rings[r.w.known[r.id]] }

func (w *world) anyone() node { return w.ids[w.rng.IntN(len(w.ids))] }

// meanwhile is what may happen in the middle of a request at a node: nothing, or a lot.
func (w *world) meanwhile(id node) {
	if w.deep || w.rng.IntN(8) > 0 {
		return
	}
	w.deep = true
	defer func() { w.deep = false }()
	for range 1 + w.rng.IntN(16) {
		switch w.rng.IntN(5) {
		case 0:
			w.learn(id)
		case 1:
			w.learn(w.anyone())
		case 2:
			w.reconcile(w.anyone())
		case 3:
			w.change()
		default:
			w.copy(w.anyone(), id)
		}
	}
}

// copy is anti-entropy, one way.
func (w *world) copy(from, to node) {
	if !w.careful {
		w.give(from, to)
	}
}

func (w *world) give(from, to node) {
	deep := w.deep
	w.deep = true
	for key, state := range w.shelf[from].states {
		if _, err := w.shelf[to].Merge(context.Background(), key, state); err != nil {
			w.fault = err
		}
	}
	w.deep = deep
}

// learn has a node adopt a later ring.
func (w *world) learn(id node) {
	if n := w.stage - w.known[id]; n > 0 {
		w.known[id] += 1 + w.rng.IntN(n)
	}
}

// reconcile has a node that is to hold the key get what a majority of the owners has, who have adopted the same ring.
func (w *world) reconcile(id node) {
	p := w.rings[w.stage]
	if !slices.Contains(p.Next, id) || w.known[id] != w.stage {
		return
	}
	if with := w.majority(p.Owners, w.stage); with != nil {
		for _, from := range with {
			w.give(from, id)
			w.give(id, from)
		}
		w.done[id] = true
	}
}

// majority is a majority of nodes that have adopted a ring, if there is one.
func (w *world) majority(of []node, stage int) (some []node) {
	for _, i := range w.rng.Perm(len(of)) {
		if w.known[of[i]] >= stage {
			some = append(some, of[i])
		}
		if len(some) == len(of)/2+1 {
			return some
		}
	}
	return nil
}

// change begins a change of the ring, or ends it when all have what they need.
func (w *world) change() {
	if w.stage == len(w.rings)-1 {
		return
	}
	for _, id := range w.rings[w.stage].Next {
		if !w.done[id] && !w.hasty {
			return
		}
	}
	w.stage++
	clear(w.done)
}

// discard has a node forget what it does not hold, once it has handed that over.
func (w *world) discard(id node) {
	p := w.rings[w.known[id]]
	if slices.Contains(p.Owners, id) || slices.Contains(p.Next, id) {
		return
	}
	if to := w.majority(p.Owners, w.known[id]); to != nil {
		for _, other := range to {
			w.give(id, other)
		}
		clear(w.shelf[id].states)
	}
}

// run takes steps, then judges.
func (w *world) run(steps int) error {
	for range steps {
		w.clock++
		w.step()
		if w.fault != nil {
			return w.fault
		}
	}
	for _, u := range w.users {
		if u.c != nil {
			w.finish(u, false)
		}
	}
	if w.fault == nil && !linearizable(w.past) {
		return fmt.Errorf("not linearizable: %v", w.past)
	}
	return w.fault
}

func (w *world) step() {
	switch n := w.rng.IntN(32); {
	case n < 4:
		w.act(w.users[w.rng.IntN(len(w.users))])
	case n == 4:
		id := w.anyone()
		w.down[id] = !w.down[id] && w.rng.IntN(2) == 0
	case n == 5:
		w.learn(w.anyone())
	case n == 6 && w.rng.IntN(2) == 0:
		w.change()
	case n == 7:
		w.reconcile(w.anyone())
	case n == 8:
		w.discard(w.anyone())
	case n <= 10:
		w.copy(w.anyone(), w.anyone())
	case n == 11 && w.rng.IntN(4) == 0:
		if u := w.users[w.rng.IntN(len(w.users))]; u.c != nil {
			w.finish(u, false) // time is over, or the client has crashed
		}
	case len(w.wire) > 0:
		w.move(w.rng.IntN(len(w.wire)), n)
	}
}

// move takes a message to where it goes, loses it, or repeats it.
func (w *world) move(i, n int) {
	m := w.wire[i]
	if n == 12 && m.copies < 2 {
		w.wire[i].copies++
		w.wire = append(w.wire, w.wire[i])
	}
	w.wire = slices.Delete(w.wire, i, i+1)
	switch {
	case n == 13:
		m.back, m.err = true, errDown // the caller notices
	case n == 14:
		return // nobody does
	case !m.back && w.down[m.s.to]:
		m.back, m.err = true, errDown
	case !m.back:
		q, err := decodeRequest(m.s.encode())
		if err != nil {
			w.fault = err
			return
		}
		m.back = true
		m.reply, m.err = w.server[m.s.to].serve(context.Background(), &q)
		if m.err == nil {
			m.reply, m.err = decodeReply(m.reply.encode())
			w.fault = errors.Join(w.fault, m.err)
		}
	default:
		if m.u.c == m.c {
			w.post(m.u, m.c.answer(&m.s, &m.reply, m.err))
			w.look(m.u)
		}
		return
	}
	w.wire = append(w.wire, m)
}

var errDown = errors.New("down")

func (w *world) post(u *user, sends []send) {
	for _, s := range sends {
		w.wire = append(w.wire, message{u: u, c: u.c, s: s})
	}
}
