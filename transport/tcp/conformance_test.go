package tcp_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
	"github.com/eventual-go/eventual/transport/transporttest"
)

// A cluster gives each node an address of its own, which it keeps.
type cluster struct {
	t     *testing.T
	addrs map[transport.NodeID]string
	nodes map[transport.NodeID]*tcp.Transport
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, addrs: make(map[transport.NodeID]string), nodes: make(map[transport.NodeID]*tcp.Transport)}
	for _, id := range []transport.NodeID{"a", "b", "c"} {
		ln := listen(t, "127.0.0.1:0")
		c.addrs[id] = ln.Addr().String()
		ln.Close()
	}
	return c
}

func (c *cluster) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	tr := &tcp.Transport{Self: id, Cluster: "test", Peers: c.addrs, MaxFrame: 1 << 20, Drain: time.Millisecond}
	serve(c.t, tr, listen(c.t, c.addrs[id]), h)
	c.nodes[id] = tr
	return tr
}

func (c *cluster) Stop(id transport.NodeID) { c.nodes[id].Close() }
func (c *cluster) MaxMessage() int          { return 1 << 20 }

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
	transporttest.Run(t, func(t *testing.T) transporttest.Network { return newCluster(t) })
}
