package mem

import (
	"cmp"
	"sync"
	"sync/atomic"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/faults"
)

// A Link says what a network does to what is sent from one node to another.
type Link = faults.Link

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

	ready  sync.Once
	faults faults.Network
	late   atomic.Uint64

	mu    sync.Mutex
	nodes map[transport.NodeID]*Node
}

// Faults returns what is wrong with the network: beside links, cuts and partitions,
// which have methods here too, nodes that are frozen or slow. Its Trace, Replay and
// Delays are set before the first node is made; its other fields are those of n.
func (n *Network) Faults() *faults.Network {
	n.ready.Do(func() { n.faults.Seed, n.faults.Link, n.faults.Refuse = n.Seed, n.Link, n.Refuse })
	return &n.faults
}

// Stats counts what a network has done.
type Stats struct {
	faults.Stats        // with requests and replies together
	Late         uint64 // replies dropped because their call was over
}

// Stats returns the counts up to now.
func (n *Network) Stats() Stats { return Stats{n.Faults().Stats(), n.late.Load()} }

// SetLink sets what the link from one node to another does: see
// [faults.Network.SetLink].
func (n *Network) SetLink(from, to transport.NodeID, l Link) { n.Faults().SetLink(from, to, l) }

// Cut cuts the link from one node to another, in that direction alone: see
// [faults.Network.Cut].
func (n *Network) Cut(from, to transport.NodeID) { n.Faults().Cut(from, to) }

// Restore undoes Cut for one direction of one link.
func (n *Network) Restore(from, to transport.NodeID) { n.Faults().Restore(from, to) }

// Partition cuts every link between nodes of different groups: see
// [faults.Network.Partition].
func (n *Network) Partition(groups ...[]transport.NodeID) { n.Faults().Partition(groups...) }

// Heal undoes Partition and every Cut. It does not bring nodes up that are down.
func (n *Network) Heal() { n.Faults().Heal() }

// Apply does what a step of a script says, now: those that a [faults.Network] does,
// and "down" and "up". So a network is what [faults.Script.Run] runs on.
func (n *Network) Apply(s faults.Step) error {
	switch s.Do {
	case "down":
		n.Down(s.From)
	case "up":
		n.Up(s.From)
	default:
		return n.Faults().Apply(s)
	}
	return nil
}

// Down takes a node down, as if its process had been killed: the contexts of the
// handlers that it runs end, calls to it and by it fail with
// transport.ErrUnreachable, those under way too. A node that does not exist, or is
// down already, is left as it is.
func (n *Network) Down(id transport.NodeID) {
	n.Faults().Trace.Note(faults.Step{Do: "down", From: id})
	if node := n.node(id); node != nil {
		node.stop(errDown)
	}
}

// Up brings a node up again that was taken down, with the handler that it had.
func (n *Network) Up(id transport.NodeID) {
	n.Faults().Trace.Note(faults.Step{Do: "up", From: id})
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
