package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/examples/internal/service"
	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/handoff"
	"github.com/eventual-go/eventual/quorum/revision"
	"github.com/eventual-go/eventual/quorum/ring"
	"github.com/eventual-go/eventual/transport"
)

// A node is one member of the cluster. Everything that it is made of is here, in the order
// in which one thing needs another.
type node struct {
	config config
	book   *book            // where the others are
	links  links            // bytes between nodes
	caller transport.Caller // of the others, counted
	disk   disk             // what outlives the process, if anything does
	store  *store.Store     // the keys that this node holds
	ring   *ring.Keeper     // who holds which keys
	loop   *antientropy.Loop
	hints  *handoff.Handoff    // what is kept for nodes that are away
	coord  *quorum.Coordinator // reads and writes at as many owners as asked for
	calls  transport.Mux       // what other nodes may call

	revisions *revision.Writer // writes on the condition that nothing has changed
	gossip    *gossip          // who is there, and when the ring follows; nil if somebody says so
}

// config is what the flags say of one node.
type config struct {
	id      transport.NodeID
	zone    string
	peers   []peer // the others that are known from the start
	joins   bool   // the cluster is there already: this node waits until it is told
	data    string // the folder of this node; in memory if empty
	timeout time.Duration

	tls    string             // the folder of the certificates; plain if empty
	denied []transport.NodeID // whose calls are refused
	gossip string             // where this node gossips; it does not if empty
	seeds  []string           // where some others do
	settle time.Duration      // how long a node is there before the ring follows
}

// begins says whether this node makes a ring of itself alone.
func (c config) begins() bool { return len(c.peers) == 0 && !c.joins }

// tell has the operator know what goes wrong.
func (c config) tell(what string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "zones %s: %s: %v\n", c.id, what, err)
	}
}

// A peer is a node with its zone and its address.
type peer struct {
	ID   transport.NodeID `json:"id"`
	Zone string           `json:"zone"`
	Addr string           `json:"addr"`
}

const replicas = 3 // of each key, in as many zones

func newNode(cfg config, addr string) (_ *node, err error) {
	n := &node{config: cfg}

	// Bytes between nodes, which prove who they are. The book knows addresses; a node that it does
	// not know the others are asked for.
	n.book = newBook(cfg.peers, peer{cfg.id, cfg.zone, addr})
	if err := n.links.open(cfg, n.resolve); err != nil {
		return nil, err
	}
	n.caller = n.links.caller()
	n.book.caller = n.caller

	// The keys that this node holds, in memory or on disk, and the hints that it keeps.
	if n.store, err = n.disk.open(cfg); err != nil {
		return nil, err
	}

	// Who holds which keys. What the node is to hold it reconciles; what it has and does not hold
	// it hands over and drops. It hashes keys as the store does.
	n.ring = &ring.Keeper{
		Self: cfg.id, Caller: n.caller, Hasher: n.store.Index().Hasher(),
		Save: n.disk.saveRing, Store: n.store, Transfer: n.reconcile, HandOver: n.handOver,
		Interval: 200 * time.Millisecond, Events: n.ringEvents(),
	}

	// Until all agree: deltas at once, and comparisons in the background, with each peer of
	// what both hold.
	n.loop = &antientropy.Loop{Self: cfg.id, Store: n.store, Caller: n.caller, Peers: n.others, Shared: n.ring.Shared}

	// What others miss while they are away, within bounds. What is kept for a node that holds the
	// key no more goes to those who do.
	n.hints = &handoff.Handoff{
		Self: cfg.id, Caller: n.caller, Join: n.store.Join, Replica: n.store, Log: n.disk.hintLog(), Holds: n.ring.Holds,
		Limits: handoff.Limits{MaxBytes: 64 << 20, MaxTargetBytes: 16 << 20, MaxAge: 3 * time.Hour},
	}

	// Who must answer. Reads ask the nearest owners first, and wait until enough of them have what
	// is returned.
	n.coord = &quorum.Coordinator{
		Self: cfg.id, Local: n.store, Ring: n.ring, Caller: n.caller, Join: n.store.Join,
		Hints: n.hints, Timeout: cfg.timeout,
	}

	// Changes of carts that must be what the client has read. Rivals that come here take turns.
	n.revisions = &revision.Writer{Quorum: n.coord, Join: n.store.Join, Content: n.content}

	n.calls.Handle("antientropy/", n.loop.Handler())
	n.calls.Handle("ring/", n.ring.Handler())
	n.calls.Handle("handoff/", n.hints.Handler())
	n.calls.Handle("quorum/", n.coord.Handler())
	n.calls.Handle("book/", n.book)
	n.calls.Handle("cart/", transport.HandlerFunc(n.serveCart))
	n.calls.Handle("node/", transport.HandlerFunc(n.serveState))

	// Who is there, by gossip: then nodes are found where they are, and the ring follows on its own.
	if cfg.gossip != "" {
		if n.gossip, err = newGossip(n, addr); err != nil {
			return nil, errors.Join(err, n.close())
		}
	}

	// Before anybody calls: the ring as it was, or the first one, which all nodes make alike.
	return n, n.firstRing()
}

