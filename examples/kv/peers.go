package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/eventual-go/eventual/examples/internal/certs"
	"github.com/eventual-go/eventual/examples/internal/service"
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
		t.Resolve = (&book{file: file, tell: n.complain}).resolve
	}
	if n.config.tls == "" {
		t.Plain = true
		return t, nil
	}
	files, err := certs.Open(n.config.tls, n.id, n.complain)
	if err != nil {
		return nil, err
	}
	t.TLS = &tcp.TLS{Credentials: files.Credentials}
	return t, nil
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
			err = fmt.Errorf("it names %s itself", self)
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

// A book is the file of -peers while the replica runs. What is wrong with it is told once, until it is something else.
type book struct {
	file string
	tell func(error)

	mu    sync.Mutex
	wrong map[transport.NodeID]string // when each was last looked up, if anything was
}

// resolve is called when a replica is dialled, so one that has moved is found by those that
// could not reach it any more.
func (b *book) resolve(_ context.Context, id transport.NodeID) (string, error) {
	addr, err := lookUp(b.file, id)
	if b.isNews(id, err) {
		b.tell(fmt.Errorf("-peers: %w", err))
	}
	return addr, err
}

// isNews reports whether something is wrong that was not when other replicas were looked up, or this one.
func (b *book) isNews(id transport.NodeID, err error) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		delete(b.wrong, id)
		return false
	}
	known := slices.Contains(slices.Collect(maps.Values(b.wrong)), err.Error())
	if b.wrong == nil {
		b.wrong = make(map[transport.NodeID]string)
	}
	b.wrong[id] = err.Error()
	return !known
}

// lookUp finds where a replica is now.
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
		if !ok || service.CheckAddr(addr) != nil {
			return nil, fmt.Errorf("%q is not name=host:port", item)
		}
		if err := certs.CheckName(transport.NodeID(id)); err != nil {
			return nil, err
		}
		if _, twice := peers[transport.NodeID(id)]; twice {
			return nil, fmt.Errorf("%s stands there twice", id)
		}
		peers[transport.NodeID(id)] = addr
	}
	return peers, nil
}
