package placed

import (
	"errors"
	"slices"
	"time"

	"github.com/eventual-go/eventual/quorum/caspaxos"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
)

// A message is a request or its answer on the way.
type message struct {
	from, to *node
	call     uint64 // the caller's number for it
	method   string
	body     []byte
	state    ring.State // of methodState: what is asked with, or answered
	ring     *ring.Ring // and the ring, where that is newer
	err      error      // of an answer
}

// A link is how the messages from one node to another fare.
type link struct {
	cut  bool          // lost, all of them
	loss float64       // probability
	copy float64       // probability that it arrives twice
	lag  time.Duration // at least
	wide time.Duration // mean of the random part: messages overtake one another
}

var good = link{lag: time.Millisecond, wide: time.Millisecond}

// network is the links, by sender and receiver.
type network struct {
	links  [][]link
	random source
}

func newNetwork(n int, random source) *network {
	w := &network{links: make([][]link, n), random: random}
	for i := range w.links {
		w.links[i] = make([]link, n)
	}
	w.restore()
	return w
}

// restore makes every link a good one.
func (w *network) restore() {
	w.each(func(_, _ int, l *link) { *l = good })
}

// each calls f for every link, in order.
func (w *network) each(f func(from, to int, l *link)) {
	for i := range w.links {
		for j := range w.links[i] {
			f(i, j, &w.links[i][j])
		}
	}
}

// send puts a message on its way: it arrives once, twice or never.
func (r *run) send(m *message, k kind) {
	w := r.network
	l := &w.links[m.from.index][m.to.index]
	lost, twice := w.random.chance(l.loss), w.random.chance(l.copy)
	first, second := l.lag+w.random.around(l.wide), l.lag+w.random.around(4*l.wide)
	if l.cut || lost {
		r.did("a message lost")
		r.say(m.from, "lost: %s to %s, call %d", m.method, m.to.id, m.call)
		return
	}
	arrive := func() { r.arrive(m, k) }
	e := event{at: r.now + first, node: m.to, life: anyLife, kind: k, mark: m.call, run: arrive}
	r.heap.add(e)
	if twice {
		r.did("a message copied")
		e.at = r.now + second
		r.heap.add(e)
	}
}

func (r *run) arrive(m *message, k kind) {
	switch {
	case !m.to.up:
	case k == deliver:
		r.serve(m)
	default:
		r.answered(m)
	}
}

// errSilence is what a caller gets where an answer does not come.
var errSilence = errors.New("simulation: no answer in time")

// A call is a request that a node waits for.
type call struct {
	again bool // a second answer is passed on too
	done  func(a *message, err error)
}

// call sends a request and hands its answer to done, or an error once it has taken too long.
func (r *run) call(n *node, m *message, c *call) {
	r.calls++
	id := r.calls
	n.calls[id] = c
	m.from, m.call = n, id
	r.send(m, deliver)
	r.after(r.plan.callTimeout, n, timeout, func() {
		if n.calls[id] == c {
			delete(n.calls, id)
			c.done(nil, errSilence)
		}
	})
}

// serve has a node answer a request. The handler gets bytes of its own, which are spoilt
// afterwards: it may keep none of them.
func (r *run) serve(m *message) {
	n := m.to
	if m.method == caspaxos.Method && n.deciding {
		r.after(time.Millisecond, n, deliver, func() { r.serve(m) })
		return
	}
	a := &message{from: n, to: m.from, call: m.call, method: m.method}
	req, life := slices.Clone(m.body), n.life
	r.handle(n, m, req, a)
	a.body = slices.Clone(a.body)
	spoil(req)
	r.trace.result(digest(a.body))
	if n.life != life || !n.up {
		return // it went down meanwhile
	}
	if a.err != nil {
		a.body, a.err = nil, transport.NewRemoteError(m.method, a.err)
	}
	r.say(n, "serves %s of %s, call %d: %d bytes (%v)", m.method, m.from.id, m.call, len(a.body), a.err)
	r.send(a, reply)
	if m.method == caspaxos.Method {
		r.stumble(n)
	}
}

// spoil overwrites bytes that nobody may have kept.
func spoil(b []byte) {
	for i := range b {
		b[i] = 0xC1 // no value in msgpack
	}
}

// answered hands an answer to who waits for it, if anybody still does.
func (r *run) answered(m *message) {
	n := m.to
	c, ok := n.calls[m.call]
	if !ok {
		return
	}
	if !c.again {
		delete(n.calls, m.call)
	}
	a := *m
	a.body = slices.Clone(m.body)
	c.done(&a, m.err)
}
