package benchmark

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
)

// What a process is told: the system that it is to run, and how many MiB it holds.
const (
	systemVariable = "EVENTUAL_BENCHMARK_SYSTEM"
	heapVariable   = "EVENTUAL_BENCHMARK_HEAP"
)

// held is memory that a process has beside what its system takes, as a service has: the
// collector works the more often, the less there is.
var held []byte

func TestMain(m *testing.M) {
	name := os.Getenv(systemVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if n, err := strconv.Atoi(os.Getenv(heapVariable)); err == nil && n > 0 {
		held = make([]byte, n<<20)
	}
	if err := serve(name, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// serve runs a system, and a load on it for each that comes in, until there are no
// more.
func serve(name string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c, err := start(ctx, name)
	if err != nil {
		return err
	}
	loads, results := gob.NewDecoder(in), gob.NewEncoder(out)
	for {
		var l load
		if err := loads.Decode(&l); errors.Is(err, io.EOF) {
			return c.system.close()
		} else if err != nil {
			return err
		}
		res, err := warmed(c, l)
		if err != nil {
			return err
		}
		if err := results.Encode(&res); err != nil {
			return err
		}
	}
}

func start(ctx context.Context, name string) (*callers, error) {
	for _, s := range systems {
		if s.name == name {
			system, err := s.start(ctx)
			return &callers{system: system}, err
		}
	}
	return nil, fmt.Errorf("no system %q", name)
}

// warmed runs a load after a fifth of it that does not count. The collector begins
// each alike.
func warmed(c *callers, l load) (result, error) {
	runtime.GC()
	before := l
	before.For /= 5
	if _, err := c.run(before); err != nil {
		return result{}, err
	}
	return c.run(l)
}

// A process runs one system, so that each has a heap, a collector and a scheduler to
// itself: what one leaves in memory makes nothing cheaper or dearer for another.
type process struct {
	cmd     *exec.Cmd
	in      io.Closer
	loads   *gob.Encoder
	results *gob.Decoder
}

func startProcess(ctx context.Context, name string) (*process, error) {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), systemVariable+"="+name, heapVariable+"="+strconv.Itoa(*heap))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &process{cmd: cmd, in: in, loads: gob.NewEncoder(in), results: gob.NewDecoder(out)}, cmd.Start()
}

func (p *process) run(l load) (res result, err error) {
	if err := p.loads.Encode(l); err != nil {
		return res, err
	}
	return res, p.results.Decode(&res)
}

func (p *process) close() error { return errors.Join(p.in.Close(), p.cmd.Wait()) }
