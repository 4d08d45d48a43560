package tcp_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
	"github.com/eventual-go/eventual/transport/transporttest"
)

// A cluster gives each node an address of its own, and another one each time that it
// starts.
type cluster struct {
	t     *testing.T
	nodes map[transport.NodeID]*tcp.Transport
	ca    *tcp.Authority // nil: plain
	calls int            // MaxCalls

	mu    sync.Mutex
	addrs map[transport.NodeID]string
}

func newCluster(t *testing.T, ca *tcp.Authority) *cluster {
	return &cluster{t: t, ca: ca, addrs: make(map[transport.NodeID]string), nodes: make(map[transport.NodeID]*tcp.Transport)}
}

func (c *cluster) resolve(_ context.Context, id transport.NodeID) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if addr := c.addrs[id]; addr != "" {
		return addr, nil
	}
	return "", errors.New("never heard of it")
}

func (c *cluster) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	return c.start(id, id, h)
}

// start starts a node that says that it is as, and proves to be id if there is TLS.
func (c *cluster) start(id, as transport.NodeID, h transport.Handler) transport.Caller {
	tr := &tcp.Transport{Self: as, Cluster: "test", Resolve: c.resolve, MaxFrame: 1 << 20, MaxCalls: c.calls, Drain: time.Millisecond, MaxBackoff: time.Millisecond}
	if tr.Plain = c.ca == nil; !tr.Plain {
		tr.TLS = c.ca.TLS("test", id)
	}
	id = as
	ln := listen(c.t, "127.0.0.1:0")
	c.mu.Lock()
	c.addrs[id] = ln.Addr().String()
	c.mu.Unlock()
	serve(c.t, tr, ln, h)
	c.nodes[id] = tr
	return tr
}

func (c *cluster) Stop(id transport.NodeID) { c.nodes[id].Close() }
func (c *cluster) MaxMessage() int          { return 1 << 20 }

func (c *cluster) Limit(calls int) { c.calls = calls }

// Leave gives calls more time than Stop does. Nothing reads Drain before Close.
func (c *cluster) Leave(id transport.NodeID) {
	c.nodes[id].Drain = time.Minute
	c.nodes[id].Close()
}

// A provable is a cluster whose nodes prove who they are.
type provable struct{ *cluster }

func (p provable) Pose(id, as transport.NodeID, h transport.Handler) transport.Caller {
	return p.start(id, as, h)
}

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	return ln
}

// serve runs a transport until the test ends.
func serve(t testing.TB, tr *tcp.Transport, ln net.Listener, h transport.Handler) {
	done := make(chan error, 1)
	go func() { done <- tr.Serve(context.Background(), ln, h) }()
	t.Cleanup(func() {
		assert.NoError(t, tr.Close())
		if err := <-done; err != nil {
			assert.ErrorIs(t, err, transport.ErrClosed) // closed before Serve had begun
		}
	})
}

func TestConformance(t *testing.T) {
	t.Run("Plain", func(t *testing.T) {
		transporttest.Run(t, func(t *testing.T) transporttest.Network { return newCluster(t, nil) })
	})
	t.Run("TLS", func(t *testing.T) {
		ca := tcp.NewAuthority(t)
		transporttest.Run(t, func(t *testing.T) transporttest.Network { return provable{newCluster(t, ca)} })
	})
}
