package simulation

import (
	"fmt"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A message is a request or its answer on the way.
type message struct {
	from, to int
	call     uint64 // the caller's number for it
	method   string
	body     []byte
	err      error // of an answer
	sent     time.Duration
}

// link is how the messages from one node to another fare.
type link struct {
	cut  bool          // lost, all of them
	loss float64       // probability
	copy float64       // probability that it arrives twice
	lag  time.Duration // at least
	wide time.Duration // mean of the random part: messages overtake one another
}

// network is the links, by sender and receiver.
type network struct {
	links  [][]link
	random source
	sent   int
	lost   int
	copied int
}

func newNetwork(n int, random source) *network {
	links := make([][]link, n)
	for i := range links {
		links[i] = make([]link, n)
		for j := range links[i] {
			links[i][j] = link{lag: time.Millisecond, wide: time.Millisecond}
		}
	}
	return &network{links: links, random: random}
}

// arrivals says after how long the copies of a message arrive: none if it is lost.
func (n *network) arrivals(from, to int) (first, second time.Duration, copies int) {
	l := &n.links[from][to]
	n.sent++
	lost, twice := n.random.chance(l.loss), n.random.chance(l.copy)
	first, second = l.lag+n.random.around(l.wide), l.lag+n.random.around(4*l.wide)
	switch {
	case l.cut || lost:
		n.lost++
		return 0, 0, 0
	case twice:
		n.copied++
		return first, second, 2
	}
	return first, 0, 1
}

// restore makes every link a good one.
func (n *network) restore() {
	for i := range n.links {
		for j := range n.links[i] {
			n.links[i][j] = link{lag: time.Millisecond, wide: time.Millisecond}
		}
	}
}

// each calls f for every link between two different nodes, in order.
func (n *network) each(f func(from, to int, l *link)) {
	for i := range n.links {
		for j := range n.links[i] {
			if i != j {
				f(i, j, &n.links[i][j])
			}
		}
	}
}

// send puts a message on its way.
func (r *run) send(m *message, k kind) {
	m.sent = r.now
	first, second, copies := r.network.arrivals(m.from, m.to)
	r.haunt(m, k)
	if copies == 0 && r.trace.print != nil {
		r.trace.say(r.now, m.from, "lost: %v %s to %s, call %d", k, m.method, name(m.to), m.call)
	}
	if copies > 0 {
		r.heap.push(event{at: r.now + first, node: m.to, life: anyLife, kind: k, msg: m})
	}
	if copies > 1 {
		r.heap.push(event{at: r.now + second, node: m.to, life: anyLife, kind: k, msg: m})
	}
}

// name is the NodeID of a node.
func name(node int) string { return fmt.Sprintf("n%d", node) }

func nodeID(node int) transport.NodeID { return transport.NodeID(name(node)) }

// number is the node of a NodeID, -1 if there is none.
func (r *run) number(id transport.NodeID) int {
	for i := range r.nodes {
		if r.nodes[i].id == id {
			return i
		}
	}
	return -1
}
