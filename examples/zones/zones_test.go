package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/examples/internal/certs"
	"github.com/eventual-go/eventual/examples/internal/ports"
	"github.com/eventual-go/eventual/transport"
)

// A fleet is nodes of their own processes, with a folder each.
type fleet struct {
	t     *testing.T
	zones string // the program
	data  string
	certs string
	peers []peer // of the first ring
	http  map[transport.NodeID]string
	// where they gossip, and an address that nobody uses
	gossip, spare map[transport.NodeID]string

	up   map[transport.NodeID]*exec.Cmd
	logs map[transport.NodeID]*buffer
}

func newFleet(t *testing.T, ids ...string) *fleet {
	f := &fleet{t: t, zones: filepath.Join(t.TempDir(), "zones"), data: t.TempDir(),
		http: map[transport.NodeID]string{}, gossip: map[transport.NodeID]string{}, spare: map[transport.NodeID]string{}, up: map[transport.NodeID]*exec.Cmd{}, logs: map[transport.NodeID]*buffer{}}
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", f.zones, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	first := ports.Free(t, 4*len(ids))
	for i, id := range ids {
		f.peers = append(f.peers, peer{transport.NodeID(id), id[:1], at(first + 4*i)})
		f.http[transport.NodeID(id)] = at(first + 4*i + 1)
		f.gossip[transport.NodeID(id)], f.spare[transport.NodeID(id)] = at(first+4*i+2), at(first+4*i+3)
		f.logs[transport.NodeID(id)] = new(buffer)
	}
	f.certs = filepath.Join(t.TempDir(), "certs")
	require.NoError(t, run(t.Context(), io.Discard, append([]string{"certs", f.certs}, ids...)))
	t.Cleanup(f.stop)
	return f
}

