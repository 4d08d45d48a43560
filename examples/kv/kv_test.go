package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/examples/internal/ports"
	"github.com/eventual-go/eventual/transport"
)

// A client speaks to one node of a cluster in this process.
type client struct {
	t   *testing.T
	url string
	n   *node
}

// cluster starts nodes a, b, c on real TCP and HTTP.
func cluster(t *testing.T) (a, b, c client) {
	t.Helper()
	return clusterOf(t, nil)
}

// clusterOf is cluster with clocks of their own for some.
func clusterOf(t *testing.T, clocks map[transport.NodeID]func() time.Time) (a, b, c client) {
	t.Helper()
	ids := []transport.NodeID{"a", "b", "c"}
	addrs, lns := map[transport.NodeID]string{}, map[transport.NodeID]net.Listener{}
	for _, id := range ids {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		addrs[id], lns[id] = ln.Addr().String(), ln
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
	clients := make([]client, len(ids))
	for i, id := range ids {
		peers := map[transport.NodeID]string{}
		for other, addr := range addrs {
			if other != id {
				peers[other] = addr
			}
		}
		n, err := newNode(id, peers, config{timeout: 2 * time.Second, faults: true, now: clocks[id]})
		require.NoError(t, err)
		web, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		wg.Go(func() {
			if err := n.run(ctx, lns[id], web); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		})
		clients[i] = client{t, "http://" + web.Addr().String(), n}
	}
	return clients[0], clients[1], clients[2]
}

func (c client) do(method, path, body string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	require.Equal(c.t, "application/json", resp.Header.Get("Content-Type"))
	require.True(c.t, json.Valid(b), "%s", b)
	return resp.StatusCode, strings.TrimSpace(string(b))
}

func (c client) ok(method, path, body string) string {
	c.t.Helper()
	status, got := c.do(method, path, body)
	require.Equal(c.t, http.StatusOK, status, "%s %s: %s", method, path, got)
	return got
}

func (c client) root() string {
	var s status
	require.NoError(c.t, json.Unmarshal([]byte(c.ok("GET", "/v1/status", "")), &s))
	return s.Root
}

func TestEveryKindIsWrittenAnywhereAndReadEverywhere(t *testing.T) {
	a, b, c := cluster(t)
	a.ok("POST", "/v1/counters/likes", `{"add": 3}`)
	b.ok("POST", "/v1/counters/likes", `{"add": -1}`)
	require.Equal(t, `{"value":2}`, c.ok("GET", "/v1/counters/likes", ""))

	a.ok("POST", "/v1/sets/cart", `{"add": ["milk", "bread"]}`)
	b.ok("POST", "/v1/sets/cart", `{"add": ["jam"], "remove": ["milk"]}`)
	require.Equal(t, `{"value":["bread","jam"]}`, c.ok("GET", "/v1/sets/cart", ""))

	a.ok("PUT", "/v1/registers/theme", `{"value": {"dark": [true, null, 1.5]}}`)
	require.Equal(t, `{"value":{"dark":[true,null,1.5]}}`, b.ok("GET", "/v1/registers/theme?level=all", ""))
	c.ok("PUT", "/v1/registers/theme", `{"value": null}`)
	require.Equal(t, `{"value":null}`, a.ok("GET", "/v1/registers/theme", ""))

	a.ok("POST", "/v1/counters/deep/path/with%20space", `{"add": 1}`)
	require.Equal(t, `{"keys":["cart","deep/path/with space","likes","theme"]}`, a.ok("GET", "/v1/keys", ""))
	require.Equal(t, `{"keys":["likes"]}`, a.ok("GET", "/v1/keys?prefix=li", ""))
}

func TestValuesKeepSiblingsUntilOneWhoSawThemWrites(t *testing.T) {
	a, b, c := cluster(t)
	a.ok("PUT", "/v1/values/title", `{"value": "Draft"}`)
	b.ok("PUT", "/v1/values/title", `{"value": "Sketch"}`)
	var got siblings
	require.NoError(t, json.Unmarshal([]byte(c.ok("GET", "/v1/values/title", "")), &got))
	require.Len(t, got.Values, 2)

	c.ok("PUT", "/v1/values/title", fmt.Sprintf(`{"value": "Final", "context": %q}`, got.Context))
	require.NoError(t, json.Unmarshal([]byte(a.ok("GET", "/v1/values/title", "")), &got))
	require.Equal(t, []json.RawMessage{json.RawMessage(`"Final"`)}, got.Values)

	// A context of another key, or a made-up one, would take away what nobody read.
	a.ok("PUT", "/v1/values/other", `{"value": 1}`)
	forged := []byte(got.Context)
	forged[len(forged)-1] ^= 1
	for path, context := range map[string]string{"/v1/values/other": got.Context, "/v1/values/title": string(forged)} {
		status, body := b.do("PUT", path, fmt.Sprintf(`{"value": 2, "context": %q}`, context))
		require.Contains(t, []int{http.StatusConflict, http.StatusBadRequest}, status, body)
	}
	require.Contains(t, c.ok("GET", "/v1/values/other", ""), `"values":[1]`)
}

// What clients grow apart, each side within its bound, still meets, is read, and
// can be taken away.
func TestAKeyThatIsFullCanStillBeReadAndEmptied(t *testing.T) {
	a, b, c := cluster(t)
	big := func(n int) string { return fmt.Sprintf(`{"value": %q}`, strings.Repeat("x", 1<<19)+fmt.Sprint(n)) }
	a.ok("POST", "/v1/faults", `{"cut": ["b", "c"]}`)
	full := 0
	for i := range 24 {
		for _, n := range []client{a, b} {
			status, body := n.do("PUT", "/v1/values/huge?level=one", big(i))
			if status != http.StatusOK {
				require.Equal(t, http.StatusRequestEntityTooLarge, status, body)
				full++
			}
		}
	}
	require.Positive(t, full)
	a.ok("POST", "/v1/faults", `{}`)
	require.Eventually(t, func() bool { return a.root() == b.root() && b.root() == c.root() }, 20*time.Second, 50*time.Millisecond)

	var got siblings
	require.NoError(t, json.Unmarshal([]byte(c.ok("GET", "/v1/values/huge", "")), &got))
	require.Greater(t, len(got.Values), 10)
	c.ok("POST", "/v1/counters/huge", `{"add": 1}`)
	c.ok("PUT", "/v1/values/huge", fmt.Sprintf(`{"value": "merged", "context": %q}`, got.Context))
	require.Contains(t, a.ok("GET", "/v1/values/huge", ""), `"values":["merged"]`)
}

// One wrong clock does not keep the others from answering.
func TestAClockFarAheadHarmsOnlyItsOwnReplica(t *testing.T) {
	a, b, c := clusterOf(t, map[transport.NodeID]func() time.Time{
		"c": func() time.Time { return time.Now().Add(5 * time.Minute) },
	})
	a.ok("POST", "/v1/counters/k?level=all", `{"add": 1}`)
	status, _ := c.do("PUT", "/v1/registers/k", `{"value": "from the future"}`)
	require.Equal(t, http.StatusServiceUnavailable, status)
	for range 50 {
		require.Equal(t, `{"value":1}`, a.ok("GET", "/v1/counters/k", ""))
		b.ok("PUT", "/v1/registers/k", `{"value": "now"}`)
	}
	require.Eventually(t, func() bool {
		a.ok("POST", "/v1/sync", "")
		return !strings.Contains(a.ok("GET", "/v1/status", ""), `"id":"c","reachable":true,"last_sync":null,"refused":0`) &&
			strings.Contains(a.ok("POST", "/v1/sync", ""), `"refused":1`)
	}, 10*time.Second, 50*time.Millisecond, "and it can be seen that something is left out")
}

func TestKeysAreWhatClientsWrote(t *testing.T) {
	a, b, _ := cluster(t)
	keys := []string{"a//b", ".", "..", "a/../b", "a/", "ä", "x%00y", "%2F", "key?no"}
	for i, key := range keys {
		path := "/v1/counters/" + strings.ReplaceAll(strings.ReplaceAll(key, "?", "%3F"), "ä", "%C3%A4")
		a.ok("POST", path, fmt.Sprintf(`{"add": %d}`, i+1))
		require.Equal(t, fmt.Sprintf(`{"value":%d}`, i+1), b.ok("GET", path, ""))
	}
	var got struct{ Keys []string }
	require.NoError(t, json.Unmarshal([]byte(a.ok("GET", "/v1/keys", "")), &got))
	require.ElementsMatch(t, []string{"a//b", ".", "..", "a/../b", "a/", "ä", "x\x00y", "/", "key?no"}, got.Keys)
}

func TestNothingToDoIsNotAFailure(t *testing.T) {
	a, _, _ := cluster(t)
	require.Equal(t, `{"acked":3}`, a.ok("DELETE", "/v1/counters/none?level=all", ""))
	require.Equal(t, `{"acked":3}`, a.ok("POST", "/v1/counters/none?level=all", `{"add": 0}`))
	require.Equal(t, `{"acked":1}`, a.ok("DELETE", "/v1/sets/none?level=one", ""))
}

// What is under way when the service is told to stop still gets its answer.
func TestStopLetsRequestsFinish(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	web, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n, err := newNode("a", nil, config{timeout: time.Second})
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- n.run(ctx, ln, web) }()

	body, feed := io.Pipe()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://"+web.Addr().String()+"/v1/counters/x", body)
	require.NoError(t, err)
	req.Header.Set("Expect", "100-continue") // the body is asked for once the request is under way
	patient := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	answered := make(chan int, 1)
	go func() {
		resp, err := patient.Do(req)
		if err != nil {
			answered <- 0
			return
		}
		_ = resp.Body.Close()
		answered <- resp.StatusCode
	}()
	_, err = feed.Write([]byte(`{"add":`))
	require.NoError(t, err)
	stop()
	_, err = feed.Write([]byte(` 1}`))
	require.NoError(t, err)
	require.NoError(t, feed.Close())
	require.Equal(t, http.StatusOK, <-answered)
	require.NoError(t, <-done)
}

