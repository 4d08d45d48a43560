package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// What may come from clients. A key's state travels whole when it is repaired, so
// it may not outgrow a message between replicas.
const (
	maxKey     = 512
	maxBody    = 1 << 20
	maxState   = 4 << 20
	maxMessage = maxState + maxBody + 1<<16
)

// api is the HTTP face of a node: JSON both ways.
func (n *node) api() http.Handler {
	mux := http.NewServeMux()
	for name, k := range kinds {
		path := " /v1/" + name + "/{key...}"
		mux.HandleFunc(k.method+path, answer(func(w http.ResponseWriter, r *http.Request) (any, error) {
			return n.serveWrite(w, r, k, k.write)
		}))
		mux.HandleFunc("GET"+path, answer(func(_ http.ResponseWriter, r *http.Request) (any, error) {
			return n.serveRead(r, k)
		}))
		mux.HandleFunc("DELETE"+path, answer(func(w http.ResponseWriter, r *http.Request) (any, error) {
			return n.serveDelete(w, r, k)
		}))
	}
	mux.HandleFunc("GET /v1/keys", answer(n.serveKeys))
	mux.HandleFunc("GET /v1/status", answer(n.serveStatus))
	mux.HandleFunc("POST /v1/sync", answer(n.serveSync))
	if n.config.faults {
		mux.HandleFunc("POST /v1/faults", answer(n.serveFaults))
	}
	mux.HandleFunc("/", answer(func(_ http.ResponseWriter, r *http.Request) (any, error) {
		return nil, &clientError{http.StatusNotFound, "not_found", "no such endpoint: " + r.Method + " " + r.URL.Path}
	}))
	return mux
}

// written is the answer to a write: how many replicas are known to have it.
type written struct {
	Acked int `json:"acked"`
}

type writeFunc func(n *node, key string, body []byte) (delta []byte, err error)

func (n *node) serveWrite(w http.ResponseWriter, r *http.Request, k kind, write writeFunc) (any, error) {
	key, level, err := n.target(r, "w")
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), n.config.timeout)
	defer cancel()
	if err := n.catchUp(ctx, key, level); err != nil {
		return nil, err
	}
	if state, err := n.store.Load(ctx, key); err != nil {
		return nil, err
	} else if len(state) > maxState && r.Method != http.MethodDelete {
		return nil, &clientError{http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("the key's state has %d bytes, more than %d", len(state), maxState)}
	}
	delta, err := write(n, key, body)
	if err != nil {
		return nil, err
	}
	return n.replicate(ctx, key, delta, level)
}

// catchUp brings here what a read at this level sees, since a removal takes away
// just what the replica that makes it has seen, and an overwrite likewise. At
// level one it asks nobody: the client wants an answer from this replica alone.
func (n *node) catchUp(ctx context.Context, key string, level quorum.Level) error {
	if level == quorum.One {
		return nil
	}
	result, err := n.quorum.Read(ctx, key, level)
	if err != nil {
		return err
	}
	_, err = n.store.Merge(ctx, key, result.State)
	return err
}

// replicate brings a delta that is applied here to as many others as level asks.
// When it fails the write is still here, and the loop goes on spreading it.
func (n *node) replicate(ctx context.Context, key string, delta []byte, level quorum.Level) (any, error) {
	if len(delta) == 0 { // nothing to add, nothing to remove
		return written{}, nil
	}
	result, err := n.quorum.Write(ctx, key, delta, level)
	if err != nil {
		return nil, err
	}
	return written{Acked: result.Answered}, nil
}

func (n *node) serveDelete(w http.ResponseWriter, r *http.Request, k kind) (any, error) {
	return n.serveWrite(w, r, k, func(n *node, key string, _ []byte) ([]byte, error) { return k.reset(n, key) })
}

