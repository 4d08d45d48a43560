// Kv is a replicated key-value service: counters, sets, registers and values
// with siblings, over HTTP, on as many machines as you like. Every replica takes
// writes, also while it is cut off, and all agree once they meet again.
//
//	go run ./examples/kv      three replicas in one process, to try it; with -data DIR, on disk
//	kv certs certs a b c      certificates for three
//	kv -id a -tls certs -listen 10.0.0.1:7001 -http 127.0.0.1:8001 -peers b=10.0.0.2:7001,c=10.0.0.3:7001
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
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
		fmt.Fprintln(os.Stderr, "kv:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	if len(args) > 0 && args[0] == "certs" {
		_, err := certs.Run(out, clusterName, args[1:])
		return err
	}
	flags := flag.NewFlagSet("kv", flag.ContinueOnError)
	id := flags.String("id", "", "this replica's name; without it, three replicas run in this process")
	listen := flags.String("listen", "127.0.0.1:0", "where peers connect")
	web := flags.String("http", "127.0.0.1:8080", "where clients connect, or unix:`PATH`; with three replicas, where the first of them tries")
	list := flags.String("peers", "", "the other replicas, as `name=host:port,...`, or @FILE, where addresses may change")
	tls := flags.String("tls", "", "the `folder` with ca.crt, NAME.crt and NAME.key, made by \"kv certs\": peers prove who they are")
	plain := flags.Bool("plain", false, "in place of -tls: whoever connects is believed, on a network that is trusted")
	secret := flags.String("secret", "", "the cluster's `key` for fingerprints; the same everywhere")
	timeout := flags.Duration("timeout", 2*time.Second, "of one round of asking replicas; a write may take two")
	data := flags.String("data", "", "the folder in which each replica keeps what it has, under its name; without it, in memory")
	faults := flags.Bool("faults", false, "serve POST /v1/faults")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if *timeout <= 0 {
		return errors.New("-timeout must be positive")
	}
	cfg := config{secret: []byte(*secret), timeout: *timeout, faults: *faults, data: *data, tls: *tls}
	if *plain && *tls != "" {
		return errors.New("either -tls or -plain")
	}
	if *id == "" {
		if *list != "" {
			return errors.New("-peers needs -id")
		}
		return runThree(ctx, out, *web, cfg)
	}
	if !*plain && *tls == "" {
		return errors.New("-id needs -tls, or -plain on a network that is trusted")
	}
	if err := certs.CheckName(transport.NodeID(*id)); err != nil {
		return fmt.Errorf("-id: %w", err)
	}
	peers, book, err := readPeers(*list, transport.NodeID(*id))
	if err != nil {
		return fmt.Errorf("-peers: %w", err)
	}
	cfg.book = book
	return runOne(ctx, out, transport.NodeID(*id), *listen, *web, peers, cfg)
}

// runOne runs one replica as a process of its own.
func runOne(ctx context.Context, out io.Writer, id transport.NodeID, listen, web string, peers map[transport.NodeID]string, cfg config) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	api, err := listenWeb(web)
	if err != nil {
		_ = ln.Close()
		return err
	}
	n, err := newNode(id, peers, cfg)
	if err != nil {
		return errors.Join(err, ln.Close(), api.Close())
	}
	fmt.Fprintf(out, "replica %s: peers on %s, clients by HTTP on %s\n", id, ln.Addr(), api.Addr())
	return n.run(ctx, ln, api)
}

// listenWeb listens for clients. A socket that a killed replica has left is in nobody's way.
func listenWeb(addr string) (net.Listener, error) {
	path, ok := strings.CutPrefix(addr, "unix:")
	if !ok {
		return net.Listen("tcp", addr)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		_ = conn.Close() // somebody listens, which Listen says
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(path)
	}
	return net.Listen("unix", path)
}

// runThree runs three replicas in this process, each with its own TCP listener
// and HTTP API, as they would run on three machines.
func runThree(ctx context.Context, out io.Writer, web string, cfg config) error {
	ids := []transport.NodeID{"a", "b", "c"}
	lns, addrs := make([]net.Listener, len(ids)), map[transport.NodeID]string{}
	apis, urls := make([]net.Listener, len(ids)), make([]string, len(ids))
	for i, id := range ids {
		var err error
		if lns[i], err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			return err
		}
		addrs[id] = lns[i].Addr().String()
		if apis[i], err = service.ListenFrom(&web); err != nil {
			return err
		}
		urls[i] = "http://" + apis[i].Addr().String()
	}
	greet(out, ids, urls, cfg.faults)

	var parts []func(context.Context) error
	for i, id := range ids {
		peers := map[transport.NodeID]string{}
		for other, addr := range addrs {
			if other != id {
				peers[other] = addr
			}
		}
		n, err := newNode(id, peers, cfg)
		if err != nil {
			return err
		}
		parts = append(parts, func(ctx context.Context) error { return n.run(ctx, lns[i], apis[i]) })
	}
	err := service.Together(ctx, parts...)
	fmt.Fprintln(out, "\nstopped")
	return err
}

// greet prints what to try. Every line works as it stands.
func greet(out io.Writer, ids []transport.NodeID, urls []string, faults bool) {
	fmt.Fprintln(out, "Three replicas of one key-value service:")
	for i, id := range ids {
		fmt.Fprintf(out, "  %s  %s\n", id, urls[i])
	}
	a, b, c := urls[0], urls[1], urls[2]
	fmt.Fprintf(out, `
Try, in another terminal:

  curl -X POST %[1]s/v1/counters/likes -d '{"add": 3}'
  curl -X POST %[2]s/v1/counters/likes -d '{"add": -1}'
  curl %[3]s/v1/counters/likes

  curl -X POST '%[1]s/v1/sets/cart?level=one' -d '{"add": ["milk", "bread"]}'
  curl -X POST %[2]s/v1/sets/cart -d '{"add": ["jam"], "remove": ["milk"]}'
  curl %[3]s/v1/sets/cart

  curl -X PUT %[1]s/v1/registers/theme -d '{"value": {"dark": true}}'
  curl '%[2]s/v1/registers/theme?level=all'

  curl -X PUT %[1]s/v1/values/title -d '{"value": "Draft"}'
  curl -X PUT %[2]s/v1/values/title -d '{"value": "Sketch"}'
  curl %[3]s/v1/values/title

  curl '%[1]s/v1/keys?prefix='
  curl %[1]s/v1/status
  curl -X POST %[1]s/v1/sync
  curl -X DELETE %[1]s/v1/counters/likes
`, a, b, c)
	if faults {
		fmt.Fprintf(out, `
Cut a off, write on both sides, heal:

  curl -X POST %[1]s/v1/faults -d '{"cut": ["b", "c"]}'
  curl -X POST '%[1]s/v1/counters/likes?level=one' -d '{"add": 10}'
  curl -X POST %[2]s/v1/counters/likes -d '{"add": 100}'
  curl -X POST %[1]s/v1/faults -d '{}'
  curl '%[3]s/v1/counters/likes?level=all'
`, a, b, c)
	}
	fmt.Fprintln(out, "\nCtrl-C stops them.")
}
