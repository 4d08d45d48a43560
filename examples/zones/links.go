package main

import (
	"context"
	"slices"

	"github.com/eventual-go/eventual/examples/internal/certs"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
	"github.com/eventual-go/eventual/transport/tcp"
)

// clusterName is the one by which nodes know that they belong together, and that stands in their certificates.
const clusterName = "zones"

// links are a node's connections with the others, and what is put around calls.
type links struct {
	tcp     *tcp.Transport
	metrics intercept.Metrics // of the calls that are made and served, by method
	access  intercept.Access  // who may call what
}

// open makes the connections ready. With TLS a node is who its certificate says.
func (l *links) open(cfg config, resolve func(context.Context, transport.NodeID) (string, error)) error {
	complain := func(err error) { cfg.tell("connections", err) }
	l.tcp = &tcp.Transport{
		Self: cfg.id, Cluster: clusterName, Resolve: resolve,
		Events: tcp.Events{OnRefused: func(r tcp.Refusal) { complain(r.Err) }},
	}

	// By TLS whoever calls is a node of this cluster, and may call all methods but those that have a rule of their own.
	l.access.Rules = map[string]intercept.Rule{"": cfg.admits}

	if cfg.tls == "" {
		l.tcp.Plain = true
		return nil
	}
	files, err := certs.Open(cfg.tls, cfg.id, complain)
	if err != nil {
		return err
	}
	l.tcp.TLS = &tcp.TLS{Credentials: files.Credentials}
	return nil
}

// admits says whether calls of a node are served at all. One that has gone for good has a certificate for a while yet.
func (c config) admits(from transport.NodeID, _ string) bool { return !slices.Contains(c.denied, from) }

// caller is what the parts of the node call others by.
func (l *links) caller() transport.Caller { return l.metrics.Caller(l.tcp) }

// handler is what others reach of what the node serves. What is refused is counted, too.
func (l *links) handler(served transport.Handler) transport.Handler {
	return l.metrics.Handler(l.access.Handler(served))
}
