package mem_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

func ids(ids ...transport.NodeID) []transport.NodeID { return ids }

func TestPartitionAndHeal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := new(mem.Network)
		nodes := make(map[transport.NodeID]*mem.Node)
		for _, id := range ids("a", "b", "c", "d", "e") {
			nodes[id] = net.Node(id, echoer)
		}
		check := func(group map[transport.NodeID]int) {
			for from, node := range nodes {
				for to := range nodes {
					err := try(t, node, to)
					require.Equal(t, group[from] == group[to], err == nil, "%s to %s: %v", from, to, err)
				}
			}
		}
		check(nil)
		net.Partition(ids("a", "b"), ids("c"))
		check(map[transport.NodeID]int{"a": 1, "b": 1, "c": 2})
		net.Partition(ids("c", "a"))
		check(map[transport.NodeID]int{"a": 1, "c": 1})
		net.Heal()
		check(nil)
	})
}

func TestCutIsOneWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net mem.Network
		ran := make(chan transport.NodeID, 10)
		h := transport.HandlerFunc(func(_ context.Context, from transport.NodeID, _ string, _ []byte) ([]byte, error) {
			ran <- from
			return nil, nil
		})
		a, b := net.Node("a", h), net.Node("b", h)
		net.Cut("a", "b")
		require.Equal(t, context.DeadlineExceeded, try(t, a, "b")) // the request is lost
		require.Empty(t, ran)
		require.Equal(t, context.DeadlineExceeded, try(t, b, "a")) // the reply is lost
		require.Equal(t, transport.NodeID("b"), <-ran)
		net.Restore("a", "b")
		require.NoError(t, try(t, a, "b"))
		net.Cut("a", "b")
		net.Cut("b", "a")
		net.Heal()
		require.NoError(t, try(t, b, "a"))
	})
}

// A cut loses what is under way.
func TestCutDuringFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Link: mem.Link{Latency: 100 * time.Millisecond}}
		net.Node("b", echoer)
		a := net.Node("a", nil)
		time.AfterFunc(150*time.Millisecond, func() { net.Cut("b", "a") })
		require.Equal(t, context.DeadlineExceeded, try(t, a, "b"))
		require.Equal(t, uint64(1), net.Stats().Lost)
	})
}

func TestRefuse(t *testing.T) {
	net := &mem.Network{Refuse: true}
	b := net.Node("b", echoer)
	a := net.Node("a", echoer)
	net.Cut("a", "b")
	for _, err := range []error{try(t, a, "b"), try(t, b, "a")} {
		require.ErrorIs(t, err, transport.ErrUnreachable)
	}
	net.Heal()
	require.NoError(t, try(t, a, "b"))
}

// Over a cut link the news that the caller is gone does not arrive, but the
// deadline was known from the start.
func TestHandlerOfUnreachableCallerSeesDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net mem.Network
		ended := make(chan error, 1)
		net.Node("b", transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, nil
		}))
		a := net.Node("a", nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		time.AfterFunc(time.Millisecond, func() { net.Cut("a", "b"); cancel() })
		start := time.Now()
		_, err := a.Call(ctx, "b", "m", nil)
		require.Equal(t, context.Canceled, err)
		require.Equal(t, context.DeadlineExceeded, <-ended)
		require.Equal(t, time.Second, time.Since(start))
	})
}

func TestDownAndUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net mem.Network
		a, b := net.Node("a", echoer), net.Node("b", echoer)
		for range 3 {
			net.Down("b")
			net.Down("b")
			require.ErrorIs(t, try(t, a, "b"), transport.ErrUnreachable)
			require.ErrorIs(t, try(t, b, "a"), transport.ErrUnreachable)
			net.Up("b")
			net.Up("b")
			require.NoError(t, try(t, a, "b"))
			require.NoError(t, try(t, b, "a"))
		}
		net.Down("nobody")
		net.Up("nobody")
	})
}

// A node that is made again is a process that was started again: the old one is
// closed, and Up does not bring it back.
func TestNodeReplaced(t *testing.T) {
	var net mem.Network
	a, old := net.Node("a", echoer), net.Node("b", echoer)
	b := net.Node("b", echoer)
	require.ErrorIs(t, try(t, old, "a"), transport.ErrClosed)
	require.NoError(t, try(t, b, "a"))
	require.NoError(t, try(t, a, "b"))
	require.NoError(t, b.Close())
	net.Up("b")
	require.ErrorIs(t, try(t, b, "a"), transport.ErrClosed)
	require.ErrorIs(t, try(t, a, "b"), transport.ErrUnreachable)
	require.Equal(t, transport.NodeID("b"), b.ID())
}

// A request is overwritten when its handler has returned, so who keeps it is found.
func TestRequestIsOverwritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net mem.Network
		var kept []byte
		net.Node("b", transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
			kept = req
			return nil, nil
		}))
		require.NoError(t, try(t, net.Node("a", nil), "b"))
		synctest.Wait()
		require.Equal(t, []byte{0xDB}, kept)
	})
}

// A handler may use the network that is calling it: no lock is held.
func TestTrap30_NoLockDuringCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net mem.Network
		a := net.Node("a", echoer)
		var b *mem.Node
		b = net.Node("b", transport.HandlerFunc(func(ctx context.Context, from transport.NodeID, method string, req []byte) ([]byte, error) {
			net.SetLink("b", "a", mem.Link{Latency: time.Millisecond})
			net.Node("c", echoer)
			net.Stats()
			return b.Call(ctx, from, method, req)
		}))
		require.NoError(t, try(t, a, "b"))
	})
}