func TestDeleteTakesAwayOneKind(t *testing.T) {
	a, b, c := cluster(t)
	a.ok("POST", "/v1/counters/x", `{"add": 5}`)
	a.ok("POST", "/v1/sets/x", `{"add": ["kept"]}`)
	b.ok("DELETE", "/v1/counters/x", "")
	status, body := c.do("GET", "/v1/counters/x", "")
	require.Equal(t, http.StatusNotFound, status, body)
	require.Equal(t, `{"value":["kept"]}`, c.ok("GET", "/v1/sets/x", ""))
	c.ok("POST", "/v1/counters/x", `{"add": 3}`)
	require.Equal(t, `{"value":3}`, a.ok("GET", "/v1/counters/x", ""), "not 8: the reset was exact")
	for _, k := range []string{"counters", "sets", "registers", "values"} {
		a.ok("DELETE", "/v1/"+k+"/x", "")
	}
	require.Equal(t, `{"keys":[]}`, a.ok("GET", "/v1/keys?prefix=x", ""))
}

func TestErrorsSayWhatIsWrong(t *testing.T) {
	a, _, _ := cluster(t)
	for _, tt := range []struct {
		method, path, body string
		status             int
		code               string
	}{
		{"GET", "/v1/counters/none", "", 404, "not_found"},
		{"GET", "/v1/nothing/none", "", 404, "not_found"},
		{"GET", "/v1/counters/", "", 400, "bad_request"},
		{"GET", "/v1/counters/" + strings.Repeat("k", 513), "", 400, "bad_request"},
		{"POST", "/v1/counters/x", `{"add": 1.5}`, 400, "bad_request"},
		{"POST", "/v1/counters/x", `{"add": 9223372036854775808}`, 400, "bad_request"},
		{"POST", "/v1/counters/x", `{}`, 400, "bad_request"},
		{"POST", "/v1/counters/x", ``, 400, "bad_request"},
		{"POST", "/v1/counters/x", `{"add": 1, "by": "me"}`, 400, "bad_request"},
		{"POST", "/v1/counters/x", `{"add": 1} {"add": 1}`, 400, "bad_request"},
		{"POST", "/v1/sets/x", `{"add": "x"}`, 400, "bad_request"},
		{"POST", "/v1/sets/x", `{"add": ["x"], "remove": ["x"]}`, 400, "bad_request"},
		{"POST", "/v1/sets/x", `{"add": [1]}`, 400, "bad_request"},
		{"POST", "/v1/sets/x", `{"add": ["` + strings.Repeat("x", maxBody) + `"]}`, 413, "too_large"},
		{"POST", "/v1/counters/x", `{"add": 1}]`, 400, "bad_request"},
		{"PUT", "/v1/registers/x", "{\"value\": \"\xff\"}", 400, "bad_request"},
		{"GET", "/v1/counters/x%ff", "", 400, "bad_request"},
		{"GET", "/v1/counters/x?r=%zz", "", 400, "bad_request"},
		{"GET", "/v1/counters/x?r=1&level=all", "", 400, "bad_request"},
		{"GET", "/v1/counters", "", 404, "not_found"},
		{"PATCH", "/v1/counters/x", "", 404, "not_found"},
		{"PUT", "/v1/registers/x", `{}`, 400, "bad_request"},
		{"PUT", "/v1/values/x", `{"value": 1, "context": "!"}`, 400, "bad_request"},
		{"PUT", "/v1/values/x", `{"value": 1, "context": "AAAA"}`, 400, "bad_request"},
		{"GET", "/v1/counters/x?level=most", "", 400, "bad_request"},
		{"GET", "/v1/counters/x?r=4", "", 400, "bad_request"},
		{"GET", "/v1/counters/x?r=0", "", 400, "bad_request"},
		{"POST", "/v1/faults", `{"loss": 2}`, 400, "bad_request"},
		{"POST", "/v1/faults", `{"cut": ["z"]}`, 400, "bad_request"},
	} {
		status, body := a.do(tt.method, tt.path, tt.body)
		require.Equal(t, tt.status, status, "%s %.60s %.60s: %s", tt.method, tt.path, tt.body, body)
		require.Contains(t, body, `"code":"`+tt.code+`"`)
	}
}

