package httptransport_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/httptransport"
	"github.com/eventual-go/eventual/transport/identity"
	"github.com/eventual-go/eventual/transport/internal/authority"
	"github.com/eventual-go/eventual/transport/transporttest"
)

// A way is one in which HTTP is spoken between nodes.
type way struct {
	protocols func(p *http.Protocols)
	tls       bool
	proxied   bool
}

func unencrypted1(p *http.Protocols) { p.SetHTTP1(true) }
func unencrypted2(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }
func encrypted2(p *http.Protocols)   { p.SetHTTP2(true) }

var ways = map[string]way{
	"HTTP1": {protocols: unencrypted1},
	"H2C":   {protocols: unencrypted2},
	"TLS":   {protocols: encrypted2, tls: true},
	"Proxy": {protocols: unencrypted1, proxied: true},
}

// A cluster has a server for each node, with the Handler under a path.
type cluster struct {
	t     *testing.T
	way   way
	ca    *authority.Authority // if there is TLS
	limit int

	mu    sync.Mutex
	urls  map[transport.NodeID]string
	nodes map[transport.NodeID]*node
}

// A proving cluster has nodes that show certificates.
type proving struct{ *cluster }

func (p proving) Pose(id, as transport.NodeID, h transport.Handler) transport.Caller {
	return p.start(id, as, h)
}

type node struct {
	*httptransport.Client
	server *http.Server
	pool   *http.Transport
	valve  transporttest.Valve
	done   chan struct{}
}

func newCluster(t *testing.T, w way) transporttest.Network {
	c := &cluster{t: t, way: w, urls: map[transport.NodeID]string{}, nodes: map[transport.NodeID]*node{}}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.Close()
		}
	})
	if w.tls {
		c.ca = authority.New(t)
		return proving{c}
	}
	return c
}

func (c *cluster) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	return c.start(id, id, h)
}

// start starts a node that has the certificate of id, and says that it is as.
func (c *cluster) start(id, as transport.NodeID, h transport.Handler) transport.Caller {
	own := &httptransport.Handler{Self: as, Cluster: "blue", Handler: h, MaxMessage: c.MaxMessage(), MaxCalls: c.limit}
	n := &node{pool: &http.Transport{Protocols: new(http.Protocols), MaxIdleConnsPerHost: 100}, done: make(chan struct{})}
	n.Client = &httptransport.Client{Self: as, Cluster: "blue", Resolve: c.resolve, MaxMessage: c.MaxMessage(), HTTP: &http.Client{Transport: n.pool}}
	n.pool.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return n.valve.Conn(conn), nil
	}
	mux := http.NewServeMux()
	mux.Handle("/nodes/", own)
	n.server = &http.Server{Handler: mux, Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	c.way.protocols(n.server.Protocols)
	c.way.protocols(n.pool.Protocols)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	at := "http://" + ln.Addr().String()
	serve := n.server.Serve
	if c.way.tls {
		at = "https://" + ln.Addr().String()
		p := shows(c.ca, "blue", id)
		own.Peer, n.Check = certified, is
		n.server.TLSConfig, n.pool.TLSClientConfig = identity.Server("blue", p.credentials), identity.Client("blue", p.credentials)
		serve = func(ln net.Listener) error { return n.server.ServeTLS(ln, "", "") }
	}
	go func() {
		defer close(n.done)
		_ = serve(ln)
	}()
	at += "/nodes/eventual"
	if c.way.proxied {
		at = proxy(c.t, at)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.nodes[as]; old != nil {
		c.t.Cleanup(func() { old.Close() })
	}
	c.urls[as], c.nodes[as] = at, n
	return n
}

// proxy mounts what is at a URL elsewhere, by a proxy.
func proxy(t *testing.T, to string) string {
	target, err := url.Parse(to)
	require.NoError(t, err)
	pool := &http.Transport{MaxIdleConnsPerHost: 100}
	s := httptest.NewServer(http.StripPrefix("/outside", &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: pool,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "<h1>down</h1>", http.StatusBadGateway)
		},
	}))
	t.Cleanup(func() {
		s.Close()
		pool.CloseIdleConnections()
	})
	return s.URL + "/outside"
}

func (c *cluster) resolve(_ context.Context, id transport.NodeID) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.urls[id]; ok {
		return at, nil
	}
	return "", fmt.Errorf("nobody is called %q", id)
}

func (c *cluster) Stop(id transport.NodeID) { c.nodes[id].Close() }

func (c *cluster) Leave(id transport.NodeID) {
	require.NoError(c.t, c.nodes[id].server.Shutdown(context.Background()))
	c.nodes[id].Close()
}

func (c *cluster) Limit(calls int) { c.limit = calls }

func (c *cluster) Stall(id transport.NodeID) { c.nodes[id].valve.Shut() }

func (c *cluster) MaxMessage() int { return 1 << 20 }

func (n *node) Close() error {
	n.server.Close()
	n.Client.Close()
	n.pool.CloseIdleConnections()
	<-n.done
	return nil
}

func TestConformance(t *testing.T) {
	for name, w := range ways {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && (w.tls || w.proxied) {
				t.Skip("the same messages, with more in between")
			}
			transporttest.Run(t, func(t *testing.T) transporttest.Network { return newCluster(t, w) })
		})
	}
}
