package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/handoff"
	quorumprom "github.com/eventual-go/eventual/quorum/prometheus"
	"github.com/eventual-go/eventual/quorum/revision"
	"github.com/eventual-go/eventual/transport"
	transportprom "github.com/eventual-go/eventual/transport/prometheus"
)

// api is the HTTP face of a node: JSON both ways, but for /metrics.
func (n *node) api() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("PUT /carts/{key}/{element}", answer(func(r *http.Request) (any, error) { return n.serveChange(r, false) }))
	mux.Handle("DELETE /carts/{key}/{element}", answer(func(r *http.Request) (any, error) { return n.serveChange(r, true) }))
	mux.Handle("GET /carts/{key}", answer(n.serveRead))
	mux.Handle("GET /where/{key}", answer(n.serveWhere))
	mux.Handle("GET /members", answer(n.serveSeen))
	mux.Handle("POST /members", answer(n.serveMembers))
	mux.Handle("GET /ring", answer(n.serveRing))
	mux.Handle("GET /stats", answer(n.serveStats))

	registry := prometheus.NewRegistry()
	registry.MustRegister(&quorumprom.Collector{
		Node: string(n.config.id), Quorum: n.coord.Stats, AntiEntropy: n.loop.Stats, Hints: n.hints.Stats,
	}, &transportprom.Collector{
		Node: string(n.config.id), Calls: n.links.metrics.Stats, Denied: n.links.access.Denied, TCP: n.links.tcp.Stats,
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

// patience is how long a request may take: it asks twice, perhaps once more by a new ring, and
// then has a moment to say how it went.
func (n *node) patience() time.Duration { return 3*n.config.timeout + time.Second }

var levels = func() map[string]quorum.Level {
	all := map[string]quorum.Level{"": quorum.Majority}
	for l := quorum.EachMajority; l <= quorum.Three; l++ {
		if l != quorum.Default {
			all[strings.ReplaceAll(l.String(), " ", "-")] = l
		}
	}
	return all
}()

// asked is what a request says of how many owners must answer.
func asked(r *http.Request) (level quorum.Level, sloppy bool, err error) {
	level, ok := levels[r.FormValue("level")]
	if !ok {
		return 0, false, badRequest("level is one, two, three, majority, all, any, local-one, local-majority or each-majority")
	}
	return level, r.FormValue("sloppy") != "", nil
}

// expected is what a request says of the revision of a cart: one entity tag, or none at all (RFC 9110, section 13.1). Only
// where neither header is there, not even an empty one, it expects nothing: a client that lost its tag meant a condition.
func expected(r *http.Request) (string, error) {
	is, not := r.Header.Values("If-Match"), r.Header.Values("If-None-Match")
	if len(is)+len(not) == 0 {
		return "", nil
	}
	if len(is)+len(not) == 1 {
		if len(not) == 1 && not[0] == "*" {
			return revision.Revision{}.String(), nil
		}
		if tag := strings.Join(is, ""); len(tag) > 2 && tag[0] == '"' && tag[len(tag)-1] == '"' {
			return tag[1 : len(tag)-1], nil
		}
	}
	return "", badRequest("what is known is one If-Match with one strong entity tag, or one If-None-Match: *")
}

// has reports whether the client of a read says that it has what has this tag (RFC 9110, section 13.1.2).
func has(r *http.Request, tag string) bool {
	for _, line := range r.Header.Values("If-None-Match") {
		for one := range strings.SplitSeq(line, ",") {
			if one = strings.TrimSpace(one); one == "*" || strings.TrimPrefix(one, "W/") == tag {
				return true
			}
		}
	}
	return false
}

func (n *node) serveChange(r *http.Request, remove bool) (any, error) {
	level, sloppy, err := asked(r)
	if err != nil {
		return nil, err
	}
	tag, err := expected(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), n.patience())
	defer cancel()
	return n.change(ctx, change{
		Key: r.PathValue("key"), Element: r.PathValue("element"), Remove: remove, Level: level, Sloppy: sloppy, Expected: tag,
	})
}

func (n *node) serveRead(r *http.Request) (any, error) {
	level, sloppy, err := asked(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), n.patience())
	defer cancel()
	opts := quorum.ReadOptions{Level: level}
	if sloppy {
		opts.Fallbacks = quorum.FallbacksCount
	}
	return n.read(ctx, r.PathValue("key"), opts)
}

// stats are what this node has done since it was started.
type stats struct {
	Keys        int               `json:"keys"`   // in this node's store
	Strays      int               `json:"strays"` // of them, those that it does not hold by the ring
	Quorum      quorum.Stats      `json:"quorum"`
	Hints       handoff.Stats     `json:"hints"`
	AntiEntropy antientropy.Stats `json:"antientropy"`
}

func (n *node) serveStats(*http.Request) (any, error) {
	s := stats{Quorum: n.coord.Stats(), Hints: n.hints.Stats(), AntiEntropy: n.loop.Stats()}
	for key := range n.store.Keys("") {
		s.Keys++
		if !n.ring.Holds(n.config.id, key) {
			s.Strays++
		}
	}
	return s, nil
}

// place is where a key is held.
type place struct {
	Owners    []transport.NodeID          `json:"owners"`
	Next      []transport.NodeID          `json:"next,omitempty"` // once the change under way is over
	Fallbacks []transport.NodeID          `json:"fallbacks"`      // who stands in for owners, the first three
	Zones     map[transport.NodeID]string `json:"zones"`
	Version   uint64                      `json:"version"`
}

func (n *node) serveWhere(r *http.Request) (any, error) {
	p := n.ring.Place(r.PathValue("key"))
	out := place{Owners: p.Owners, Next: p.Next, Version: p.Version, Zones: map[transport.NodeID]string{}}
	out.Fallbacks = p.Fallbacks[:min(3, len(p.Fallbacks))]
	for _, ids := range [][]transport.NodeID{out.Owners, out.Next, out.Fallbacks} {
		for _, id := range ids {
			out.Zones[id] = p.Zones[id]
		}
	}
	return out, nil
}
