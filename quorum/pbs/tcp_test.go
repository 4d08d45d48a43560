package pbs_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/pbs"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
)

var live = flag.Bool("live", false, "measure over TCP and by the clock of the wall, for a minute and a half")

// A far is a node that is reached over TCP.
type far struct {
	caller transport.Caller
	to     transport.NodeID
}

func (f far) ServeCall(ctx context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
	return f.caller.Call(ctx, f.to, method, req)
}

// overTCP has the nodes of a cluster reach one another over loopback.
func (c *cluster) overTCP(t *testing.T) {
	peers, listeners := make(map[transport.NodeID]string), make(map[transport.NodeID]net.Listener)
	for _, id := range ring {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		peers[id], listeners[id] = l.Addr().String(), l
	}
	for i, id := range ring {
		node := &tcp.Transport{Self: id, Cluster: "pbs", Plain: true, Peers: peers}
		go node.Serve(context.Background(), listeners[id], c.handlers[id])
		t.Cleanup(func() { node.Close() })
		wires := c.nodes[i].Caller.(wires)
		wires.handlers = make(map[transport.NodeID]transport.Handler)
		for _, to := range ring {
			wires.handlers[to] = far{node, to}
		}
		c.nodes[i].Caller = wires
	}
}

// The same as TestPredictedIsMeasured, on connections and clocks that are real. Links take ten times as long, so that
// pauses of the machine matter less, and round trips are measured between the trials, so that they are of the same
// time.
func TestPredictedIsMeasuredOverTCP(t *testing.T) {
	if !*live {
		t.Skip("takes a minute and a half; runs with -live")
	}
	link := pbs.Exponential(20 * time.Millisecond)
	c := newCluster(link, pbs.Constant(0), 7)
	c.overTCP(t)
	c.rest, c.tick, c.atOnce = 300*time.Millisecond, 20*time.Millisecond, 16
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				c.trial(t, fmt.Sprint("between ", i, k), quorum.All, quorum.All, 0)
			}
		})
	}
	all := c.measure(t, "tcp", func() []pbs.Legs { return c.replicas(pbs.Alike) }, 400)
	t.Log(c.away.Writes.Observed().Count(), "round trips")
	stop()
	wg.Wait()
	show(t, all)
	require.Empty(t, judge(all))
}
