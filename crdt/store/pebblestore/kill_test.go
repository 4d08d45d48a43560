package pebblestore

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt/store"
)

var kills = flag.Int("kills", 12, "how often a process that writes is killed")

// A plan is what a process of its own does until it is killed.
type plan struct {
	Dir   string
	Life  int
	Steps int   // of each hand
	Dies  int64 // kills itself at this write to the disk, if it is not zero
	Seed  uint64
}

const planned = "PEBBLESTORE_PLAN"

// options have little in memory, so that tables are written and compacted, too.
func options(fs vfs.FS) Options { return Options{FS: fs, Table: 32 << 10, Cache: 1 << 20} }

// config is that of a store which gives up what it holds in memory all the time.
func config(c store.Config) store.Config {
	c.Secret, c.Cache = secret, 2000
	return c
}

// A suicide ends the process at a write to the disk, as kill -9 does, before the write or while others are under way.
type suicide struct{ left atomic.Int64 }

func (s *suicide) String() string { return "suicide" }

func (s *suicide) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && s.left.Add(-1) == 0 {
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			_ = p.Kill()
		}
		select {} // it takes a moment
	}
	return nil
}

// TestWriterProcess is what the killed process runs. It writes lines to its third file.
func TestWriterProcess(t *testing.T) {
	text := os.Getenv(planned)
	if text == "" {
		t.Skip("runs in a process of its own")
	}
	var p plan
	require.NoError(t, json.Unmarshal([]byte(text), &p))
	out := json.NewEncoder(os.NewFile(3, "lines"))
	var mu sync.Mutex
	tell := func(l line) {
		mu.Lock()
		defer mu.Unlock()
		require.NoError(t, out.Encode(l))
	}
	end := new(suicide)
	end.left.Store(p.Dies)
	b, err := Open(p.Dir, options(errorfs.Wrap(vfs.Default, end)))
	require.NoError(t, err)
	s, err := store.Open(config(store.Config{}), b)
	require.NoError(t, err)
	require.NoError(t, meets(s))
	tell(line{Is: "opened"})
	require.NoError(t, together(s, p.Life, p.Steps, rand.New(rand.NewPCG(p.Seed, 0)), tell, func() error {
		tell(line{Is: "closing"})
		return s.Close()
	}))
	tell(line{Is: "closed"})
}

// run has a process carry out a plan, kills it after so many lines, and returns those that it wrote.
func (p plan) run(t *testing.T, killAfter int) (lines []line, killed bool) {
	t.Helper()
	text, err := json.Marshal(p)
	require.NoError(t, err)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestWriterProcess$")
	cmd.Env = append(os.Environ(), planned+"="+string(text))
	cmd.ExtraFiles = []*os.File{w}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	require.NoError(t, cmd.Start())
	require.NoError(t, w.Close())
	in := bufio.NewReaderSize(r, 1<<20)
	for {
		text, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // also in the middle of a line
		}
		require.NoError(t, err)
		var l line
		require.NoError(t, json.Unmarshal(text, &l))
		lines = append(lines, l)
		if len(lines) == killAfter {
			require.NoError(t, cmd.Process.Kill())
		}
	}
	err = cmd.Wait()
	_, exited := errors.AsType[*exec.ExitError](err)
	if killed = exited && cmd.ProcessState.ExitCode() == -1; !killed {
		require.NoError(t, err, "%s", said.String())
	}
	return lines, killed
}

// A process that writes to one folder is killed again and again, at any write to the disk and after any line: while it
// opens, writes from several goroutines, forgets, and closes. Whatever it had acknowledged is there, batches are whole,
// and nothing is numbered twice, though others have what was handed out and lost.
//
//	go test -run TestKilled -kills 200
func TestKilled(t *testing.T) {
	dir, w := filepath.Join(t.TempDir(), "data"), newWitness(t)
	rng := rand.New(rand.NewPCG(uint64(*kills), 0))
	want := *kills
	if testing.Short() {
		want = min(want, 4)
	}
	killed, acked, out, closed := 0, 0, 0, 0
	for n := 0; killed < want; n++ {
		p := plan{Dir: dir, Life: n, Steps: []int{0, 4, 20, 100}[rng.IntN(4)], Seed: rng.Uint64()}
		killAfter := 0
		if rng.IntN(2) == 0 {
			p.Dies = 1 + rng.Int64N([]int64{40, 100, 600}[rng.IntN(3)])
		} else {
			killAfter = 1 + rng.IntN(1+p.Steps*10)
		}
		lines, died := p.run(t, killAfter)
		l := &life{lines: lines, least: len(lines), most: len(lines), durable: len(lines)}
		for _, line := range lines {
			acked, out = acked+count(line.Is == "done"), out+count(line.Is == "out")
		}
		killed, closed = killed+count(died), closed+count(told(lines, "closed"))
		w.reopen(dir, options(nil), l, n)
	}
	t.Logf("%d kills, %d closed, %d acknowledged, %d handed out, %d events", killed, closed, acked, out, len(w.dots))
}

func count(is bool) int {
	if is {
		return 1
	}
	return 0
}

// reopen opens what a life has left, checks it, writes to it, and closes it.
func (w *witness) reopen(dir string, o Options, l *life, n int) {
	w.Helper()
	var rotated []store.Rotation
	b, err := Open(dir, o)
	require.NoError(w, err)
	s, err := store.Open(config(store.Config{Events: store.Events{
		Rotated: func(r store.Rotation) { rotated = append(rotated, r) },
	}}), b)
	require.NoError(w, err)
	w.judge(s, b, rotated, l, 10*n+1)
	require.NoError(w, s.Close())
}
