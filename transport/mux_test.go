package transport_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// says returns a handler that answers its own name.
func says(name string) transport.Handler {
	return transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		return []byte(name), nil
	})
}

func ask(t *testing.T, m *transport.Mux, method string) string {
	t.Helper()
	resp, err := m.ServeCall(t.Context(), "a", method, nil)
	require.NoError(t, err)
	return string(resp)
}

func TestMuxLongestPrefixWins(t *testing.T) {
	var m transport.Mux
	m.Handle("quorum/", says("quorum"))
	m.Handle("", says("rest"))
	m.Handle("quorum/load", says("load"))
	for method, want := range map[string]string{
		"quorum/load":   "load",
		"quorum/loader": "load",
		"quorum/merge":  "quorum",
		"quorum/":       "quorum",
		"quorum":        "rest",
		"":              "rest",
	} {
		require.Equal(t, want, ask(t, &m, method), method)
	}
}

func TestMuxZeroKnowsNothing(t *testing.T) {
	_, err := new(transport.Mux).ServeCall(t.Context(), "a", "x/y", nil)
	require.ErrorIs(t, err, transport.ErrUnknownMethod)
	require.EqualError(t, err, `transport: unknown method "x/y"`)
}

func TestMuxReplaceAndRemove(t *testing.T) {
	var m transport.Mux
	m.Handle("p/", says("old"))
	m.Handle("p/", says("new"))
	require.Equal(t, "new", ask(t, &m, "p/"))
	m.Handle("p/", nil)
	_, err := m.ServeCall(t.Context(), "a", "p/", nil)
	require.ErrorIs(t, err, transport.ErrUnknownMethod)
}

func TestMuxChangesWhileItServes(t *testing.T) {
	var m transport.Mux
	m.Handle("always/", says("always"))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 500 {
				m.Handle("always/x", says("always"))
				m.Handle("always/x", nil)
				assert.Equal(t, "always", ask(t, &m, "always/x"))
			}
		})
	}
	group.Wait()
}

// A handler may change the Mux that is calling it: no lock is held.
func TestTrap30_MuxHoldsNoLockDuringCall(t *testing.T) {
	var m transport.Mux
	m.Handle("install", transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		m.Handle("installed", says("yes"))
		return nil, nil
	}))
	ask(t, &m, "install")
	require.Equal(t, "yes", ask(t, &m, "installed"))
}
