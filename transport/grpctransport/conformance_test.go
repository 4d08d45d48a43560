package grpctransport_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/grpctransport"
	"github.com/eventual-go/eventual/transport/internal/authority"
	"github.com/eventual-go/eventual/transport/transporttest"
)

const maxMessage = 1 << 20

type cluster struct {
	t     *testing.T
	ca    *authority.Authority // nil: plain
	limit int
	mu    sync.Mutex
	addrs map[transport.NodeID]string
	nodes map[transport.NodeID]*node
}

// A proving cluster has nodes that show certificates.
type proving struct{ *cluster }

func (p proving) Pose(id, as transport.NodeID, h transport.Handler) transport.Caller {
	return p.start(id, as, h)
}

type node struct {
	*grpctransport.Client
	papers  *papers // nil: plain
	valve   transporttest.Valve
	cluster *cluster
	server  *grpc.Server
	done    chan struct{}
	mu      sync.Mutex
	conns   map[string]*grpc.ClientConn // by address
}

func (c *cluster) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	return c.start(id, id, h)
}

// start starts a node that has the certificate of id, and says that it is as.
func (c *cluster) start(id, as transport.NodeID, h transport.Handler) transport.Caller {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	n := &node{cluster: c, done: make(chan struct{}), conns: map[string]*grpc.ClientConn{}}
	s := &grpctransport.Server{Self: as, Cluster: "blue", Handler: h, MaxMessage: maxMessage, MaxCalls: c.limit}
	if c.ca == nil {
		n.server = grpc.NewServer()
	} else {
		n.papers = shows(c.ca, "blue", id)
		n.server, s.Peer = grpc.NewServer(n.papers.server()), certified
	}
	s.Register(n.server)
	n.Client = &grpctransport.Client{Self: as, Cluster: "blue", Resolve: n.conn, MaxMessage: maxMessage}
	go func() {
		defer close(n.done)
		_ = n.server.Serve(ln)
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.nodes[as]; old != nil {
		c.t.Cleanup(func() { old.Close() })
	}
	c.addrs[as], c.nodes[as] = ln.Addr().String(), n
	return n
}

// conn returns a connection to where a node was last.
func (n *node) conn(_ context.Context, id transport.NodeID) (grpc.ClientConnInterface, error) {
	n.cluster.mu.Lock()
	addr, ok := n.cluster.addrs[id]
	n.cluster.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("nobody is called %q", id)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if conn := n.conns[addr]; conn != nil {
		return conn, nil
	}
	options := []grpc.DialOption{grpc.WithContextDialer(n.dial)}
	if n.papers != nil {
		options = append(options, grpc.WithTransportCredentials(credentials.NewTLS(n.papers.client(id))))
	}
	conn, err := dial(addr, options...)
	if err == nil {
		n.conns[addr] = conn
	}
	return conn, err
}

func (n *node) dial(ctx context.Context, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return n.valve.Conn(conn), nil
}

func dial(addr string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	fast := backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1, MaxDelay: 10 * time.Millisecond}
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(grpc.ConnectParams{Backoff: fast, MinConnectTimeout: 10 * time.Second})}
	return grpc.NewClient("passthrough:///"+addr, append(options, more...)...)
}

func (c *cluster) Stop(id transport.NodeID) { c.nodes[id].Close() }
func (c *cluster) MaxMessage() int          { return maxMessage }

func (c *cluster) Limit(calls int) { c.limit = calls }

func (c *cluster) Stall(id transport.NodeID) { c.nodes[id].valve.Shut() }

func (c *cluster) Leave(id transport.NodeID) {
	c.nodes[id].server.GracefulStop()
	c.nodes[id].Close()
}

func (n *node) Close() error {
	n.server.Stop()
	n.Client.Close()
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, conn := range n.conns {
		conn.Close()
	}
	<-n.done
	return nil
}

func newCluster(t *testing.T, ca *authority.Authority) transporttest.Network {
	c := &cluster{t: t, ca: ca, addrs: map[transport.NodeID]string{}, nodes: map[transport.NodeID]*node{}}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.Close()
		}
	})
	if ca != nil {
		return proving{c}
	}
	return c
}

func TestConformance(t *testing.T) {
	for name, ca := range map[string]*authority.Authority{"Plain": nil, "TLS": authority.New(t)} {
		t.Run(name, func(t *testing.T) {
			transporttest.Run(t, func(t *testing.T) transporttest.Network { return newCluster(t, ca) })
		})
	}
}
