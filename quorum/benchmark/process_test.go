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
	"testing"
)

// clusterVariable names the cluster that a process is to run.
const clusterVariable = "EVENTUAL_BENCHMARK_CLUSTER"

func TestMain(m *testing.M) {
	name := os.Getenv(clusterVariable)
	if name == "" {
		os.Exit(m.Run())
	}
	if err := serve(context.Background(), name, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// serve runs a cluster, and a load on it for each that comes in, until there are no
// more. The first one says also which keys there are.
func serve(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	c, err := starters[name](ctx)
	if err != nil {
		return err
	}
	loads, results := gob.NewDecoder(in), gob.NewEncoder(out)
	for filled := false; ; filled = true {
		var l load
		if err := loads.Decode(&l); errors.Is(err, io.EOF) {
			return c.close()
		} else if err != nil {
			return err
		}
		if !filled {
			if err := fill(ctx, c, l); err != nil {
				return err
			}
		}
		res, err := warmed(ctx, c, l)
		if err != nil {
			return err
		}
		if err := results.Encode(&res); err != nil {
			return err
		}
	}
}

// warmed runs a load after a fifth of it that does not count. The collector begins
// each alike.
func warmed(ctx context.Context, c cluster, l load) (result, error) {
	runtime.GC()
	before := l
	before.For /= 5
	if _, err := run(ctx, c, before); err != nil {
		return result{}, err
	}
	return run(ctx, c, l)
}

// A process runs one cluster, so that each has a heap, a collector and a scheduler to
// itself: what one leaves in memory makes nothing cheaper or dearer for another.
type process struct {
	cmd     *exec.Cmd
	in      io.Closer
	loads   *gob.Encoder
	results *gob.Decoder
}

func startProcess(ctx context.Context, name string) (*process, error) {
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), clusterVariable+"="+name)
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
