package transportotel

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
	"github.com/eventual-go/eventual/transport/mem"
)

// A cluster is given tracing node by node: calls always arrive, and are in one trace
// as soon as both ends can have it.
func TestNodesAreUpgradedOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var plain transport.Mux
		plain.Handle("m", says("answer", nil))
		var network mem.Network
		network.Node("b", &plain)
		a, _ := recorded()
		w := &wire{next: network.Node("a", nil)}
		caller := a.Caller(w)
		call := func() {
			t.Helper()
			resp, err := caller.Call(t.Context(), "b", "m", nil)
			require.NoError(t, err)
			require.Equal(t, "answer", string(resp))
		}
		call()
		call()
		require.Equal(t, []string{Prefix, "m", "m"}, w.methods, "asked once")

		b, record := recorded()
		network.Node("b", b.Handler(&plain))
		call()
		require.Empty(t, record.Ended(), "not asked again so soon")
		time.Sleep(time.Minute)
		call()
		call()
		require.Len(t, record.Ended(), 2)
		require.Equal(t, []string{Prefix, "m", "m", "m", Prefix, Prefix + "m", Prefix + "m"}, w.methods)

		w.methods = nil
		network.Node("b", &plain) // back to the older program
		call()
		call()
		require.Equal(t, []string{Prefix + "m", Prefix, "m", "m"}, w.methods, "asked again before")
	})
}

// A node that was traced, and now denies what it does not know, runs nothing twice.
func TestNodesThatDenyAfterwards(t *testing.T) {
	var network mem.Network
	b, _ := recorded()
	network.Node("b", b.Handler(says("", nil)))
	a, _ := recorded()
	w := &wire{next: network.Node("a", nil)}
	caller := a.Caller(w)
	access := &intercept.Access{Rules: map[string]intercept.Rule{"m": intercept.Anyone}}
	var seen []string
	for range 3 {
		_, err := caller.Call(t.Context(), "b", "m", nil)
		require.NoError(t, err)
		network.Node("b", access.Handler(echoes(&seen)))
	}
	require.Equal(t, []string{Prefix, Prefix + "m", Prefix + "m", Prefix, "m", "m"}, w.methods)
	require.Equal(t, []string{"m", "m"}, seen)
}

// Nodes that serve whatever the method, or let nobody call what they do not know, are
// nodes without tracing as others are.
func TestNodesThatRefuseOtherwise(t *testing.T) {
	denies := &intercept.Access{Rules: map[string]intercept.Rule{"m": intercept.Anyone}}
	for name, h := range map[string]transport.Handler{
		"serves everything": says("answer", nil),
		"denies":            denies.Handler(says("answer", nil)),
		"fails": transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
			if method != "m" {
				return nil, fmt.Errorf("what is %q?", method)
			}
			return []byte("answer"), nil
		}),
		"answers at length": transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, _ []byte) ([]byte, error) {
			if method != "m" {
				return make([]byte, 5<<20), nil
			}
			return []byte("answer"), nil
		}),
	} {
		t.Run(name, func(t *testing.T) {
			a, _ := recorded()
			w := &wire{next: overMem(t, h)}
			caller := a.Caller(w)
			for range 2 {
				resp, err := caller.Call(t.Context(), "b", "m", nil)
				require.NoError(t, err)
				require.Equal(t, "answer", string(resp))
			}
			require.Equal(t, []string{Prefix, "m", "m"}, w.methods)
		})
	}
}

// In the order that doc.go says, what looks at methods sees those that are meant, and a
// call that is denied is made once.
func TestInterceptorsSeeTheMethodsThatAreMeant(t *testing.T) {
	a, _ := recorded()
	b, _ := recorded()
	var here, there intercept.Metrics
	access := &intercept.Access{Rules: map[string]intercept.Rule{"stock/": intercept.Nodes("a")}}
	h := b.Handler(there.Handler(access.Handler(says("", nil))))
	caller := here.Caller(a.Caller(overMem(t, h)))
	_, err := caller.Call(t.Context(), "b", "stock/reserve", nil)
	require.NoError(t, err)
	_, err = caller.Call(t.Context(), "b", "admin", nil)
	require.ErrorIs(t, err, transport.ErrDenied)
	require.EqualError(t, err, `transport: remote admin: transport: denied: node "a" may not call "admin"`)
	require.EqualValues(t, 1, access.Denied())
	for _, all := range [][]intercept.MethodStats{here.Stats().Called, there.Stats().Served} {
		require.Len(t, all, 2)
		require.Equal(t, intercept.Other, all[0].Method)
		require.EqualValues(t, 1, all[0].Results[intercept.Denied])
		require.Equal(t, "stock/reserve", all[1].Method)
		require.EqualValues(t, 1, all[1].Calls())
	}
}

// A node that cannot be asked is asked again, and the call fails as it would.
func TestNodesThatCannotBeAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := new(mem.Network)
		b, record := recorded()
		network.Node("b", b.Handler(says("", nil)))
		a, _ := recorded()
		caller := a.Caller(network.Node("a", nil))
		network.Down("b")
		_, err := caller.Call(t.Context(), "b", "m", nil)
		require.ErrorIs(t, err, transport.ErrUnreachable)
		network.Up("b")
		network.Cut("a", "b")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = caller.Call(ctx, "b", "m", nil)
		require.Equal(t, context.DeadlineExceeded, err)
		network.Restore("a", "b")
		_, err = caller.Call(t.Context(), "b", "m", nil)
		require.NoError(t, err)
		require.Len(t, record.Ended(), 1)
	})
}

func TestWhatIsRememberedOfNodesIsBounded(t *testing.T) {
	var tr Tracing
	for i := range 3 * maxNodes {
		tr.remember(transport.NodeID(fmt.Sprint(i)), i%2 == 0)
		require.LessOrEqual(t, len(tr.nodes), maxNodes)
	}
	node, known := tr.asked(transport.NodeID(fmt.Sprint(3*maxNodes - 2)))
	require.True(t, known && node.again.IsZero())
}
