package transporttest

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// A Staller is a Network with nodes that can stop to read; then it is tested that they
// harm nobody else. See [Valve].
type Staller interface {
	// Stall has a node read nothing of what others send it from now on, over
	// connections that stay open. It still sends.
	Stall(id transport.NodeID)
}

// A node that reads nothing of the answers that it asks for leaves others undisturbed.
func testSlowReaderBlocksNobody(t *testing.T, n Network) {
	staller, ok := n.(Staller)
	if !ok {
		t.Skip("nodes of the Network cannot stop to read")
	}
	if limiter, ok := n.(Limiter); ok {
		limiter.Limit(8)
	}
	answer := pattern(n.MaxMessage())
	var asked atomic.Int32
	n.Start("b", transport.HandlerFunc(func(_ context.Context, from transport.NodeID, _ string, _ []byte) ([]byte, error) {
		if from == "a" {
			asked.Add(1)
		}
		return answer, nil
	}))
	a, c := n.Start("a", nil), n.Start("c", nil)
	call(t, a, "b", "large", nil)
	staller.Stall("a")
	ctx, cancel := context.WithCancel(bounded(t))
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	for range 64 {
		group.Go(func() { _, _ = a.Call(ctx, "b", "large", nil) })
	}
	until(t, func() bool { return asked.Load() >= 3 })
	for range 20 {
		require.Equal(t, answer, call(t, c, "b", "large", nil))
	}
}

// A Valve has connections stop to be read, for a [Staller]. The zero value is open. It
// is safe for concurrent use.
type Valve struct {
	made, turned sync.Once
	shut         chan struct{}
}

// Conn returns c as it is read through the valve.
func (v *Valve) Conn(c net.Conn) net.Conn {
	return &valved{Conn: c, shut: v.ready(), closed: make(chan struct{})}
}

// Shut has reads of all connections wait until they are closed.
func (v *Valve) Shut() {
	shut := v.ready()
	v.turned.Do(func() { close(shut) })
}

func (v *Valve) ready() chan struct{} {
	v.made.Do(func() { v.shut = make(chan struct{}) })
	return v.shut
}

type valved struct {
	net.Conn
	shut   <-chan struct{}
	once   sync.Once
	closed chan struct{}
}

func (c *valved) Read(b []byte) (int, error) {
	select {
	case <-c.shut:
		<-c.closed
	default:
	}
	return c.Conn.Read(b)
}

func (c *valved) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}
