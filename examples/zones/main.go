// Zones is a service of shopping carts on some nodes in several zones. Each cart is held by three
// of them, in three zones; a zone may be away, nodes come and go, and nothing that was acknowledged is
// lost.
//
//	go run ./examples/zones     six nodes in three zones in one process, to try it; with -data DIR, on disk
//	zones certs certs a1 b1 c1  certificates for three, and the key of their gossip
//	zones -id a1 -zone a -tls certs -listen 127.0.0.1:7001 -http 127.0.0.1:8001 -data DIR -peers b1/b=127.0.0.1:7002,...
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/eventual-go/eventual/examples/internal/certs"
	"github.com/eventual-go/eventual/examples/internal/service"
	"github.com/eventual-go/eventual/transport"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Stdout, os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "zones:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	if len(args) > 0 && args[0] == "certs" {
		return runCerts(out, args[1:])
	}
	flags := flag.NewFlagSet("zones", flag.ContinueOnError)
	id := flags.String("id", "", "this node's `name`; without it, six nodes run in this process")
	zone := flags.String("zone", "", "the zone that this node is in")
	listen := flags.String("listen", "127.0.0.1:0", "where other nodes connect; with six nodes, where the first of them tries")
	web := flags.String("http", "127.0.0.1:8001", "where clients connect; likewise")
	list := flags.String("peers", "", "the nodes of the first ring, as `name/zone=host:port,...`; the same everywhere")
	joins := flags.Bool("join", false, "the cluster of -peers is there already: wait until POST /members tells of this node")
	tls := flags.String("tls", "", "the `folder` with ca.crt, NAME.crt and NAME.key, made by \"zones certs\": nodes prove who they are")
	plain := flags.Bool("plain", false, "in place of -tls: whoever connects is believed, on a network that is trusted")
	deny := flags.String("deny", "", "nodes whose calls are refused, whatever certificate they have, as `name,...`")
	gossip := flags.String("gossip", "", "where this node gossips, as `host:port` by UDP and TCP: nodes find each other, and the ring follows")
	seeds := flags.String("seeds", "", "where some others do, as `host:port,...`")
	settle := flags.Duration("settle", 30*time.Second, "with -gossip, how long a node is there before the ring follows")
	data := flags.String("data", "", "the `folder` in which each node has one of its own; without it, in memory")
	timeout := flags.Duration("timeout", 2*time.Second, "of one round of asking owners; a write may take two")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg := config{
		id: transport.NodeID(*id), zone: *zone, joins: *joins, data: *data, timeout: *timeout,
		tls: *tls, gossip: *gossip, settle: *settle,
	}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *timeout <= 0 || *settle <= 0:
		return errors.New("-timeout and -settle must be positive")
	case *plain && *tls != "":
		return errors.New("either -tls or -plain")
	case *seeds != "" && *gossip == "":
		return errors.New("-seeds needs -gossip")
	case *id == "" && (*list != "" || *zone != "" || *joins || *gossip != "" || *deny != ""):
		return errors.New("-peers, -zone, -join, -gossip and -deny need -id")
	case *id == "":
		return runSix(ctx, out, *listen, *web, cfg)
	case !*plain && *tls == "":
		return errors.New("-id needs -tls, or -plain on a network that is trusted")
	case *zone == "" || strings.ContainsAny(*zone, "/=,"):
		return errors.New("-id needs -zone, a name without '/', '=' and ','")
	}
	if err := certs.CheckName(cfg.id); err != nil {
		return fmt.Errorf("-id: %w", err)
	}
	var err error
	if cfg.peers, err = parsePeers(*list); err != nil {
		return err
	}
	if cfg.peers, err = cfg.withoutSelf(cfg.peers); err != nil {
		return err
	}
	if cfg.denied, err = parseNames(*deny); err != nil {
		return fmt.Errorf("-deny: %w", err)
	}
	if cfg.gossip, err = parseGossip(*gossip); err != nil {
		return err
	}
	cfg.seeds = strings.FieldsFunc(*seeds, isComma)
	for _, addr := range cfg.seeds {
		if err := service.CheckAddr(addr); err != nil {
			return fmt.Errorf("-seeds: %w", err)
		}
	}
	return runOne(ctx, out, *listen, *web, cfg)
}

var peerForm = regexp.MustCompile(`^([^/=,]+)/([^/=,]+)=(.+)$`)

// withoutSelf leaves this node out of -peers: the list may be the same for all of them, and of what it says all make the
// same first ring.
func (c config) withoutSelf(peers []peer) (others []peer, err error) {
	for _, p := range peers {
		switch {
		case p.ID != c.id:
			others = append(others, p)
		case p.Zone != c.zone:
			return nil, fmt.Errorf("-peers has %s in zone %s, and -zone is %q", p.ID, p.Zone, c.zone)
		}
	}
	return others, nil
}

