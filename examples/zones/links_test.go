package main

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
)

// serve has a node serve others, and returns where.
func serve(t *testing.T, cfg config) (n *node, addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n, err = newNode(cfg, ln.Addr().String())
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- n.links.tcp.Serve(context.Background(), ln, n.links.handler(&n.calls)) }()
	t.Cleanup(func() { require.NoError(t, n.close()); <-done })
	return n, ln.Addr().String()
}

// callAs calls a1 as another node, with the certificates of some folder.
func callAs(t *testing.T, dir string, id transport.NodeID, addr string) error {
	t.Helper()
	return callMethodAs(t, dir, id, addr, "node/state")
}

func callMethodAs(t *testing.T, dir string, id transport.NodeID, addr, method string) error {
	t.Helper()
	n, err := newNode(config{id: id, zone: "b", peers: []peer{{"a1", "a", addr}}, timeout: time.Second, tls: dir}, "127.0.0.1:1")
	require.NoError(t, err)
	defer n.close()
	_, err = n.caller.Call(t.Context(), "a1", method, nil)
	return err
}

// Who has a certificate of its name is served, unless it is denied; nobody else is. All of it is counted.
func TestWhoMayCall(t *testing.T) {
	ours, theirs := t.TempDir(), t.TempDir()
	require.NoError(t, run(t.Context(), io.Discard, []string{"certs", ours, "a1", "b1", "b2"}))
	require.NoError(t, run(t.Context(), io.Discard, []string{"certs", theirs, "b1"}))
	n, addr := serve(t, config{id: "a1", zone: "a", timeout: time.Second, tls: ours, denied: []transport.NodeID{"b2"}})

	require.NoError(t, callAs(t, ours, "b1", addr))
	require.ErrorIs(t, callAs(t, ours, "b2", addr), transport.ErrDenied)
	require.EqualValues(t, 1, n.links.access.Denied())
	served := uint64(0)
	for _, m := range n.links.metrics.Stats().Served {
		for _, count := range m.Results {
			served += count
		}
	}
	require.EqualValues(t, 2, served)

	reason := func(err error) tcp.Reason {
		var e *tcp.HandshakeError
		require.ErrorAs(t, err, &e)
		return e.Reason
	}
	require.Equal(t, tcp.ReasonUntrusted, reason(callAs(t, theirs, "b1", addr)))
	require.Equal(t, tcp.ReasonPlain, reason(callAs(t, "", "b1", addr)))
	for _, end := range []string{".crt", ".key"} {
		text, err := os.ReadFile(filepath.Join(ours, "b1"+end))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(ours, "c1"+end), text, 0o600))
	}
	require.Equal(t, tcp.ReasonName, reason(callAs(t, ours, "c1", addr)))
}

// Certificates that are missing are told by the error with which the node ends, and not before it as well.
func TestMissingCertificatesAreToldOnce(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	require.NoError(t, err)
	defer log.Close()
	defer func(was *os.File) { os.Stderr = was }(os.Stderr)
	os.Stderr = log
	err = run(t.Context(), io.Discard, []string{"-id", "a1", "-zone", "a", "-tls", "nowhere", "-http", "127.0.0.1:0"})
	require.ErrorContains(t, err, "nowhere/a1.crt: no such file")
	info, err := log.Stat()
	require.NoError(t, err)
	require.Zero(t, info.Size())
}

// Rings are agreed on by those who are in one, and by nobody who is denied; other nodes may call the rest.
func TestWhoHasASayInRings(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, run(t.Context(), io.Discard, []string{"certs", dir, "a1", "b1", "b2", "c1"}))
	_, addr := serve(t, config{
		id: "a1", zone: "a", peers: []peer{{"b1", "b", "127.0.0.1:1"}, {"b2", "b", "127.0.0.1:1"}}, denied: []transport.NodeID{"b2"},
		timeout: time.Second, tls: dir, gossip: "127.0.0.1:0",
	})
	for _, c := range []struct {
		id           transport.NodeID
		state, rings bool
	}{{"b1", true, true}, {"b2", false, false}, {"c1", true, false}} {
		require.Equal(t, c.state, callAs(t, dir, c.id, addr) == nil, c.id)
		err := callMethodAs(t, dir, c.id, addr, "caspaxos/none")
		require.Error(t, err)
		require.Equal(t, c.rings, !errors.Is(err, transport.ErrDenied), "%s: %v", c.id, err)
		if c.rings {
			require.ErrorAs(t, err, new(*transport.RemoteError), "it got to the handler")
		}
	}
}
