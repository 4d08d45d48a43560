package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/examples/internal/ports"
)

// A fleet is three kv processes that keep what they have in one folder.
type fleet struct {
	t     *testing.T
	kv    string
	data  string
	first int // of six ports
	up    []*exec.Cmd
}

func (f *fleet) start() {
	f.t.Helper()
	ids := []string{"a", "b", "c"}
	f.up = nil
	for i, id := range ids {
		var peers []string
		for j, other := range ids {
			if j != i {
				peers = append(peers, fmt.Sprintf("%s=127.0.0.1:%d", other, f.first+2*j))
			}
		}
		cmd := exec.Command(f.kv, "-plain", "-id", id, "-data", f.data, "-peers", strings.Join(peers, ","),
			"-listen", fmt.Sprintf("127.0.0.1:%d", f.first+2*i), "-http", strings.TrimPrefix(f.url(i), "http://"))
		cmd.Stderr = os.Stderr
		require.NoError(f.t, cmd.Start())
		f.up = append(f.up, cmd)
	}
	for i := range ids {
		require.Eventually(f.t, func() bool {
			resp, err := http.Get(f.url(i) + "/v1/counters/none?level=all")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			_, _ = io.Copy(io.Discard, resp.Body)
			return resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusOK
		}, 30*time.Second, 20*time.Millisecond)
	}
}

// kill ends all of them at once, in the middle of what they do.
func (f *fleet) kill() {
	for _, cmd := range f.up {
		_ = cmd.Process.Signal(syscall.SIGKILL)
	}
	for _, cmd := range f.up {
		_ = cmd.Wait()
	}
}

func (f *fleet) url(i int) string { return fmt.Sprintf("http://127.0.0.1:%d", f.first+2*i+1) }

// add adds 1 to a counter by way of a replica, and reports whether that was acknowledged.
func (f *fleet) add(i int, key string) bool {
	resp, err := http.Post(f.url(i)+"/v1/counters/"+key, "application/json", strings.NewReader(`{"add": 1}`))
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}

// What was acknowledged is there after all replicas were killed at once while they were written to, again and again.
func TestDataIsThereAfterSIGKILLOfAll(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes; runs without -short")
	}
	f := &fleet{t: t, kv: filepath.Join(t.TempDir(), "kv"), data: t.TempDir(), first: ports.Free(t, 6)}
	out, err := exec.Command("go", "build", "-o", f.kv, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	t.Cleanup(f.kill)

	const keys = 12
	var tried, acked [keys]int
	for range 3 {
		f.start()
		var wg sync.WaitGroup
		for k := range keys {
			wg.Go(func() {
				for {
					tried[k]++
					if !f.add(k%3, fmt.Sprint(k)) {
						return // it was killed
					}
					acked[k]++
				}
			})
		}
		time.Sleep(700 * time.Millisecond)
		f.kill()
		wg.Wait()
	}
	f.start()
	for k := range keys {
		require.Greater(t, acked[k], 3)
		resp, err := http.Get(f.url((k+1)%3) + "/v1/counters/" + fmt.Sprint(k) + "?level=all")
		require.NoError(t, err)
		var got struct{ Value int }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&got))
		_ = resp.Body.Close()
		require.GreaterOrEqual(t, got.Value, acked[k], "counter %d", k)
		require.LessOrEqual(t, got.Value, tried[k], "counter %d", k)
	}
	t.Logf("acknowledged %v, tried %v", acked, tried)
}