func at(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// start starts a node, to which the first six are known.
func (f *fleet) start(p peer, more ...string) {
	f.t.Helper()
	f.startAmong(f.peers[:6], p, more...)
}

func (f *fleet) startAmong(first []peer, p peer, more ...string) {
	f.t.Helper()
	var others []string
	for _, o := range first {
		others = append(others, fmt.Sprintf("%s/%s=%s", o.ID, o.Zone, o.Addr))
	}
	cmd := exec.Command(f.zones, append([]string{"-id", string(p.ID), "-zone", p.Zone, "-tls", f.certs, "-listen", p.Addr,
		"-http", f.http[p.ID], "-data", f.data, "-peers", strings.Join(others, ",")}, more...)...)
	cmd.Stdout, cmd.Stderr = f.logs[p.ID], f.logs[p.ID]
	require.NoError(f.t, cmd.Start())
	f.up[p.ID] = cmd
}

// kill ends a node in the middle of what it does.
func (f *fleet) kill(id transport.NodeID) {
	cmd := f.up[id]
	delete(f.up, id)
	_ = cmd.Process.Signal(syscall.SIGKILL)
	_ = cmd.Wait()
}

func (f *fleet) stop() {
	for id, log := range f.logs {
		assert.NotRegexp(f.t, "DATA RACE|panic:", log.String(), id)
	}
	if f.t.Failed() {
		for id := range f.up {
			var v ringView
			f.do("GET", id, "/ring", "", &v)
			f.t.Logf("%s sees %+v", id, v)
		}
		for id, log := range f.logs {
			f.t.Logf("%s: %s", id, log)
		}
	}
	for id := range f.up {
		f.kill(id)
	}
}

var client = &http.Client{Timeout: 10 * time.Second}

// do makes a request, and decodes the answer into out, whatever it is. It reports whether it was 200.
func (f *fleet) do(method string, at transport.NodeID, path, body string, out any) (ok bool) {
	req, err := http.NewRequest(method, "http://"+f.http[at]+path, strings.NewReader(body))
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	return err == nil && json.Unmarshal(all, out) == nil && resp.StatusCode == http.StatusOK
}

// within polls until so is true.
func (f *fleet) within(d time.Duration, what string, so func() bool) {
	f.t.Helper()
	require.Eventually(f.t, so, d, 20*time.Millisecond, what)
}

// settled reports whether a node, and all members that it knows of, are through with the ring of
// an epoch.
func (f *fleet) settled(at transport.NodeID, epoch uint64) bool {
	var v ringView
	return f.do("GET", at, "/ring", "", &v) && v.Settled && v.Members[0].Epoch == epoch
}

const carts = 40

// A writer puts elements into carts, one after another, each by way of another node, until it is
// stopped. It remembers what was acknowledged.
type writer struct {
	acked map[string][]string // by key
	tried int
}

func (f *fleet) write(ctx context.Context, name string, via []transport.NodeID) *writer {
	w := &writer{acked: map[string][]string{}}
	for ; ctx.Err() == nil; w.tried++ {
		key, element := fmt.Sprintf("cart-%d", w.tried%carts), fmt.Sprintf("%s-%d", name, w.tried)
		path := "/carts/" + key + "/" + element + "?level=each-majority&sloppy=1"
		if f.do("PUT", via[w.tried%len(via)], path, "", new(written)) {
			w.acked[key] = append(w.acked[key], element)
		}
	}
	return w
}

// Carts are written all along, while a node is killed and comes back, another one joins, and
// another one leaves. What was acknowledged is there, and nobody holds what is not his.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; runs without -short")
	}
	f := newFleet(t, "a1", "a2", "b1", "b2", "c1", "c2", "a3")
	for _, p := range f.peers[:6] {
		f.start(p)
	}
	f.within(20*time.Second, "the first ring", func() bool { return f.settled("a1", 1) && f.settled("c2", 1) })

	ctx, stop := context.WithCancel(t.Context())
	writers := make([]*writer, 3)
	var wg sync.WaitGroup
	for i := range writers {
		via := []transport.NodeID{"a1", "c1", "a2", "c2", "b1"}
		wg.Go(func() { writers[i] = f.write(ctx, fmt.Sprintf("w%d", i), append(via[i:], via[:i]...)) })
	}
	hints := func() (pending int, replayed uint64) {
		for id := range f.up {
			var s stats
			if !f.do("GET", id, "/stats", "", &s) {
				return -1, 0
			}
			pending, replayed = pending+s.Hints.Hints, replayed+s.Hints.Replayed
		}
		return pending, replayed
	}

	f.kill("b1")
	f.within(10*time.Second, "without others standing in, its carts are refused", func() bool {
		for i := range carts {
			var r failure
			path := fmt.Sprintf("/carts/cart-%d/x?level=each-majority", i)
			if !f.do("PUT", "a1", path, "", &r) && r.Code == "unavailable" {
				require.Equal(t, `owners in zone "b"`, r.Condition)
				require.Equal(t, []int{1, 0}, []int{r.Needed, r.Answered})
				return true
			}
		}
		return false
	})
	f.within(10*time.Second, "hints for b1", func() bool { n, _ := hints(); return n > 10 })
	f.start(f.peers[2])
	f.within(20*time.Second, "hints are delivered", func() bool { n, sent := hints(); return n == 0 && sent > 10 })

	f.start(f.peers[6], "-join")
	join, err := json.Marshal(ringChange{Join: &f.peers[6]})
	require.NoError(t, err)
	f.within(10*time.Second, "a3 joins", func() bool { return f.do("POST", "c1", "/members", string(join), new(state)) })
	f.within(20*time.Second, "a3 holds its share", func() bool { return f.settled("c1", 3) })
	f.within(10*time.Second, "b2 leaves", func() bool { return f.do("POST", "c1", "/members", `{"leave": "b2"}`, new(state)) })
	f.within(20*time.Second, "the others hold its share", func() bool { return f.settled("c1", 5) && f.settled("a3", 5) })
	stop()
	wg.Wait()

	want := map[string][]string{}
	for _, w := range writers {
		require.NotEmpty(t, w.acked)
		for key, elements := range w.acked {
			want[key] = append(want[key], elements...)
		}
		t.Logf("%d writes tried", w.tried)
	}
	for id := range f.up { // b2 too, which holds nothing any more
		f.within(20*time.Second, "through with the ring", func() bool { return f.settled(id, 5) })
		for _, key := range slices.Sorted(maps.Keys(want)) {
			var c cart
			f.within(10*time.Second, "a read", func() bool { return f.do("GET", id, "/carts/"+key+"?level=majority", "", &c) })
			require.Subset(t, c.Elements, want[key], "%s by way of %s", key, id)
		}
		var s stats
		f.within(20*time.Second, "what it does not hold is dropped", func() bool { return f.do("GET", id, "/stats", "", &s) && s.Strays == 0 })
		require.Equal(t, id == "b2", s.Keys == 0, "%s has %d keys", id, s.Keys)
	}
}

// The main job: run with no flag, do what the README says, stop it as Ctrl-C does.
func TestLinesOfTheReadmeWork(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var out buffer
	done := make(chan error, 1)
	go func() { done <- run(ctx, &out, []string{"-http", "127.0.0.1:18001", "-listen", "127.0.0.1:0"}) }()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "Ctrl-C") }, 10*time.Second, 10*time.Millisecond)

	lines := regexp.MustCompile(`(?m)^  (.*\bcurl .*)$`).FindAllStringSubmatch(out.String(), -1)
	require.Greater(t, len(lines), 10)
	conditions := 0
	for _, line := range lines {
		if strings.HasPrefix(line[1], "tag=") {
			conditions++
			changesNothingUnread(t, line[1])
		}
		got, err := exec.CommandContext(t.Context(), "sh", "-c", line[1]+" -sS").CombinedOutput()
		require.NoError(t, err, "%s: %s", line[1], got)
		if strings.HasSuffix(line[1], "# 412") {
			require.Contains(t, string(got), "precondition_failed", line[1])
			continue
		}
		require.NotContains(t, string(got), `"error"`, line[1])
		t.Logf("%s\n%.300s", line[1], got)
	}
	require.Equal(t, 1, conditions)
	stop()
	require.NoError(t, <-done)
}

