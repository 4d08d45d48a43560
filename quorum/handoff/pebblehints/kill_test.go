package pebblehints

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum/handoff"
)

var kills = flag.Int("kills", 4, "how often a process that keeps hints is killed")

const killed = "PEBBLEHINTS_LIFE"

// TestKeeperProcess is what the killed process runs. It keeps hints, of four goroutines,
// and writes a line to its third file for each that is acknowledged.
func TestKeeperProcess(t *testing.T) {
	text, dir, ok := strings.Cut(os.Getenv(killed), " ")
	if !ok {
		t.Skip("runs in a process of its own")
	}
	life, err := strconv.Atoi(text)
	require.NoError(t, err)
	h := &handoff.Handoff{Join: union, Log: open(t, dir, nil)}
	out := os.NewFile(3, "lines")
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := 0; ; n++ {
				key, delta := fmt.Sprint(i, "-", n%50), string(rune('a'+(life+n/50)%26))
				if err := h.Keep(t.Context(), "b", key, []byte(delta)); err != nil {
					t.Error(err)
					return
				}
				if _, err := fmt.Fprintln(out, key, delta); err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}

// A process that keeps hints is killed again and again. Whatever it had acknowledged is
// held by the next one.
func TestKilled(t *testing.T) {
	dir, owed := t.TempDir(), map[string]string{}
	for n := range *kills {
		acknowledged(t, dir, n, 20+n*150, owed)
		l := open(t, dir, nil)
		h := &handoff.Handoff{Join: union, Log: l}
		for key, deltas := range owed {
			state := held(t, h, key)
			for _, d := range deltas {
				require.Contains(t, state, string(d), key)
			}
		}
		require.NoError(t, l.Close())
	}
	require.NotEmpty(t, owed)
}

// acknowledged runs the process for its n-th life, kills it after so many lines, and adds what it wrote.
func acknowledged(t *testing.T, dir string, life, lines int, owed map[string]string) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKeeperProcess$")
	cmd.Env = append(os.Environ(), fmt.Sprint(killed, "=", life, " ", dir))
	cmd.ExtraFiles = []*os.File{w}
	require.NoError(t, cmd.Start())
	require.NoError(t, w.Close())
	in := bufio.NewScanner(r)
	for n := 0; in.Scan(); n++ {
		if n == lines {
			require.NoError(t, cmd.Process.Kill())
		}
		if key, delta, ok := strings.Cut(in.Text(), " "); ok && len(delta) == 1 {
			owed[key] += delta
		}
	}
	require.ErrorContains(t, cmd.Wait(), "killed", strconv.Itoa(lines))
}
