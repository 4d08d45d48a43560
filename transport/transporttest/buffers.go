package transporttest

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// A request may be used again as soon as Call has returned, also when the call was
// given up while its handler was running.
func testRequestIsTheCallers(t *testing.T, n Network) {
	started, release := make(chan struct{}), make(chan struct{})
	seen := make(chan []byte, 1)
	n.Start("b", methods{"hold": func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
		started <- struct{}{}
		<-release
		seen <- bytes.Clone(req)
		return nil, nil
	}}.mux())
	a := n.Start("a", nil)
	req := []byte("before")
	ctx, cancel := context.WithCancel(bounded(t))
	go func() {
		<-started
		cancel()
	}()
	_, err := a.Call(ctx, "b", "hold", req)
	require.Equal(t, context.Canceled, err)
	copy(req, "after!")
	close(release)
	require.Equal(t, "before", string(receive(t, seen)))
}

// A handler may change its request: the caller's does not change.
func testRequestIsNotShared(t *testing.T, n Network) {
	n.Start("b", methods{"change": func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
		for i := range req {
			req[i] ^= 0xFF
		}
		return req, nil
	}}.mux())
	a := n.Start("a", nil)
	req := []byte("mine")
	resp := call(t, a, "b", "change", req)
	require.Equal(t, "mine", string(req))
	require.Equal(t, []byte{'m' ^ 0xFF, 'i' ^ 0xFF, 'n' ^ 0xFF, 'e' ^ 0xFF}, resp)
}

// A response may be shared by all calls at the side of the handler, and is the
// caller's alone at the side of the caller, for ever.
func testResponseIsTheCallers(t *testing.T, n Network) {
	shared := []byte("the same for all")
	n.Start("b", methods{"echo": echo, "get": func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		return shared, nil
	}}.mux())
	a := n.Start("a", nil)
	first := call(t, a, "b", "get", nil)
	kept := call(t, a, "b", "echo", []byte("kept"))
	copy(first, "changed by caller")
	for range 100 {
		require.Equal(t, "the same for all", string(call(t, a, "b", "get", nil)))
		call(t, a, "b", "echo", []byte("other"))
	}
	require.Equal(t, "changed by calle", string(first))
	require.Equal(t, "kept", string(kept))
	require.Equal(t, "the same for all", string(shared))
}
