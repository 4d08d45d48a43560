package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/examples/internal/certs"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/tcp"
)

func makeCerts(t *testing.T, dir string, ids ...string) {
	t.Helper()
	require.NoError(t, run(t.Context(), io.Discard, append([]string{"certs", dir}, ids...)))
}

// The two commands of the README: certificates, and replicas that prove by them who they are.
func TestCertsMakeAClusterWithTLS(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "certs")
	makeCerts(t, dir, "a", "b", "c")

	ctx, stop := context.WithCancel(context.Background())
	var out buffer
	done := make(chan error, 1)
	go func() { done <- run(ctx, &out, []string{"-tls", dir, "-http", "127.0.0.1:0"}) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-done) })
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "Ctrl-C") }, 10*time.Second, 10*time.Millisecond)

	urls := regexp.MustCompile(`(?m)^  [abc]  (http://.*)$`).FindAllStringSubmatch(out.String(), -1)
	require.Len(t, urls, 3)
	require.Eventually(t, func() bool {
		resp, err := http.Post(urls[0][1]+"/v1/counters/likes?level=all", "", strings.NewReader(`{"add": 1}`))
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 20*time.Second, 20*time.Millisecond)
}

// callAs calls a replica as another, with the certificates of some folder.
func callAs(t *testing.T, dir string, id transport.NodeID, addr string) error {
	n, err := newNode(id, map[transport.NodeID]string{"b": addr}, config{timeout: time.Second, tls: dir})
	require.NoError(t, err)
	defer n.tcp.Close()
	_, err = n.tcp.Call(t.Context(), "b", "antientropy/none", nil)
	return err
}

func TestWhoHasNoCertificateOfItsNameIsRefused(t *testing.T) {
	ours, theirs := t.TempDir(), t.TempDir()
	makeCerts(t, ours, "a", "b")
	makeCerts(t, theirs, "a")
	b, err := newNode("b", nil, config{timeout: time.Second, tls: ours})
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	web, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.run(ctx, ln, web) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-done) })

	require.ErrorIs(t, callAs(t, ours, "a", ln.Addr().String()), transport.ErrUnknownMethod, "it gets there")
	reason := func(err error) tcp.Reason {
		var e *tcp.HandshakeError
		require.ErrorAs(t, err, &e)
		return e.Reason
	}
	require.Equal(t, tcp.ReasonUntrusted, reason(callAs(t, theirs, "a", ln.Addr().String())))
	copyFile(t, ours, "b.crt", "c.crt")
	copyFile(t, ours, "b.key", "c.key")
	require.Equal(t, tcp.ReasonName, reason(callAs(t, ours, "c", ln.Addr().String())))
}

func copyFile(t *testing.T, dir, from, to string) {
	text, err := os.ReadFile(filepath.Join(dir, from))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, to), text, 0o600))
}

// Names are also those of files and folders, so a bad one gets nowhere.
func TestNamesAreCheckedWhereTheyAreRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "peers")
	for _, bad := range []string{"ca", "..", "../x", "a/b", "A"} {
		require.NoError(t, os.WriteFile(file, []byte(bad+"=127.0.0.1:1"), 0o600))
		for _, args := range [][]string{
			{"certs", dir, bad},
			{"-plain", "-id", bad, "-data", dir},
			{"-plain", "-id", "a", "-peers", bad + "=127.0.0.1:1"},
			{"-plain", "-id", "a", "-peers", "@" + file},
		} {
			require.ErrorIs(t, run(t.Context(), io.Discard, append(args, "-http", "127.0.0.1:0")), certs.ErrName, "%q", args)
		}
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1, "the list alone")
}

func TestPeersAreLookedUpInTheirFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "peers")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	write("a=10.0.0.1:7001\nb=10.0.0.2:7001, c=10.0.0.3:7001\n")
	peers, book, err := readPeers("@"+file, "a")
	require.NoError(t, err)
	require.Equal(t, map[transport.NodeID]string{"b": "10.0.0.2:7001", "c": "10.0.0.3:7001"}, peers)

	write("b=10.0.0.9:7001")
	addr, err := lookUp(book, "b")
	require.NoError(t, err)
	require.Equal(t, "10.0.0.9:7001", addr)
	_, err = lookUp(book, "c")
	require.ErrorContains(t, err, "does not name c")
	for _, bad := range []string{"b", "b=", "b=nonsense", "b=:7001", "b=10.0.0.9:port"} {
		write(bad)
		_, err = lookUp(book, "b")
		require.ErrorContains(t, err, "name=host:port", bad)
	}
}

// What is wrong with the file is told when it is, and not at each dial.
func TestABrokenFileOfPeersIsTold(t *testing.T) {
	file := filepath.Join(t.TempDir(), "peers")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	var told []error
	b := &book{file: file, tell: func(err error) { told = append(told, err) }}
	dial := func(wrong ...string) {
		t.Helper()
		told = nil
		for range 3 {
			for _, id := range []transport.NodeID{"b", "c"} {
				_, _ = b.resolve(t.Context(), id)
			}
		}
		require.Len(t, told, len(wrong))
		for i, text := range wrong {
			require.ErrorContains(t, told[i], text)
		}
	}
	dial("no such file")
	dial()
	write("b=10.0.0.9:7001 c=nonsense")
	dial(`"c=nonsense" is not name=host:port`)
	write("b=10.0.0.9:7001")
	dial("does not name c")
	write("b=10.0.0.9:7001 c=10.0.0.10:7001")
	dial()
	addr, err := b.resolve(t.Context(), "c")
	require.NoError(t, err)
	require.Equal(t, "10.0.0.10:7001", addr)
	write("b=10.0.0.9:7001")
	dial("does not name c")
}

// complaints returns what is written on standard error until the test ends.
func complaints(t *testing.T) func() string {
	log, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	require.NoError(t, err)
	was := os.Stderr
	os.Stderr = log
	t.Cleanup(func() { os.Stderr = was; require.NoError(t, log.Close()) })
	return func() string {
		text, err := os.ReadFile(log.Name())
		require.NoError(t, err)
		return string(text)
	}
}

// Certificates that are missing are told by the error with which the replica ends, and not before it as well.
func TestMissingCertificatesAreToldOnce(t *testing.T) {
	told := complaints(t)
	err := run(t.Context(), io.Discard, []string{"-id", "a", "-tls", "nowhere", "-http", "127.0.0.1:0"})
	require.ErrorContains(t, err, "nowhere/a.crt: no such file")
	require.Empty(t, told())
}

// A replica whose peers are looked up in a file that is broken says so on standard error.
func TestAReplicaTellsOfItsFileOfPeers(t *testing.T) {
	told := complaints(t)
	n, err := newNode("a", map[transport.NodeID]string{"b": "127.0.0.1:1"}, config{timeout: time.Second, book: "nowhere"})
	require.NoError(t, err)
	_, err = n.tcp.Call(t.Context(), "b", "antientropy/none", nil)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.NoError(t, n.tcp.Close())
	require.Equal(t, "kv a: -peers: open nowhere: no such file or directory\n", told())
}