// changesNothingUnread runs a line that reads a cart and changes it if it is still that, so that it cannot be read: it is
// not changed then.
func changesNothingUnread(t *testing.T, line string) {
	t.Helper()
	parts := regexp.MustCompile(`^tag=\$\((curl .*) (\S+/carts/\S+)\) (.*)$`).FindStringSubmatch(line)
	require.Len(t, parts, 4, line)
	read := func() string {
		got, err := exec.CommandContext(t.Context(), "curl", "-fsS", parts[2]).CombinedOutput()
		require.NoError(t, err, "%s", got)
		var c cart
		require.NoError(t, json.Unmarshal(got, &c))
		return c.Revision
	}
	before := read()
	for _, unread := range []string{parts[2] + "-that-is-not-there", "127.0.0.1:1/carts/x"} {
		got, err := exec.CommandContext(t.Context(), "sh", "-c", fmt.Sprintf("tag=$(%s %s) %s", parts[1], unread, parts[3])).CombinedOutput()
		require.Error(t, err, "%s", got)
	}
	require.Equal(t, before, read())
}

// alone is a cluster of one node, whose API is served by the test.
func alone(t *testing.T) (*node, func(method, path, body string) (int, failure)) {
	n, err := newNode(config{id: "a1", zone: "a", timeout: time.Second}, "127.0.0.1:1")
	require.NoError(t, err)
	api := n.api()
	return n, func(method, path, body string) (int, failure) {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		var f failure
		_ = json.Unmarshal(w.Body.Bytes(), &f)
		return w.Code, f
	}
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	_, do := alone(t)
	for _, c := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/carts/none", "", 404, "not_found"},
		{"GET", "/carts/none?level=most", "", 400, "bad_request"},
		{"GET", "/carts/none?level=any", "", 400, "bad_request"},
		{"PUT", "/carts/x/y?level=three", "", 400, "bad_request"},
		{"POST", "/members", `{}`, 400, "bad_request"},
		{"POST", "/members", `{"leave": "b1"}`, 400, "bad_request"},
		{"POST", "/members", `{"join": {"id": "b1"}}`, 400, "bad_request"},
		{"POST", "/members", `{"join": {"id": "b1", "zone": "b", "addr": "junk"}}`, 400, "bad_request"},
		{"POST", "/members", `{"abort": true, "leave": "a1"}`, 400, "bad_request"},
		{"POST", "/members", `{"abort": true}`, 409, "conflict"},
		{"PUT", "/carts/x/y?level=each-majority", "", 200, ""},
		{"DELETE", "/carts/x/y?level=local-majority", "", 200, ""},
		{"DELETE", "/carts/none/y", "", 200, ""},
	} {
		status, f := do(c.method, c.path, c.body)
		require.Equal(t, c.status, status, "%s %s %s: %s", c.method, c.path, c.body, f.Message)
		require.Equal(t, c.code, f.Code, "%s %s %s", c.method, c.path, c.body)
	}
}

// Who does not hold a key makes no change of it, and says so.
func TestAChangeIsMadeByAnOwner(t *testing.T) {
	var peers []peer
	for _, id := range []string{"a2", "b1", "b2", "c1", "c2"} {
		peers = append(peers, peer{transport.NodeID(id), id[:1], "127.0.0.1:1"})
	}
	n, err := newNode(config{id: "a1", zone: "a", peers: peers, timeout: time.Second}, "127.0.0.1:1")
	require.NoError(t, err)
	made := map[string]bool{}
	for i := range 20 {
		key := fmt.Sprint(i)
		delta, err := n.apply(change{Key: key, Element: "milk"}, nil)
		owner := slices.Contains(n.ring.Place(key).Owners, n.config.id)
		require.Equal(t, owner, err == nil)
		require.Equal(t, owner, len(delta) > 0)
		if !owner {
			require.ErrorIs(t, err, errMoved)
		}
		made[fmt.Sprint(owner)] = true
	}
	require.Len(t, made, 2)

	n, err = newNode(config{id: "a3", zone: "a", peers: peers, joins: true, timeout: time.Second}, "127.0.0.1:1")
	require.NoError(t, err)
	_, err = n.apply(change{Key: "x", Element: "milk"}, nil)
	require.ErrorIs(t, err, errMoved, "before it is told of the ring")
}