func parsePeers(list string) (peers []peer, err error) {
	for _, item := range strings.FieldsFunc(list, isComma) {
		m := peerForm.FindStringSubmatch(item)
		if m == nil || service.CheckAddr(m[3]) != nil {
			return nil, fmt.Errorf("-peers: %q is not name/zone=host:port", item)
		}
		if err := certs.CheckName(transport.NodeID(m[1])); err != nil {
			return nil, fmt.Errorf("-peers: %w", err)
		}
		peers = append(peers, peer{transport.NodeID(m[1]), m[2], m[3]})
	}
	return peers, nil
}

// parseGossip refuses an address that stands for all of a machine: the others are told it, and look there.
func parseGossip(addr string) (string, error) {
	if addr == "" {
		return "", nil
	}
	err := service.CheckAddr(addr)
	if host, _, split := net.SplitHostPort(addr); split == nil {
		if ip, notIP := netip.ParseAddr(host); host == "" || notIP == nil && ip.IsUnspecified() {
			err = fmt.Errorf("%q names no host by which other nodes reach this one", addr)
		}
	}
	if err != nil {
		return "", fmt.Errorf("-gossip: %w", err)
	}
	return addr, nil
}

func parseNames(list string) (ids []transport.NodeID, err error) {
	for _, name := range strings.FieldsFunc(list, isComma) {
		if err := certs.CheckName(transport.NodeID(name)); err != nil {
			return nil, err
		}
		ids = append(ids, transport.NodeID(name))
	}
	return ids, nil
}

func isComma(r rune) bool { return r == ',' }

// runOne runs one node as a process of its own.
func runOne(ctx context.Context, out io.Writer, listen, web string, cfg config) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	api, err := net.Listen("tcp", web)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	if cfg.data != "" {
		cfg.data = filepath.Join(cfg.data, "node-"+string(cfg.id))
	}
	n, err := newNode(cfg, ln.Addr().String())
	if err != nil {
		return errors.Join(err, ln.Close(), api.Close())
	}
	if cfg.begins() && n.disk.savedRing == nil {
		fmt.Fprintf(out, "without -peers and -join, node %s begins a cluster of its own\n", cfg.id)
	}
	fmt.Fprintf(out, "node %s in zone %s: peers on %s, clients on http://%s\n", cfg.id, cfg.zone, ln.Addr(), api.Addr())
	return n.run(ctx, ln, api)
}

// runSix runs six nodes in this process, each with its own TCP listener and HTTP API, as they would
// run on six machines.
func runSix(ctx context.Context, out io.Writer, listen, web string, cfg config) error {
	all := []peer{{ID: "a1", Zone: "a"}, {ID: "a2", Zone: "a"}, {ID: "b1", Zone: "b"}, {ID: "b2", Zone: "b"}, {ID: "c1", Zone: "c"}, {ID: "c2", Zone: "c"}}
	lns, apis := make([]net.Listener, len(all)), make([]net.Listener, len(all))
	for i := range all {
		var err error
		if lns[i], err = service.ListenFrom(&listen); err != nil {
			return err
		}
		if apis[i], err = service.ListenFrom(&web); err != nil {
			return err
		}
		all[i].Addr = lns[i].Addr().String()
	}
	var nodes []func(context.Context) error
	for i, p := range all {
		one := cfg
		one.id, one.zone, one.peers = p.ID, p.Zone, append(append([]peer{}, all[:i]...), all[i+1:]...)
		if cfg.data != "" {
			one.data = filepath.Join(cfg.data, "node-"+string(p.ID))
		}
		n, err := newNode(one, p.Addr)
		if err != nil {
			return err
		}
		nodes = append(nodes, func(ctx context.Context) error { return n.run(ctx, lns[i], apis[i]) })
	}
	greet(out, all, apis)
	err := service.Together(ctx, nodes...)
	fmt.Fprintln(out, "\nstopped")
	return err
}

//go:embed README.md
var readme string

// tried are the lines of the README that speak to a cluster of six.
var tried = regexp.MustCompile(`(?m)^    .*\bcurl .*localhost.*$`)

// greet prints what to try: the lines of the README, with the ports as they are here.
func greet(out io.Writer, all []peer, apis []net.Listener) {
	fmt.Fprintln(out, "Six nodes in three zones; each cart is held by three of them:")
	var there []string
	for i, p := range all {
		fmt.Fprintf(out, "  %s  http://%s\n", p.ID, apis[i].Addr())
		there = append(there, fmt.Sprintf("localhost:%d", 8001+i), apis[i].Addr().String())
	}
	fmt.Fprintln(out, "\nTry, in another terminal:")
	for _, line := range tried.FindAllString(readme, -1) {
		fmt.Fprintln(out, strings.NewReplacer(there...).Replace(line[2:]))
	}
	fmt.Fprintln(out, "\nCtrl-C stops them.")
}
