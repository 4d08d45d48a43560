package tcp_test

import (
	"context"
	"errors"
	"io"
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
	relay *relay         // nil: connections are direct

	mu    sync.Mutex
	addrs map[transport.NodeID]string
}

func newCluster(t *testing.T, ca *tcp.Authority) *cluster {
	return &cluster{t: t, ca: ca, addrs: make(map[transport.NodeID]string), nodes: make(map[transport.NodeID]*tcp.Transport)}
}

// resolveFor returns how a node finds the others.
func (c *cluster) resolveFor(from transport.NodeID) func(context.Context, transport.NodeID) (string, error) {
	return func(_ context.Context, id transport.NodeID) (string, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch addr := c.addrs[id]; {
		case addr == "":
			return "", errors.New("never heard of it")
		case c.relay != nil:
			return c.relay.between(from, addr), nil
		default:
			return addr, nil
		}
	}
}

func (c *cluster) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	return c.start(id, id, h)
}

// start starts a node that says that it is as, and proves to be id if there is TLS.
func (c *cluster) start(id, as transport.NodeID, h transport.Handler) transport.Caller {
	tr := &tcp.Transport{Self: as, Cluster: "test", Resolve: c.resolveFor(as), MaxFrame: 1 << 20, MaxCalls: c.calls, Drain: time.Millisecond, MaxBackoff: time.Millisecond}
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
	t.Run("Relayed", func(t *testing.T) {
		transporttest.Run(t, func(t *testing.T) transporttest.Network {
			c := newCluster(t, nil)
			c.relay = newRelay(t)
			return relayed{c}
		})
	})
	t.Run("TLS", func(t *testing.T) {
		ca := tcp.NewAuthority(t)
		transporttest.Run(t, func(t *testing.T) transporttest.Network { return provable{newCluster(t, ca)} })
	})
}

// A relayed is a cluster with something between its nodes.
type relayed struct{ *cluster }

func (r relayed) Stall(id transport.NodeID) { r.relay.stall(id) }

// A relay carries connections, of which it stops to carry what is on its way to a node.
type relay struct {
	t     *testing.T
	group sync.WaitGroup

	mu     sync.Mutex
	open   []io.Closer
	closed bool
	stalls map[transport.NodeID]chan struct{}
}

func newRelay(t *testing.T) *relay {
	r := &relay{t: t, stalls: make(map[transport.NodeID]chan struct{})}
	t.Cleanup(func() {
		r.mu.Lock()
		r.closed = true
		for _, c := range r.open {
			c.Close()
		}
		r.mu.Unlock()
		r.group.Wait()
	})
	return r
}

// keep has c be closed with the relay.
func (r *relay) keep(c io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open = append(r.open, c); r.closed {
		c.Close()
	}
}

func (r *relay) stalled(id transport.NodeID) chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stalls[id] == nil {
		r.stalls[id] = make(chan struct{})
	}
	return r.stalls[id]
}

func (r *relay) stall(id transport.NodeID) { close(r.stalled(id)) }

// between returns an address at which a node has one connection to another one.
func (r *relay) between(from transport.NodeID, addr string) string {
	ln := listen(r.t, "127.0.0.1:0")
	r.keep(ln)
	stalled := r.stalled(from)
	r.group.Go(func() {
		near, err := ln.Accept()
		if err != nil {
			return
		}
		defer near.Close()
		ln.Close()
		r.keep(near)
		far, err := net.Dial("tcp", addr)
		if err != nil {
			return
		}
		defer far.Close()
		r.keep(far)
		over := make(chan struct{})
		defer close(over)
		r.group.Go(func() {
			defer near.Close()
			io.Copy(near, valved{far, stalled, over})
		})
		io.Copy(far, near)
	})
	return ln.Addr().String()
}

// A valved is not read any more once it has stalled, until the connection is over.
type valved struct {
	net.Conn
	stalled, over <-chan struct{}
}

func (v valved) Read(b []byte) (int, error) {
	select {
	case <-v.stalled:
		<-v.over
		return 0, io.EOF
	default:
		return v.Conn.Read(b)
	}
}