// firstRing takes up the ring that was saved, or makes the first of the cluster out of the nodes
// that are known from the start. A node that joins has none until it is told.
func (n *node) firstRing() error {
	if saved := n.disk.savedRing; saved != nil {
		return n.ring.Restore(saved)
	}
	if n.config.joins {
		return nil
	}
	members := []ring.Member{{ID: n.config.id, Zone: n.config.zone}}
	for _, p := range n.config.peers {
		members = append(members, ring.Member{ID: p.ID, Zone: p.Zone})
	}
	r, err := ring.New(ring.Config{Members: members, Replicas: replicas})
	if err != nil {
		return err
	}
	return n.ring.Adopt(r)
}

// resolve returns the address of a node, as it says itself, or as is written down.
func (n *node) resolve(ctx context.Context, id transport.NodeID) (string, error) {
	if n.gossip != nil {
		if addr, err := n.gossip.members.Resolve(ctx, id); err == nil {
			return addr, nil
		}
	}
	return n.book.resolve(ctx, id)
}

// reconcile makes this node and a peer have the same in some ranges.
func (n *node) reconcile(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error {
	_, err := n.loop.ExchangeRanges(ctx, peer, ranges)
	return err
}

// handOver gives a peer what this node has in some ranges.
func (n *node) handOver(ctx context.Context, peer transport.NodeID, ranges []merkle.Range) error {
	_, err := n.loop.HandOver(ctx, peer, ranges)
	return err
}

// others are the members of the ring but for this node.
func (n *node) others() []transport.NodeID {
	ids := map[transport.NodeID]bool{}
	if r := n.ring.Ring(); r != nil {
		for _, m := range r.Members() {
			ids[m.ID] = true
		}
	}
	delete(ids, n.config.id)
	return slices.Sorted(maps.Keys(ids))
}

// run serves peers on ln and clients on web until ctx ends, and closes what is open. Clients go
// first: what they have under way still needs the peers.
func (n *node) run(ctx context.Context, ln, web net.Listener) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	err := service.Together(ctx,
		func(context.Context) error { return n.links.tcp.Serve(inner, ln, n.links.handler(&n.calls)) },
		func(context.Context) error { return n.ring.Run(inner) },
		func(context.Context) error { return n.loop.Run(inner) },
		func(context.Context) error { return n.hints.Run(inner) },
		func(context.Context) error { return n.gossip.run(inner) },
		func(ctx context.Context) error {
			defer stop()
			return service.ServeHTTP(ctx, web, n.api(), n.patience())
		},
		n.disk.watch,
	)
	return errors.Join(err, n.close())
}

func (n *node) close() error {
	return errors.Join(n.links.tcp.Close(), n.store.Close(), n.disk.close())
}
