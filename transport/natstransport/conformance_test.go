package natstransport_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/natstransport"
	"github.com/eventual-go/eventual/transport/transporttest"
)

const maxMessage = 1 << 20

// runServer runs a NATS server until the test ends.
func runServer(t testing.TB, o server.Options) *server.Server {
	o.Host, o.Port, o.NoLog, o.NoSigs = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(&o)
	require.NoError(t, err)
	s.Start()
	require.True(t, s.ReadyForConnections(time.Minute))
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

func connect(t testing.TB, s *server.Server, options ...nats.Option) *nats.Conn {
	conn, err := nats.Connect(s.ClientURL(), options...)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return conn
}

// begin has tr served. When it returns, NATS knows.
func begin(t testing.TB, tr *natstransport.Transport, h transport.Handler, done chan<- error) {
	before := tr.Conn.NumSubscriptions()
	go func() { done <- tr.Serve(context.Background(), h) }()
	require.Eventually(t, func() bool { return tr.Conn.NumSubscriptions() > before }, time.Minute, time.Millisecond)
	require.NoError(t, tr.Conn.Flush())
}

// serve serves tr until the test ends.
func serve(t testing.TB, tr *natstransport.Transport, h transport.Handler) {
	done := make(chan error, 1)
	begin(t, tr, h, done)
	t.Cleanup(func() {
		assert.NoError(t, tr.Close())
		assert.NoError(t, <-done)
	})
}

type cluster struct {
	t     *testing.T
	nats  *server.Server
	nodes map[transport.NodeID]*natstransport.Transport
}

func (c *cluster) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	tr := &natstransport.Transport{Conn: connect(c.t, c.nats), Self: id, Cluster: "test cluster", MaxMessage: maxMessage, Drain: time.Millisecond}
	serve(c.t, tr, h)
	c.nodes[id] = tr
	return tr
}

func (c *cluster) Stop(id transport.NodeID) { c.nodes[id].Close() }
func (c *cluster) MaxMessage() int          { return maxMessage }

// A patient network has nodes that leave politely.
type patient struct{ *cluster }

func (p patient) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	tr := p.cluster.Start(id, h).(*natstransport.Transport)
	tr.Drain = time.Minute
	return tr
}

func (p patient) Leave(id transport.NodeID) { p.Stop(id) }

func newCluster(t *testing.T) *cluster {
	return &cluster{t: t, nats: runServer(t, server.Options{MaxPayload: 2 * maxMessage}), nodes: map[transport.NodeID]*natstransport.Transport{}}
}

func TestConformance(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) transporttest.Network {
		c := newCluster(t)
		if t.Name() == "TestConformance/NodeLeaves" {
			return patient{c}
		}
		return c
	})
}