func (n *node) serveRead(r *http.Request, k kind) (any, error) {
	key, level, err := n.target(r, "r")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), n.config.timeout)
	defer cancel()
	result, err := n.quorum.Read(ctx, key, level)
	if err != nil {
		return nil, err
	}
	value, err := n.kinds.Decode(result.State)
	if err != nil {
		return nil, err
	}
	body, found := k.show(n, value)
	if !found {
		return nil, errNotFound
	}
	return body, nil
}

// target is what a request is about: a key, and a level by ?level= or by its own
// count, ?r= for reads and ?w= for writes.
func (n *node) target(r *http.Request, count string) (string, quorum.Level, error) {
	key := r.PathValue("key")
	if key == "" || len(key) > maxKey {
		return "", 0, badRequest("a key has 1 to %d bytes", maxKey)
	}
	q := r.URL.Query()
	if q.Has(count) {
		level, err := strconv.Atoi(q.Get(count))
		if err != nil || level < 1 || level > len(n.peers)+1 {
			return "", 0, badRequest("%s is a number of replicas, 1 to %d", count, len(n.peers)+1)
		}
		return key, quorum.Level(level), nil
	}
	switch q.Get("level") {
	case "one":
		return key, quorum.One, nil
	case "", "majority":
		return key, quorum.Majority, nil
	case "all":
		return key, quorum.All, nil
	}
	return "", 0, badRequest("level is one, majority or all")
}

func (n *node) serveKeys(_ http.ResponseWriter, r *http.Request) (any, error) {
	keys := slices.Collect(n.store.Keys(r.URL.Query().Get("prefix")))
	if keys == nil {
		keys = []string{}
	}
	return map[string][]string{"keys": keys}, nil
}

type status struct {
	ID      transport.NodeID `json:"id"`
	Replica string           `json:"replica"` // the writer that this process is
	Keys    int              `json:"keys"`
	Root    string           `json:"root"` // equal roots: equal contents
	Peers   []peerStatus     `json:"peers"`
}

// root is a fingerprint of everything held. The index's own root is hashed once
// more: sums would tell those who may write what single keys add to them.
func (n *node) root() string {
	index := n.store.Index()
	sum := index.Root().Bytes()
	return index.Hasher().Sum(sum[:]).String()
}

type peerStatus struct {
	ID        transport.NodeID `json:"id"`
	Reachable bool             `json:"reachable"`
	LastSync  *time.Time       `json:"last_sync"` // null: not yet
}

func (n *node) serveStatus(http.ResponseWriter, *http.Request) (any, error) {
	s := status{ID: n.id, Replica: n.store.Replica().String(), Root: n.root()}
	for range n.store.Keys("") {
		s.Keys++
	}
	known := map[transport.NodeID]antientropy.PeerStats{}
	for _, p := range n.loop.Stats().Peers {
		known[p.Peer] = p
	}
	for _, id := range n.peers {
		p := peerStatus{ID: id, Reachable: known[id].Reachable}
		if t := known[id].LastSync; !t.IsZero() {
			p.LastSync = &t
		}
		s.Peers = append(s.Peers, p)
	}
	return s, nil
}

type synced struct {
	Peer     transport.NodeID `json:"peer"`
	Sent     int              `json:"sent"`     // keys
	Received int              `json:"received"` // keys
	Error    string           `json:"error,omitempty"`
}

// serveSync runs one exchange with every peer, side by side, and waits for them.
func (n *node) serveSync(_ http.ResponseWriter, r *http.Request) (any, error) {
	ctx, cancel := context.WithTimeout(r.Context(), n.config.timeout)
	defer cancel()
	all := make([]synced, len(n.peers))
	var wg sync.WaitGroup
	for i, id := range n.peers {
		wg.Go(func() {
			e, err := n.loop.Exchange(ctx, id)
			all[i] = synced{Peer: id, Sent: e.KeysSent, Received: e.KeysReceived}
			if err != nil {
				all[i].Error = err.Error()
			}
		})
	}
	wg.Wait()
	return map[string][]synced{"exchanges": all}, nil
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
		return nil, badRequest("%s", strings.TrimSpace(err.Error()))
	}
	n.faults.set(&plan)
	return plan, nil
}
