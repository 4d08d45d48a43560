// Zones is a service of shopping carts on some nodes in several zones. Each cart is held by three
// of them, in three zones; a zone may be away, nodes come and go, and nothing that was acknowledged is
// lost.
//
//	go run ./examples/zones     six nodes in three zones in one process, to try it; with -data DIR, on disk
//	zones -id a1 -zone a -listen 127.0.0.1:7001 -http 127.0.0.1:8001 -data DIR -peers b1/b=127.0.0.1:7002,...
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

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
	flags := flag.NewFlagSet("zones", flag.ContinueOnError)
	id := flags.String("id", "", "this node's `name`; without it, six nodes run in this process")
	zone := flags.String("zone", "", "the zone that this node is in")
	listen := flags.String("listen", "127.0.0.1:0", "where other nodes connect; with six nodes, where the first of them tries")
	web := flags.String("http", "127.0.0.1:8001", "where clients connect; likewise")
	list := flags.String("peers", "", "the other nodes, as `name/zone=host:port,...`")
	joins := flags.Bool("join", false, "the cluster of -peers is there already: wait until POST /members tells of this node")
	data := flags.String("data", "", "the `folder` in which each node has one of its own; without it, in memory")
	timeout := flags.Duration("timeout", 2*time.Second, "of one round of asking owners; a write may take two")
	if err := flags.Parse(args); err != nil {
		return err
	}
	cfg := config{id: transport.NodeID(*id), zone: *zone, joins: *joins, data: *data, timeout: *timeout}
	switch {
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *timeout <= 0:
		return errors.New("-timeout must be positive")
	case *id == "" && (*list != "" || *zone != "" || *joins):
		return errors.New("-peers, -zone and -join need -id")
	case *id == "":
		return runSix(ctx, out, *listen, *web, cfg)
	}
	var err error
	if cfg.peers, err = parsePeers(*list); err != nil {
		return err
	}
	return runOne(ctx, out, *listen, *web, cfg)
}

var peerForm = regexp.MustCompile(`^([^/=,]+)/([^/=,]+)=(.+)$`)

func parsePeers(list string) (peers []peer, err error) {
	for item := range strings.SplitSeq(list, ",") {
		if item == "" {
			continue
		}
		m := peerForm.FindStringSubmatch(item)
		if m == nil {
			return nil, fmt.Errorf("-peers: %q is not name/zone=host:port", item)
		}
		peers = append(peers, peer{transport.NodeID(m[1]), m[2], m[3]})
	}
	return peers, nil
}

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
		if lns[i], err = listenFrom(&listen); err != nil {
			return err
		}
		if apis[i], err = listenFrom(&web); err != nil {
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
	err := together(ctx, nodes...)
	fmt.Fprintln(out, "\nstopped")
	return err
}

// listenFrom listens on the first free port from addr upward, and moves addr behind it.
func listenFrom(addr *string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(*addr)
	if err != nil {
		return nil, err
	}
	first, err := net.LookupPort("tcp", port)
	if err != nil {
		return nil, err
	}
	for p := first; p < first+100 && p <= 65535; p++ {
		ln, err := net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(p)))
		if err == nil {
			if p > 0 {
				*addr = net.JoinHostPort(host, fmt.Sprint(p+1))
			}
			return ln, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("no free port from %s upward", *addr)
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
