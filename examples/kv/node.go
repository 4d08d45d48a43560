package main

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/examples/internal/service"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/faults"
	"github.com/eventual-go/eventual/transport/tcp"
)

// A node is one replica: a store, the loop that keeps it in step with its peers,
// the coordinator that asks them, and an HTTP API on top.
type node struct {
	id     transport.NodeID
	peers  []transport.NodeID
	kinds  *crdt.Kinds
	store  *store.Store
	loop   *antientropy.Loop
	quorum *quorum.Coordinator
	tcp    *tcp.Transport
	faults faults.Network // between this node and its peers
	config config
	failed chan error     // holds what became of the disk, if that is nothing good
	writes [64]sync.Mutex // by hash of the key: one write of a key at a time
}

// config is what the flags say.
type config struct {
	secret  []byte           // the cluster's key for fingerprints
	timeout time.Duration    // of one round of asking replicas
	faults  bool             // POST /v1/faults is served
	data    string           // the folder in which each replica has one; in memory if empty
	tls     string           // the folder of the certificates; plain if empty
	book    string           // the file in which peers are looked up when they are dialled; if empty, they stay where they are
	now     func() time.Time // if nil, time.Now
}

// patience is how long a request may take: it asks twice at most, and then has a
// moment to say how it went.
func (c config) patience() time.Duration { return 2*c.timeout + time.Second }

func newNode(id transport.NodeID, peers map[transport.NodeID]string, cfg config) (*node, error) {
	n := &node{id: id, peers: slices.Sorted(maps.Keys(peers)), kinds: crdt.Standard(), config: cfg, failed: make(chan error, 1)}
	n.faults.Seed, n.faults.Refuse = rand.Uint64(), true
	var err error
	if n.tcp, err = n.newTCP(peers); err != nil {
		return nil, err
	}
	if err := n.openStore(); err != nil {
		return nil, err
	}
	net := n.faults.Caller(id, n.tcp)
	n.loop = &antientropy.Loop{Store: n.store, Peers: antientropy.Static(n.peers...), Caller: net, MaxMessage: maxMessage}
	n.quorum = &quorum.Coordinator{
		Self: id, Local: n.store, Join: n.store.Join, Caller: net, Timeout: cfg.timeout,
		Ring: quorum.Everywhere(slices.Sorted(slices.Values(append([]transport.NodeID{id}, n.peers...)))),
	}
	return n, nil
}

// run serves peers on ln and clients on web until ctx ends, or the disk fails, and closes the store. Clients go first:
// what they have under way still needs the peers.
func (n *node) run(ctx context.Context, ln, web net.Listener) error {
	return errors.Join(n.serve(ctx, ln, web), n.store.Close())
}

func (n *node) serve(ctx context.Context, ln, web net.Listener) error {
	var mux transport.Mux
	mux.Handle("antientropy/", n.loop.Handler())
	mux.Handle("quorum/", n.quorum.Handler())

	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	return service.Together(ctx,
		func(context.Context) error { return n.tcp.Serve(inner, ln, n.faults.Handler(n.id, &mux)) },
		func(context.Context) error { return n.loop.Run(inner) },
		func(ctx context.Context) error {
			defer stop()
			return service.ServeHTTP(ctx, web, n.api(), n.config.patience())
		},
		n.watchDisk,
	)
}

// watchDisk ends as soon as the disk has failed: then the replica leaves, and is to be started again.
func (n *node) watchDisk(ctx context.Context) error {
	select {
	case err := <-n.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
