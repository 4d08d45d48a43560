package faults_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum/pbs"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/faults"
	"github.com/eventual-go/eventual/transport/mem"
)

func hello(_ context.Context, from transport.NodeID, _ string, _ []byte) ([]byte, error) {
	return []byte("hello " + from), nil
}

// A script over a network in memory. In a test, put it into a testing/synctest bubble:
// then it takes no time.
func ExampleScript_Run() {
	script, err := faults.Parse(`
		0s  links latency=1ms
		1ms partition a | b
		5ms heal
	`)
	if err != nil {
		fmt.Println(err)
		return
	}
	network := &mem.Network{Refuse: true}
	a := network.Node("a", nil)
	network.Node("b", transport.HandlerFunc(hello))

	for _, step := range script[:2] { // by hand; all of it by its times: script.Run(ctx, network)
		_ = network.Apply(step)
	}
	_, err = a.Call(context.Background(), "b", "greet", nil)
	fmt.Println(err)
	_ = network.Apply(script[2])
	resp, err := a.Call(context.Background(), "b", "greet", nil)
	fmt.Println(string(resp), err)
	// Output:
	// transport: unreachable: link between "a" and "b" is cut
	// hello a <nil>
}

// The same in a bubble: five seconds of faults that take a moment, and whose times
// are exact.
func TestExampleOfABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := new(mem.Network)
		a := network.Node("a", nil)
		network.Node("b", transport.HandlerFunc(hello))
		script := faults.Script{
			{At: time.Second, Do: "cut", From: "a", To: "b"},
			{At: 5 * time.Second, Do: "restore", From: "a", To: "b"},
		}
		go script.Run(t.Context(), network)
		call := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			_, err := a.Call(ctx, "b", "greet", nil)
			return err
		}
		require.NoError(t, call())
		time.Sleep(2 * time.Second)
		require.Error(t, call())
		time.Sleep(4 * time.Second)
		require.NoError(t, call())
	})
}

// Faults on a real transport, here TCP: the calls that a makes, and those that b
// answers, pass through the network that misbehaves.
func ExampleNetwork_Caller() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	nodes := onTCP{addrs: map[transport.NodeID]string{"b": ln.Addr().String()}}
	faulty := &faults.Network{Refuse: true}

	b := nodes.plain("b") // a *tcp.Transport
	go b.Serve(context.Background(), ln, faulty.Handler("b", transport.HandlerFunc(hello)))
	defer b.Close()
	tcp := nodes.plain("a")
	defer tcp.Close()
	a := faulty.Caller("a", tcp)

	faulty.SetLinks(faults.Link{Latency: time.Millisecond, Duplicate: 0.5})
	resp, err := a.Call(context.Background(), "b", "greet", nil)
	fmt.Println(string(resp), err)
	faulty.Cut("b", "a")
	_, err = a.Call(context.Background(), "b", "greet", nil)
	fmt.Println(err)
	// Output:
	// hello a <nil>
	// transport: unreachable: link between "a" and "b" is cut
}

func ExampleDrawing() {
	network := new(mem.Network)
	network.Faults().Trace = new(faults.Trace)
	a := network.Node("a", nil)
	network.Node("b", transport.HandlerFunc(hello))
	network.SetLink("a", "b", mem.Link{Latency: time.Millisecond})
	for range 3 {
		_, _ = a.Call(context.Background(), "b", "greet", nil)
	}

	page := filepath.Join(os.TempDir(), "eventual-faults.html") // to be opened by a browser
	file, err := os.Create(page)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(page)
	fmt.Println(faults.Drawing{Trace: network.Faults().Trace}.WriteHTML(file), file.Close())
	// Output: <nil> <nil>
}

// A random script for each seed: what must hold when all is whole again is asked when
// it has run.
func ExampleRandom() {
	random := faults.Random{Nodes: []transport.NodeID{"a", "b", "c"}, Length: 10 * time.Second, Faults: 2}
	fmt.Print(random.Script(4))
	// Output:
	// 2.57s link a b latency=18.4ms jitter=11ms loss=0.2 duplicate=0.146 reorder=0.021
	// 4.21s unlink a b
	// 6.38s cut b c
	// 9.63s restore b c
}

func ExampleParse() {
	_, err := faults.Parse("1s cut a b\n2s freze a")
	fmt.Println(err)
	script, _ := faults.Parse("60s every 1h cut a b # one way")
	fmt.Print(script)
	// Output:
	// faults: line 2: nothing is called "freze"
	// 1m0s every 1h0m0s cut a b
}

// Delays of any distribution, such as those of package pbs, have a name in scripts.
func ExampleNetwork_Apply() {
	network := faults.Network{Delays: map[string]faults.Distribution{
		"wan": pbs.Sum{pbs.Constant(40 * time.Millisecond), pbs.Exponential(10 * time.Millisecond)},
	}}
	script, _ := faults.Parse("0s link a b delay=wan loss=0.01\n0s link b a delay=lan")
	for _, step := range script {
		fmt.Println(network.Apply(step))
	}
	// Output:
	// <nil>
	// faults: no such step: no distribution "lan"
}

func ExampleReadTrace() {
	trace := new(faults.Trace)
	network := new(mem.Network)
	network.Faults().Trace = trace
	network.Cut("a", "b")

	var file strings.Builder // as it is kept beside a failing test
	_, _ = trace.WriteTo(&file)
	fmt.Print(file.String())

	read, err := faults.ReadTrace(strings.NewReader(file.String()))
	again := new(mem.Network)
	again.Faults().Replay = read // messages fare as they did; what was done to the network:
	fmt.Print(read.Script())
	fmt.Println(err)
	// Output:
	// {"trace":1,"dropped":0}
	// {"at":0,"what":"step","step":"cut a b"}
	// 0s cut a b
	// <nil>
}
