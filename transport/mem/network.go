package mem

import (
	"cmp"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Network connects nodes in one process. The zero value is a network without
// faults. Its fields must not be changed after the first node is made, and it must
// not be copied.
type Network struct {
	// Seed picks the sequence of random decisions of every link.
	Seed uint64

	// Link is what links do that were not given a [Link] of their own by SetLink. If
	// zero, they deliver everything at once.
	Link Link

	// MaxMessage is the most bytes that a request or a response may have. If zero,
	// 4 MiB.
	MaxMessage int

	// Refuse has calls over a cut link fail at once with transport.ErrUnreachable. If
	// false, they wait until their context ends: the network says nothing.
	Refuse bool

	mu     sync.Mutex
	nodes  map[transport.NodeID]*Node
	links  map[pair]*link
	groups map[transport.NodeID]int // of the partition; nil without one
	stats  Stats
}

// Stats counts what a network has done with requests and replies together.
type Stats struct {
	Sent       uint64 // put on a link, repetitions not counted
	Lost       uint64 // dropped by Loss, or by a cut link
	Duplicated uint64 // delivered twice by Duplicate
	Reordered  uint64 // held back by Reorder
	Late       uint64 // replies dropped because their call was over
}

// Stats returns the counts up to now.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}

// SetLink sets what the link from one node to another does, in that direction
// alone, to whatever is sent from now on. The nodes need not exist.
func (n *Network) SetLink(from, to transport.NodeID, l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(from, to).own = &l
}

// Cut cuts the link from one node to another, in that direction alone: what is
// under way on it is lost too. Restore or Heal undo it.
func (n *Network) Cut(from, to transport.NodeID) { n.setCut(from, to, true) }

// Restore undoes Cut for one direction of one link.
func (n *Network) Restore(from, to transport.NodeID) { n.setCut(from, to, false) }

func (n *Network) setCut(from, to transport.NodeID, cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(from, to).cut = cut
}

// Partition cuts every link between nodes of different groups, in both directions,
// and what is under way on them is lost. Nodes named in no group form one more
// together. Each Partition replaces the one before; links cut by Cut stay cut.
func (n *Network) Partition(groups ...[]transport.NodeID) {
	of := make(map[transport.NodeID]int)
	for i, group := range groups {
		for _, id := range group {
			of[id] = i + 1
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.groups = of
}

// Heal undoes Partition and every Cut. It does not bring nodes up that are down.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.groups = nil
	for _, l := range n.links {
		l.cut = false
	}
}

// Down takes a node down, as if its process had been killed: the contexts of the
// handlers that it runs end, calls to it and by it fail with
// transport.ErrUnreachable, those under way too. A node that does not exist, or is
// down already, is left as it is.
func (n *Network) Down(id transport.NodeID) {
	if node := n.node(id); node != nil {
		node.stop(errDown)
	}
}

// Up brings a node up again that was taken down, with the handler that it had.
func (n *Network) Up(id transport.NodeID) {
	if node := n.node(id); node != nil {
		node.start()
	}
}

// Node adds a node that answers calls with h, and returns it. A nil h answers no
// method. If there is a node of that name, it is closed and the new one takes its
// place, as a process that was started again.
func (n *Network) Node(id transport.NodeID, h transport.Handler) *Node {
	if h == nil {
		h = new(transport.Mux)
	}
	node := &Node{network: n, id: id, handler: h}
	node.start()
	if old := n.replace(id, node); old != nil {
		old.stop(transport.ErrClosed)
	}
	return node
}

func (n *Network) replace(id transport.NodeID, node *Node) (old *Node) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.nodes == nil {
		n.nodes = make(map[transport.NodeID]*Node)
	}
	old, n.nodes[id] = n.nodes[id], node
	return old
}

func (n *Network) node(id transport.NodeID) *Node {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.nodes[id]
}

func (n *Network) maxMessage() int { return cmp.Or(max(n.MaxMessage, 0), 4<<20) }

// connected says whether what is sent from one node arrives at the other.
func (n *Network) connected(from, to transport.NodeID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open(n.link(from, to))
}

// open needs n.mu.
func (n *Network) open(l *link) bool {
	return !l.cut && (n.groups == nil || n.groups[l.from] == n.groups[l.to])
}

// link needs n.mu.
func (n *Network) link(from, to transport.NodeID) *link {
	key := pair{from, to}
	l := n.links[key]
	if l == nil {
		l = newLink(n.Seed, from, to)
		if n.links == nil {
			n.links = make(map[pair]*link)
		}
		n.links[key] = l
	}
	return l
}

// send puts one message on a link: deliver runs once, twice or never, and only if
// the link is not cut by then. A request runs in a goroutine of its own; a reply
// that takes no time runs here, so its deliver must not wait.
func (n *Network) send(from, to transport.NodeID, kind kind, deliver func()) {
	for _, delay := range n.decide(from, to, kind) {
		arrive := func() {
			if n.connected(from, to) {
				deliver()
			} else {
				n.count(func(s *Stats) { s.Lost++ })
			}
		}
		switch {
		case delay > 0:
			time.AfterFunc(delay, arrive)
		case kind == reply:
			arrive()
		default:
			go arrive()
		}
	}
}

// decide says after which delays a message arrives; none if it is lost.
func (n *Network) decide(from, to transport.NodeID, kind kind) []time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.link(from, to)
	cfg := n.Link
	if l.own != nil {
		cfg = *l.own
	}
	v := l.streams[kind].next(cfg, time.Now())
	n.stats.add(v, n.open(l))
	if !n.open(l) {
		return nil
	}
	return v.delays
}

func (n *Network) count(change func(*Stats)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change(&n.stats)
}

func (s *Stats) add(v verdict, open bool) {
	s.Sent++
	switch {
	case !open || len(v.delays) == 0:
		s.Lost++
		return
	case len(v.delays) == 2:
		s.Duplicated++
	}
	if v.reordered {
		s.Reordered++
	}
}
