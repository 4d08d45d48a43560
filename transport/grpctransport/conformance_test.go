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
	"google.golang.org/grpc/credentials/insecure"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/grpctransport"
	"github.com/eventual-go/eventual/transport/transporttest"
)

const maxMessage = 1 << 20

type cluster struct {
	t     *testing.T
	mu    sync.Mutex
	addrs map[transport.NodeID]string
	nodes map[transport.NodeID]*node
}

type node struct {
	*grpctransport.Client
	cluster *cluster
	server  *grpc.Server
	done    chan struct{}
	mu      sync.Mutex
	conns   map[string]*grpc.ClientConn // by address
}

func (c *cluster) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(c.t, err)
	n := &node{cluster: c, server: grpc.NewServer(), done: make(chan struct{}), conns: map[string]*grpc.ClientConn{}}
	(&grpctransport.Server{Self: id, Cluster: "test cluster", Handler: h, MaxMessage: maxMessage}).Register(n.server)
	n.Client = &grpctransport.Client{Self: id, Cluster: "test cluster", Resolve: n.conn, MaxMessage: maxMessage}
	go func() {
		defer close(n.done)
		_ = n.server.Serve(ln)
	}()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addrs[id], c.nodes[id] = ln.Addr().String(), n
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
	conn, err := dial(addr)
	if err == nil {
		n.conns[addr] = conn
	}
	return conn, err
}

func dial(addr string, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	fast := backoff.Config{BaseDelay: 10 * time.Millisecond, Multiplier: 1, MaxDelay: 10 * time.Millisecond}
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithConnectParams(grpc.ConnectParams{Backoff: fast, MinConnectTimeout: 10 * time.Second})}
	return grpc.NewClient("passthrough:///"+addr, append(options, more...)...)
}

func (c *cluster) Stop(id transport.NodeID) { c.nodes[id].Close() }
func (c *cluster) MaxMessage() int          { return maxMessage }

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

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, addrs: map[transport.NodeID]string{}, nodes: map[transport.NodeID]*node{}}
	t.Cleanup(func() {
		for _, n := range c.nodes {
			n.Close()
		}
	})
	return c
}

func TestConformance(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) transporttest.Network { return newCluster(t) })
}
