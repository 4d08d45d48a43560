package main

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
	"github.com/eventual-go/eventual/vclock"
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
	faults faults
	config config
}

// config is what the flags say.
type config struct {
	secret  []byte        // the cluster's key for fingerprints
	timeout time.Duration // of one request
	faults  bool          // POST /v1/faults is served
}

func newNode(id transport.NodeID, peers map[transport.NodeID]string, cfg config) *node {
	n := &node{id: id, peers: slices.Sorted(maps.Keys(peers)), kinds: crdt.Standard(), config: cfg}
	n.store = store.New(store.Config{Replica: vclock.NewReplicaID(string(id)), Kinds: n.kinds, Secret: cfg.secret})
	n.tcp = &tcp.Transport{Self: id, Cluster: "kv", Peers: peers, MaxFrame: maxMessage}
	net := n.faults.caller(n.tcp)
	n.loop = &antientropy.Loop{Store: n.store, Peers: antientropy.Static(n.peers...), Caller: net, MaxMessage: maxMessage}
	n.quorum = &quorum.Coordinator{
		Self: id, Local: n.store, Join: n.kinds.Join, Caller: net, Timeout: cfg.timeout,
		Ring: quorum.Everywhere(slices.Sorted(slices.Values(append([]transport.NodeID{id}, n.peers...)))),
	}
	return n
}

// run serves peers on ln and clients on web until ctx ends.
func (n *node) run(ctx context.Context, ln, web net.Listener) error {
	var mux transport.Mux
	mux.Handle("antientropy/", n.loop.Handler())
	mux.Handle("quorum/", n.quorum.Handler())
	api := &http.Server{Handler: n.api(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}

	return together(ctx,
		func(ctx context.Context) error { return n.tcp.Serve(ctx, ln, n.faults.handler(&mux)) },
		func(ctx context.Context) error { return n.loop.Run(ctx) },
		func(ctx context.Context) error { return serveHTTP(ctx, api, web) },
	)
}

func serveHTTP(ctx context.Context, s *http.Server, ln net.Listener) error {
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = s.Shutdown(grace)
	})
	defer stop()
	if err := s.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// together runs all parts until the first of them ends, ends the others, and
// returns the first error that is not the end of ctx.
func together(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error)
	for _, part := range parts {
		go func() {
			err := part(ctx)
			cancel()
			ended <- err
		}()
	}
	var first error
	for range parts {
		if err := <-ended; first == nil && !errors.Is(err, context.Canceled) {
			first = err
		}
	}
	return first
}
