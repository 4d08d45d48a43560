package main

import (
	"context"
	"maps"
	"net"
	"slices"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
	"github.com/eventual-go/eventual/vclock"
)

// A Replica holds typed values by key, writes them to as many others as it is
// asked to, and agrees with all of them in the end.
type Replica struct {
	Store  *store.Store
	Quorum *quorum.Coordinator
	loop   *antientropy.Loop
	net    *tcp.Transport
}

// NewReplica assembles a replica from the packages.
func NewReplica(self transport.NodeID, peers map[transport.NodeID]string) *Replica {
	ids := slices.Collect(maps.Keys(peers))
	s := store.New(store.Config{Replica: vclock.NewReplicaID(string(self))})
	net := &tcp.Transport{Self: self, Plain: true, Peers: peers}
	return &Replica{
		Store:  s,
		Quorum: &quorum.Coordinator{Self: self, Local: s, Ring: quorum.Everywhere(append(ids, self)), Caller: net, Join: s.Join},
		loop:   &antientropy.Loop{Store: s, Peers: antientropy.Static(ids...), Caller: net},
		net:    net,
	}
}

// Run serves the peers on ln and keeps in step with them until ctx ends.
func (r *Replica) Run(ctx context.Context, ln net.Listener) error {
	var mux transport.Mux
	mux.Handle("antientropy/", r.loop.Handler())
	mux.Handle("quorum/", r.Quorum.Handler())
	ctx, cancel := context.WithCancel(ctx)
	loop := make(chan error, 1)
	go func() { loop <- r.loop.Run(ctx); cancel() }()
	err := r.net.Serve(ctx, ln, &mux)
	cancel()
	<-loop
	return err
}