func TestCutApartBothSidesWriteAndAgreeAgain(t *testing.T) {
	a, b, c := cluster(t)
	a.ok("POST", "/v1/counters/likes?level=all", `{"add": 3}`)
	a.ok("POST", "/v1/faults", `{"cut": ["b", "c"]}`)
	a.ok("POST", "/v1/counters/likes?level=one", `{"add": 10}`)
	b.ok("POST", "/v1/counters/likes", `{"add": 100}`)

	status, body := a.do("POST", "/v1/counters/likes", `{"add": 1000}`)
	require.Contains(t, []int{http.StatusServiceUnavailable, http.StatusGatewayTimeout}, status)
	require.Contains(t, body, `"answered":1,"needed":2`)
	require.Equal(t, `{"value":13}`, a.ok("GET", "/v1/counters/likes?level=one", ""), "refused before it was written")
	require.NotEqual(t, a.root(), b.root())

	a.ok("POST", "/v1/faults", `{}`)
	require.Eventually(t, func() bool { return a.root() == b.root() && b.root() == c.root() }, 10*time.Second, 10*time.Millisecond)
	for _, n := range []client{a, b, c} {
		require.Equal(t, `{"value":113}`, n.ok("GET", "/v1/counters/likes?level=one", ""))
	}
}

func TestSyncNow(t *testing.T) {
	a, b, _ := cluster(t)
	require.Eventually(t, func() bool {
		return !strings.Contains(a.ok("POST", "/v1/sync", ""), "error")
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, a.root(), b.root())
	require.NotContains(t, a.ok("GET", "/v1/status", ""), `"last_sync":null`)
}

func TestLossAndDelayOnlySlowItDown(t *testing.T) {
	a, b, c := cluster(t)
	a.ok("POST", "/v1/faults", `{"delay": "5ms", "loss": 0.2}`)
	for i := range 20 {
		a.ok("POST", fmt.Sprintf("/v1/sets/s%d?level=one", i), `{"add": ["x"]}`)
	}
	require.Eventually(t, func() bool { return a.root() == b.root() && b.root() == c.root() }, 30*time.Second, 20*time.Millisecond)
	require.Equal(t, `{"value":["x"]}`, c.ok("GET", "/v1/sets/s19?level=one", ""))
}

// The main job: run with no flag, do what it prints, stop it as Ctrl-C does.
func TestPrintedLinesWorkAsPrinted(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	var out buffer
	done := make(chan error, 1)
	go func() { done <- run(ctx, &out, []string{"-http", "127.0.0.1:18080", "-faults"}) }()
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "Ctrl-C") }, 10*time.Second, 10*time.Millisecond)

	lines := regexp.MustCompile(`(?m)^  (curl .*)$`).FindAllStringSubmatch(out.String(), -1)
	require.Greater(t, len(lines), 15)
	for _, line := range lines {
		got, err := exec.CommandContext(t.Context(), "sh", "-c", line[1]+" -sS").CombinedOutput()
		require.NoError(t, err, "%s: %s", line[1], got)
		require.True(t, json.Valid(got), "%s: %s", line[1], got)
		require.NotContains(t, string(got), `"error"`, line[1])
	}
	stop()
	require.NoError(t, <-done)
	require.Contains(t, out.String(), "stopped")
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

func TestClientsByASocketOfUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.sock")
	left, err := net.Listen("unix", path)
	require.NoError(t, err)
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	_, err = listenWeb("unix:" + path)
	require.Error(t, err, "it is in use")
	require.NoError(t, left.Close())

	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx, io.Discard, []string{"-id", "a", "-plain", "-http", "unix:" + path}) }()
	t.Cleanup(func() { stop(); require.NoError(t, <-done) })
	web := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	t.Cleanup(web.CloseIdleConnections)
	require.Eventually(t, func() bool {
		resp, err := web.Post("http://a/v1/counters/x", "", strings.NewReader(`{"add": 1}`))
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 10*time.Second, 10*time.Millisecond)
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-peers", "b=127.0.0.1:1"},
		{"-id", "a"},
		{"-id", "a", "-plain", "-tls", "."},
		{"-id", "a", "-tls", "nowhere"},
		{"-id", "a", "-plain", "-peers", "b"},
		{"-id", "a", "-plain", "-peers", "a=127.0.0.1:1"},
		{"-id", "a", "-plain", "-peers", "b=127.0.0.1:1,b=127.0.0.1:2"},
		{"-id", "a", "-plain", "-peers", "@nowhere"},
		{"-id", "a", "-plain", "-http", "nonsense"},
		{"certs"},
		{"certs", "nowhere"},
		{"more"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := run(ctx, io.Discard, args)
		cancel()
		require.Error(t, err, "%v", args)
	}
}

// Three processes, a partition, a SIGKILL: the script that prints the times.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; runs without -short")
	}
	script, err := filepath.Abs("demo.sh")
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), "bash", script, "300")
	cmd.Env = append(os.Environ(), fmt.Sprintf("KV_PORT=%d", ports.Free(t, 6)))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	require.NoError(t, err)
}
