package faults

import (
	"reflect"
	"sync"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Network is what is wrong between the nodes of a cluster: what each link does,
// which are cut, which nodes are frozen or slow. It carries nothing itself: a network
// of transport/mem has one, by its method Faults, and [Network.Caller] and
// [Network.Handler] put one on any real transport. The zero value is a network
// without faults. Its fields must not be changed after the first use, and it must
// not be copied. It is safe for concurrent use.
type Network struct {
	// Seed picks the sequence of random decisions of every link.
	Seed uint64

	// Link is what links do that were not given a [Link] of their own by SetLink, until
	// SetLinks says otherwise.
	Link Link

	// Refuse has calls over a cut link fail at once with transport.ErrUnreachable. If
	// false, they wait until their context ends: the network says nothing.
	Refuse bool

	// Delays are distributions by name, for the links of scripts: "delay=NAME".
	Delays map[string]Distribution

	// Trace, if not nil, records what happens.
	Trace *Trace

	// Replay, if not nil, is a trace that decides again as it was decided then: the n-th
	// message of a kind on a link gets what the n-th got. Messages that it does not know
	// of are decided by Seed and the link.
	Replay *Trace

	mu       sync.Mutex
	ready    bool
	now      Link // what links do that have none of their own
	links    map[pair]*link
	groups   map[transport.NodeID]int // of the partition; nil without one
	slow     map[transport.NodeID]time.Duration
	frozen   map[transport.NodeID]*[]waiting
	recorded map[recorded]fate
	stats    Stats
}

// Stats counts what became of requests and replies together.
type Stats struct {
	Sent       uint64 // repetitions not counted
	Lost       uint64 // by Loss, by a cut link, or because too much waited for a frozen node
	Duplicated uint64 // sent twice by Duplicate
	Reordered  uint64 // held back by Reorder
	Held       uint64 // that waited for a frozen node, which may be twice for one
}

// Stats returns the counts up to now.
func (n *Network) Stats() Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stats
}

// lock takes n.mu, and makes ready what the first use needs.
func (n *Network) lock() {
	n.mu.Lock()
	if n.ready {
		return
	}
	n.ready = true
	n.now = n.Link
	n.links = make(map[pair]*link)
	n.slow = make(map[transport.NodeID]time.Duration)
	n.frozen = make(map[transport.NodeID]*[]waiting)
	n.recorded = n.Replay.decisions()
}

// SetLink sets what the link from one node to another does, in that direction
// alone, to whatever is sent from now on. The nodes need not exist.
func (n *Network) SetLink(from, to transport.NodeID, l Link) {
	n.change(Step{Do: "link", From: from, To: to, Link: l, Delay: n.named(l.Delay)}, func() {
		n.link(from, to).own = &l
	})
}

// SetLinks sets what all links do that have no Link of their own.
func (n *Network) SetLinks(l Link) {
	n.change(Step{Do: "links", Link: l, Delay: n.named(l.Delay)}, func() { n.now = l })
}

// ResetLink undoes SetLink: the link does what all do.
func (n *Network) ResetLink(from, to transport.NodeID) {
	n.change(Step{Do: "unlink", From: from, To: to}, func() { n.link(from, to).own = nil })
}

// Cut cuts the link from one node to another, in that direction alone: what is
// under way on it is lost too. Restore or Heal undo it.
func (n *Network) Cut(from, to transport.NodeID) {
	n.change(Step{Do: "cut", From: from, To: to}, func() { n.link(from, to).cut = true })
}

// Restore undoes Cut for one direction of one link.
func (n *Network) Restore(from, to transport.NodeID) {
	n.change(Step{Do: "restore", From: from, To: to}, func() { n.link(from, to).cut = false })
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
	n.change(Step{Do: "partition", Groups: groups}, func() { n.groups = of })
}

// Heal undoes Partition and every Cut. Nodes that are frozen or slow stay so, and
// links stay as they were set.
func (n *Network) Heal() {
	n.change(Step{Do: "heal"}, func() {
		n.groups = nil
		for _, l := range n.links {
			l.cut = false
		}
	})
}

// Slow has everything that a node receives take so much longer before the node acts
// on it: requests, and replies to its own. So each call by the node or to it takes
// that much longer. Zero undoes it.
func (n *Network) Slow(id transport.NodeID, by time.Duration) {
	n.change(Step{Do: "slow", From: id, By: by}, func() {
		n.slow[id] = bounded(by)
		if by <= 0 {
			delete(n.slow, id)
		}
	})
}

// Freeze has a node send and receive nothing until Thaw, as a process that was
// stopped: what arrives for it, and what it sends, waits, up to 16,384 messages, and
// what is more is lost. What the node is doing goes on, but nobody hears of it.
func (n *Network) Freeze(id transport.NodeID) {
	n.change(Step{Do: "freeze", From: id}, func() {
		if n.frozen[id] == nil {
			n.frozen[id] = new([]waiting)
		}
	})
}

// Thaw undoes Freeze: what waited is delivered and sent now, in the order in which
// it came. It is decided now what becomes of what is sent.
func (n *Network) Thaw(id transport.NodeID) {
	var queue *[]waiting
	n.change(Step{Do: "thaw", From: id}, func() {
		queue = n.frozen[id]
		delete(n.frozen, id)
	})
	if queue != nil {
		for _, w := range *queue {
			w.on(w.parcel)
		}
	}
}

// change does what a step says, and records it.
func (n *Network) change(s Step, do func()) {
	n.lock()
	defer n.mu.Unlock()
	do()
	n.Trace.step(s)
}

// link needs n.mu.
func (n *Network) link(from, to transport.NodeID) *link {
	on := pair{from, to}
	l := n.links[on]
	if l == nil {
		l = newLink(n.Seed, on)
		n.links[on] = l
	}
	return l
}

// open needs n.mu. It says whether a link is not cut.
func (n *Network) open(from, to transport.NodeID) bool {
	l := n.links[pair{from, to}]
	return (l == nil || !l.cut) && (n.groups == nil || n.groups[from] == n.groups[to])
}

// IsCut says whether the link from one node to another is cut, by Cut or Partition.
func (n *Network) IsCut(from, to transport.NodeID) bool {
	n.lock()
	defer n.mu.Unlock()
	return !n.open(from, to)
}

// named finds the name of a distribution, for the record. One that cannot be compared
// has none.
func (n *Network) named(d Distribution) string {
	if d == nil || !reflect.ValueOf(d).Comparable() {
		return ""
	}
	for name, of := range n.Delays {
		if of == d {
			return name
		}
	}
	return ""
}
