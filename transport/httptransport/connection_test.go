package httptransport_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/httptransport"
)

// Calls that follow one another have one connection, whatever comes of them.
func TestConnectionsAreUsedAgain(t *testing.T) {
	h := newHandler()
	h.MaxMessage = 100_000
	h.Handler = transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, method string, req []byte) ([]byte, error) {
		switch method {
		case "fails":
			return nil, errors.New("no")
		case "grows":
			return make([]byte, 200_000), nil
		}
		return req, nil
	})
	var connections atomic.Int32
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := &httptransport.Client{Self: "a", Peers: map[transport.NodeID]string{"b": s.URL}}
	defer c.Close()
	for _, size := range []int{0, 1, 100_000} {
		for _, method := range []string{"echoes", "fails", "grows"} {
			_, err := c.Call(t.Context(), "b", method, make([]byte, size))
			require.Equal(t, method == "echoes", err == nil)
		}
	}
	other := &httptransport.Client{Self: "a", Cluster: "other", Peers: c.Peers, HTTP: s.Client()}
	defer other.Close()
	for range 3 {
		_, err := other.Call(t.Context(), "b", "m", []byte("refused"))
		require.True(t, statusError(t, err).Refused)
	}
	require.Equal(t, int32(2), connections.Load())
}

// A request that may have been seen is not sent a second time.
func TestNothingIsSentTwice(t *testing.T) {
	var seen atomic.Int32
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if seen.Add(1) == 1 {
			newHandler().ServeHTTP(w, r)
			return
		}
		panic(http.ErrAbortHandler) // the connection is closed
	}))
	_, err := try(t, c, []byte("x"))
	require.NoError(t, err)
	for n := int32(2); n < 5; n++ {
		_, err = try(t, c, []byte("x"))
		require.ErrorIs(t, err, transport.ErrUnreachable)
		require.Equal(t, n, seen.Load())
	}
}
