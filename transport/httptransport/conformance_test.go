package httptransport_test

import (
	"context"
	"crypto/tls"
	"fmt"
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
	t   *testing.T
	way way

	mu    sync.Mutex
	urls  map[transport.NodeID]string
	nodes map[transport.NodeID]*node
}

type node struct {
	*httptransport.Client
	server *http.Server
	pool   *http.Transport
	done   chan struct{}
}

func newCluster(t *testing.T, w way) *cluster {
	c := &cluster{t: t, way: w, urls: map[transport.NodeID]string{}, nodes: map[transport.NodeID]*node{}}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.Close()
		}
	})
	return c
}

func (c *cluster) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	n := c.serve(&httptransport.Handler{Self: id, Cluster: "test cluster", Handler: h, MaxMessage: c.MaxMessage()})
	n.Client = &httptransport.Client{Self: id, Cluster: "test cluster", Resolve: c.resolve, MaxMessage: c.MaxMessage(), HTTP: &http.Client{Transport: n.pool}}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[id] = n
	return n
}

// serve mounts a handler, and says where.
func (c *cluster) serve(h *httptransport.Handler) *node {
	mux := http.NewServeMux()
	mux.Handle("/nodes/", h)
	n := &node{server: &http.Server{Handler: mux, Protocols: new(http.Protocols)}, done: make(chan struct{})}
	n.pool = &http.Transport{Protocols: new(http.Protocols), MaxIdleConnsPerHost: 100}
	c.way.protocols(n.server.Protocols)
	c.way.protocols(n.pool.Protocols)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	at := "http://" + ln.Addr().String()
	serve := n.server.Serve
	if c.way.tls {
		at = "https://" + ln.Addr().String()
		n.server.TLSConfig = serverTLS()
		n.pool.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
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
	c.urls[h.Self] = at
	return n
}

// serverTLS has the certificate that net/http/httptest makes.
func serverTLS() *tls.Config {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	return &tls.Config{Certificates: s.TLS.Certificates}
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
