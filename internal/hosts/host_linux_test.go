package hosts

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A host is a network namespace that has one device, and runs one replica at a time.
type host struct {
	t    *testing.T
	name string
	ns   string // of the namespace and, in it, of the device
	net  *router
	addr netip.Addr
	dir  string // of all hosts: kv, certificates, who is where, data
	web  *http.Client
	cmd  *exec.Cmd // nil while nothing runs
	log  *buffer
}

const prefix = "kvh" // of namespaces and devices, whose names have 15 bytes at most

// missing says why there can be no hosts here.
func missing() string {
	if os.Geteuid() != 0 {
		return "network namespaces are for root"
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return "there is no ip, of iproute2"
	}
	device, err := openTUN(fmt.Sprint(prefix, os.Getpid(), "-"))
	if err != nil {
		return err.Error()
	}
	_ = device.Close()
	name := fmt.Sprint(prefix, os.Getpid(), "-")
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		return fmt.Sprintf("ip netns add: %v: %s", err, out)
	}
	_ = exec.Command("ip", "netns", "del", name).Run()
	return ""
}

// sweep removes namespaces of tests that were killed.
func sweep(t *testing.T) {
	for line := range strings.Lines(ip(t, "netns", "list")) {
		ns, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		text, ok := strings.CutPrefix(ns, prefix)
		text, _, _ = strings.Cut(text, "-")
		pid, err := strconv.Atoi(text)
		if ok && err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			ip(t, "netns", "del", ns)
		}
	}
}

func ip(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(t, err, "ip %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// newHost makes a host, which is gone when the test ends.
func newHost(t *testing.T, net *router, dir, name, addr string) *host {
	h := &host{t: t, name: name, ns: fmt.Sprint(prefix, os.Getpid(), "-", name), net: net, dir: dir, log: new(buffer)}
	ip(t, "netns", "add", h.ns)
	t.Cleanup(func() {
		h.kill()
		ip(t, "netns", "del", h.ns)
	})
	device, err := openTUN(h.ns)
	require.NoError(t, err)
	net.attach(name, device)
	ip(t, "link", "set", h.ns, "netns", h.ns)
	ip(t, "-n", h.ns, "link", "set", "lo", "up")
	ip(t, "-n", h.ns, "link", "set", h.ns, "mtu", "1500", "up")
	h.move(addr)
	h.web = &http.Client{Transport: &http.Transport{DialContext: h.dialWeb}}
	return h
}

// move gives the host another address. Packets to the one before go to nobody.
func (h *host) move(addr string) {
	ip(h.t, "-n", h.ns, "-4", "addr", "flush", "dev", h.ns)
	if h.addr.IsValid() {
		h.net.unroute(h.addr)
	}
	h.addr = netip.MustParseAddr(addr)
	ip(h.t, "-n", h.ns, "addr", "add", addr+"/16", "dev", h.ns)
	h.net.route(h.addr, h.name)
}

func (h *host) peerAddr() string { return h.addr.String() + ":7001" }

// Clients are on the host itself: they reach it past the network.
func (h *host) socket() string { return filepath.Join(h.dir, h.name+".sock") }

func (h *host) dialWeb(ctx context.Context, _, _ string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "unix", h.socket())
}

// start runs a replica on the host, by a name and with the certificates of a folder, until
// the test ends at the latest.
func (h *host) start(replica, certs string) {
	h.t.Helper()
	h.cmd = exec.Command("ip", "netns", "exec", h.ns, filepath.Join(h.dir, "kv"),
		"-id", replica, "-tls", filepath.Join(h.dir, certs), "-listen", h.peerAddr(), "-peers", "@"+filepath.Join(h.dir, "peers"),
		"-http", "unix:"+h.socket(), "-data", filepath.Join(h.dir, "data-"+h.name), "-timeout", "5s")
	h.cmd.Stdout, h.cmd.Stderr = h.log, h.log
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(h.t, h.cmd.Start())
	within(h.t, h.name+" serves", func() bool {
		resp, err := h.web.Get("http://" + h.name + "/v1/status")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err == nil
	})
}

// stop ends the replica as an operator would.
func (h *host) stop() {
	h.t.Helper()
	require.NoError(h.t, h.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(h.t, h.cmd.Wait(), "%s: %s", h.name, h.log)
	h.cmd = nil
}

// kill ends it without a word, if it runs.
func (h *host) kill() {
	if h.cmd != nil {
		_ = h.cmd.Process.Kill()
		_ = h.cmd.Wait()
		h.cmd = nil
	}
}

// counter returns one of the kernel's counters of TCP in the namespace.
func (h *host) counter(name string) int {
	h.t.Helper()
	out := strings.Split(ip(h.t, "netns", "exec", h.ns, "cat", "/proc/net/snmp"), "\n")
	for i, line := range out[1:] {
		names, values := strings.Fields(out[i]), strings.Fields(line)
		if len(names) < 2 || names[0] != "Tcp:" || len(names) != len(values) || values[1] == names[1] {
			continue
		}
		for j, n := range names {
			if v, err := strconv.Atoi(values[j]); n == name && err == nil {
				return v
			}
		}
	}
	h.t.Fatalf("no counter Tcp %s", name)
	return 0
}

// patience is how long anything may take: it is there to end tests that would not.
const patience = 3 * time.Minute

func within(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		require.True(t, time.Now().Before(end), "it takes too long until %s", what)
		require.NoError(t, t.Context().Err())
	}
}

// A buffer is what a program has written, while it runs.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