func TestFlags(t *testing.T) {
	plain := func(args ...string) []string {
		return append([]string{"-plain", "-id", "a1", "-zone", "a", "-http", "127.0.0.1:0"}, args...)
	}
	for _, args := range [][]string{
		{"-peers", "b1/b=127.0.0.1:1"}, {"-join"}, {"-gossip", "127.0.0.1:0"}, {"-deny", "b1"}, {"-timeout", "0s"}, {"-settle", "0s"}, {"x"},
		{"-id", "a1", "-zone", "a", "-http", "127.0.0.1:0"},
		{"-id", "a1", "-zone", "a", "-http", "127.0.0.1:0", "-tls", t.TempDir()},
		plain("-tls", "."), plain("-zone", "b", "-peers", "a1/a=127.0.0.1:1"), plain("-peers", "b1=127.0.0.1:1"), plain("-peers", "b1/b=127.0.0.1:1,b1/b=127.0.0.1:1"),
		plain("-seeds", "127.0.0.1:1"), plain("-gossip", "nonsense"), {"certs"}, {"certs", t.TempDir()},
	} {
		require.Error(t, run(t.Context(), io.Discard, args), "%v", args)
	}
}

// What cannot work is said before the node says that it is there, and in words of the flags.
func TestFlagsSayWhatIsWrong(t *testing.T) {
	for want, args := range map[string][]string{
		"-id needs -zone":        {},
		"-id needs -zone, a":     {"-zone", "a/b"},
		`-seeds: "junk" is`:      {"-zone", "a", "-gossip", "127.0.0.1:0", "-seeds", "127.0.0.1:1,junk"},
		`"b1/b=junk" is not`:     {"-zone", "a", "-peers", "b1/b=junk"},
		`"b1/b=:7001" is not`:    {"-zone", "a", "-peers", "b1/b=:7001"},
		`-gossip: ":7101" names`: {"-zone", "a", "-gossip", ":7101"},
		`"0.0.0.0:7101" names`:   {"-zone", "a", "-gossip", "0.0.0.0:7101"},
		`"[::]:7101" names`:      {"-zone", "a", "-gossip", "[::]:7101"},
		`-gossip: "nonsense" is`: {"-zone", "a", "-gossip", "nonsense"},
	} {
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		var out buffer
		err := run(ctx, &out, append([]string{"-plain", "-id", "a1", "-http", "127.0.0.1:0"}, args...))
		stop()
		require.ErrorContains(t, err, want, "%v", args)
		require.Empty(t, out.String(), "%v", args)
	}
}

// A node that begins a cluster of its own says so, and only then.
func TestAClusterOfItsOwnIsTold(t *testing.T) {
	data := t.TempDir()
	for _, c := range []struct {
		args []string
		own  bool
	}{
		{nil, true},
		{[]string{"-peers", "a1/a=127.0.0.1:1"}, true}, // itself
		{[]string{"-data", data}, true},
		{[]string{"-data", data}, false}, // it is there already
		{[]string{"-peers", "b1/b=127.0.0.1:1"}, false},
		{[]string{"-join"}, false},
	} {
		ctx, stop := context.WithCancel(context.Background())
		var out buffer
		done := make(chan error, 1)
		args := append([]string{"-plain", "-id", "a1", "-zone", "a", "-http", "127.0.0.1:0"}, c.args...)
		go func() { done <- run(ctx, &out, args) }()
		require.Eventually(t, func() bool { return strings.Contains(out.String(), "clients on") }, time.Minute, time.Millisecond, "%v", args)
		stop()
		require.NoError(t, <-done)
		require.Equal(t, c.own, strings.Contains(out.String(), "node a1 begins a cluster of its own\n"), "%v: %s", args, out.String())
	}
}

// Names are also those of files and folders, so a bad one gets nowhere.
func TestNamesAreCheckedWhereTheyAreRead(t *testing.T) {
	dir := t.TempDir()
	for _, bad := range []string{"ca", "..", "../x", "A"} {
		for _, args := range [][]string{
			{"certs", dir, bad},
			{"-plain", "-id", bad, "-zone", "a", "-data", dir},
			{"-plain", "-id", "a1", "-zone", "a", "-peers", "b1/b=127.0.0.1:1," + bad + "/b=127.0.0.1:1"},
			{"-plain", "-id", "a1", "-zone", "a", "-deny", bad},
		} {
			err := run(t.Context(), io.Discard, append(args, "-http", "127.0.0.1:0"))
			if strings.Contains(bad, "/") && slices.Contains(args, "-peers") {
				require.ErrorContains(t, err, "is not name/zone=host:port")
				continue
			}
			require.ErrorIs(t, err, certs.ErrName, "%q", args)
		}
	}
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

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
