package natstransport_test

import (
	"context"
	"net"
	"strings"
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
	t      *testing.T
	nats   *server.Server
	proved bool // a user of NATS for each node
	limit  int
	drain  time.Duration
	nodes  map[transport.NodeID]*node
}

type node struct {
	*natstransport.Transport
	valve transporttest.Valve
}

// Dial dials for nats.go.
func (n *node) Dial(network, addr string) (net.Conn, error) {
	conn, err := net.Dial(network, addr)
	if err != nil {
		return nil, err
	}
	return n.valve.Conn(conn), nil
}

func (c *cluster) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	return c.start(id, id, h)
}

// start starts a node that is the user id of NATS, and says that it is as.
func (c *cluster) start(id, as transport.NodeID, h transport.Handler) *node {
	n := new(node)
	options := []nats.Option{nats.SetCustomDialer(n), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})}
	if c.proved {
		options = append(options, nats.UserInfo(string(id), "x"), nats.CustomInboxPrefix("_INBOX_"+string(id)))
	}
	n.Transport = &natstransport.Transport{Conn: connect(c.t, c.nats, options...), Self: as, Cluster: "c", MaxMessage: maxMessage, MaxCalls: c.limit, Drain: c.drain}
	if id != as { // nobody says that it is not heard
		n.KeepAlive = soon
	}
	serve(c.t, n.Transport, h)
	c.nodes[id] = n
	return n
}

func (c *cluster) Stop(id transport.NodeID)  { c.nodes[id].Close() }
func (c *cluster) Limit(calls int)           { c.limit = calls }
func (c *cluster) Stall(id transport.NodeID) { c.nodes[id].valve.Shut() }
func (c *cluster) MaxMessage() int           { return maxMessage }

// A patient cluster has nodes that leave politely.
type patient struct{ *cluster }

func (p patient) Leave(id transport.NodeID) { p.Stop(id) }

// A proving cluster has nodes that are known by the permissions of NATS.
type proving struct{ *cluster }

func (p proving) Pose(id, as transport.NodeID, h transport.Handler) transport.Caller {
	return p.start(id, as, h)
}

func newCluster(t *testing.T, users ...*server.User) *cluster {
	return &cluster{t: t, nats: runServer(t, server.Options{MaxPayload: 2 * maxMessage, Users: users}), proved: len(users) > 0,
		drain: time.Millisecond, nodes: map[transport.NodeID]*node{}}
}

// user may be one node of cluster "c" and no other.
func user(name string) *server.User {
	return &server.User{Username: name, Password: "x", Permissions: &server.Permissions{
		Publish:   &server.SubjectPermission{Allow: []string{"eventual.c.*." + name}},
		Subscribe: &server.SubjectPermission{Allow: []string{"eventual.c." + name + ".*", "_INBOX_" + name + ".>"}},
		Response:  &server.ResponsePermission{MaxMsgs: 8},
	}}
}

func TestConformance(t *testing.T) {
	t.Run("Trusting", func(t *testing.T) {
		transporttest.Run(t, func(t *testing.T) transporttest.Network {
			c := newCluster(t)
			if strings.HasSuffix(t.Name(), "/NodeLeaves") {
				c.drain = time.Minute
				return patient{c}
			}
			return c
		})
	})
	t.Run("Proved", func(t *testing.T) {
		transporttest.Run(t, func(t *testing.T) transporttest.Network {
			return proving{newCluster(t, user("a"), user("b"), user("c"), user("m"))}
		})
	})
}
