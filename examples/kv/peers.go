package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/eventual-go/eventual/examples/internal/certs"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
)

// clusterName is the one by which replicas know that they belong together, and that stands
// in their certificates.
const clusterName = "kv"

// newTCP returns the replica's end of the connections with its peers.
func (n *node) newTCP(peers map[transport.NodeID]string) (*tcp.Transport, error) {
	t := &tcp.Transport{Self: n.id, Cluster: clusterName, Peers: peers, MaxFrame: maxMessage, Events: tcp.Events{OnRefused: n.refused}}
	if file := n.config.book; file != "" {
		t.Resolve = func(_ context.Context, id transport.NodeID) (string, error) { return lookUp(file, id) }
	}
	if n.config.tls == "" {
		t.Plain = true
		return t, nil
	}
	files := certs.Files(n.config.tls, n.id)
	files.OnError = n.complain
	t.TLS = &tcp.TLS{Credentials: files.Credentials}
	_, err := files.Credentials() // what is missing is better said now
	return t, err
}

func (n *node) complain(err error) { fmt.Fprintf(os.Stderr, "kv %s: %v\n", n.id, err) }

// refused tells of a connection that came to nothing: one of the two is not who it should
// be.
func (n *node) refused(r tcp.Refusal) {
	if n.complain(r.Err); r.Missed > 0 {
		fmt.Fprintf(os.Stderr, "kv %s: and %d more like that\n", n.id, r.Missed)
	}
}

// readPeers takes -peers, which is a list or the name of a file with one, in lines or
// not. The file may be the same for all replicas, so self is left out of it.
func readPeers(arg string, self transport.NodeID) (peers map[transport.NodeID]string, file string, err error) {
	file, ok := strings.CutPrefix(arg, "@")
	if !ok {
		peers, err = parsePeers(arg)
		if _, own := peers[self]; own {
			err = fmt.Errorf("-peers names %s itself", self)
		}
		return peers, "", err
	}
	peers, err = readBook(file)
	delete(peers, self)
	return peers, file, err
}

func readBook(file string) (map[transport.NodeID]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	peers, err := parsePeers(strings.Join(strings.Fields(string(text)), ","))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return peers, nil
}

// lookUp finds where a replica is now. It is called when one is dialled, so a replica that
// has moved is found by those that could not reach it any more.
func lookUp(file string, id transport.NodeID) (string, error) {
	peers, err := readBook(file)
	if err != nil {
		return "", err
	}
	addr, ok := peers[id]
	if !ok {
		return "", fmt.Errorf("%s does not name %s", file, id)
	}
	return addr, nil
}

func parsePeers(list string) (map[transport.NodeID]string, error) {
	peers := map[transport.NodeID]string{}
	for item := range strings.SplitSeq(list, ",") {
		if item == "" {
			continue
		}
		id, addr, ok := strings.Cut(item, "=")
		if !ok || addr == "" {
			return nil, fmt.Errorf("-peers: %q is not name=host:port", item)
		}
		if err := certs.CheckName(transport.NodeID(id)); err != nil {
			return nil, fmt.Errorf("-peers: %w", err)
		}
		if _, twice := peers[transport.NodeID(id)]; twice {
			return nil, fmt.Errorf("-peers: %s stands there twice", id)
		}
		peers[transport.NodeID(id)] = addr
	}
	return peers, nil
}
