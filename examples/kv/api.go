package main

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// What may come from clients. A key's state travels whole when it is repaired, and
// what replicas wrote apart adds up when they meet: so a message holds many times
// what one replica lets a key grow to.
const (
	maxKey     = 512
	maxBody    = 1 << 20
	maxState   = 4 << 20
	maxMessage = 64 << 20
)

// api is the HTTP face of a node: JSON both ways. It routes by the escaped path,
// since a key may hold slashes and dots that a cleaned path would lose.
func (n *node) api() http.Handler {
	return answer(func(w http.ResponseWriter, r *http.Request) (any, error) {
		path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/v1/")
		if !ok {
			return nil, noEndpoint(r)
		}
		query, err := url.ParseQuery(r.URL.RawQuery)
		if err != nil {
			return nil, badRequest("query: %v", err)
		}
		if name, key, ok := strings.Cut(path, "/"); ok {
			if k, ok := kinds[name]; ok {
				return n.serveKey(w, r, k, key, query)
			}
		}
		switch r.Method + " " + path {
		case "GET keys":
			return n.keys(query.Get("prefix")), nil
		case "GET status":
			return n.status(), nil
		case "POST sync":
			return n.sync(r), nil
		case "POST faults":
			if n.config.faults {
				return n.serveFaults(w, r)
			}
		}
		return nil, noEndpoint(r)
	})
}

func noEndpoint(r *http.Request) error {
	return &clientError{http.StatusNotFound, "not_found", "no such endpoint: " + r.Method + " " + r.URL.Path}
}

// serveKey serves one kind under one key.
func (n *node) serveKey(w http.ResponseWriter, r *http.Request, k kind, escaped string, query url.Values) (any, error) {
	key, err := url.PathUnescape(escaped)
	if err != nil || key == "" || len(key) > maxKey || !utf8.ValidString(key) {
		return nil, badRequest("a key has 1 to %d bytes of UTF-8", maxKey)
	}
	ctx, cancel := n.patient(r)
	defer cancel()
	switch r.Method {
	case http.MethodGet:
		level, err := n.level(query, "r")
		if err != nil {
			return nil, err
		}
		return n.read(ctx, k, key, level)
	case k.method:
		level, err := n.level(query, "w")
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			return nil, err
		}
		return n.write(ctx, key, level, func(full bool) ([]byte, error) {
			return k.write(n, request{key: key, body: body, full: full})
		})
	case http.MethodDelete:
		level, err := n.level(query, "w")
		if err != nil {
			return nil, err
		}
		return n.write(ctx, key, level, func(bool) ([]byte, error) { return k.reset(n, key) })
	}
	return nil, noEndpoint(r)
}

// level is how many replicas a request asks for: ?level=, or a number by ?r= for
// reads and ?w= for writes.
func (n *node) level(query url.Values, count string) (quorum.Level, error) {
	if query.Has(count) {
		level, err := strconv.Atoi(query.Get(count))
		if err != nil || level < 1 || level > len(n.peers)+1 || query.Has("level") {
			return 0, badRequest("%s is a number of replicas, 1 to %d, in place of level", count, len(n.peers)+1)
		}
		return quorum.Level(level), nil
	}
	switch query.Get("level") {
	case "one":
		return quorum.One, nil
	case "", "majority":
		return quorum.Majority, nil
	case "all":
		return quorum.All, nil
	}
	return 0, badRequest("level is one, majority or all")
}

func (n *node) keys(prefix string) map[string][]string {
	keys := slices.Collect(n.store.Keys(prefix))
	if keys == nil {
		keys = []string{}
	}
	return map[string][]string{"keys": keys}
}

type status struct {
	ID      transport.NodeID `json:"id"`
	Replica string           `json:"replica"` // the writer that this process is
	Keys    int              `json:"keys"`
	Root    string           `json:"root"` // equal roots: equal contents
	Peers   []peerStatus     `json:"peers"`
}

type peerStatus struct {
	ID        transport.NodeID `json:"id"`
	Reachable bool             `json:"reachable"`
	LastSync  *time.Time       `json:"last_sync"` // null: not yet
	Refused   uint64           `json:"refused"`   // times that a key was left out of an exchange
}

func (n *node) status() status {
	s := status{ID: n.id, Replica: n.store.Replica().String(), Root: n.root(), Peers: []peerStatus{}}
	for range n.store.Keys("") {
		s.Keys++
	}
	known := map[transport.NodeID]antientropy.PeerStats{}
	for _, p := range n.loop.Stats().Peers {
		known[p.Peer] = p
	}
	for _, id := range n.peers {
		p := peerStatus{ID: id, Reachable: known[id].Reachable, Refused: known[id].KeysRefused}
		if t := known[id].LastSync; !t.IsZero() {
			p.LastSync = &t
		}
		s.Peers = append(s.Peers, p)
	}
	return s
}

// root is a fingerprint of everything held. The index's own root is hashed once
// more: sums would tell those who may write what single keys add to them.
func (n *node) root() string {
	index := n.store.Index()
	sum := index.Root().Bytes()
	return index.Hasher().Sum(sum[:]).String()
}

type synced struct {
	Peer     transport.NodeID `json:"peer"`
	Sent     int              `json:"sent"`     // keys
	Received int              `json:"received"` // keys
	Refused  int              `json:"refused"`  // keys left out, which still differ
	Error    string           `json:"error,omitempty"`
}

// sync runs one exchange with every peer, side by side, and waits for them.
func (n *node) sync(r *http.Request) map[string][]synced {
	ctx, cancel := n.patient(r)
	defer cancel()
	all := make([]synced, len(n.peers))
	var wg sync.WaitGroup
	for i, id := range n.peers {
		wg.Go(func() {
			e, err := n.loop.Exchange(ctx, id)
			all[i] = synced{Peer: id, Sent: e.KeysSent, Received: e.KeysReceived, Refused: e.KeysRefused}
			if err != nil {
				all[i].Error = err.Error()
			}
		})
	}
	wg.Wait()
	return map[string][]synced{"exchanges": all}
}

func (n *node) serveFaults(w http.ResponseWriter, r *http.Request) (any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	var plan faultPlan
	if err := decode(body, &plan); err != nil {
		return nil, err
	}
	if err := plan.check(n.peers); err != nil {
		return nil, badRequest("%s", fmt.Sprint(err))
	}
	plan.put(n.id, &n.faults)
	return plan, nil
}
