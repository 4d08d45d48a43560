package mem_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/faults"
	"github.com/eventual-go/eventual/transport/mem"
)

func hello(_ context.Context, from transport.NodeID, _ string, _ []byte) ([]byte, error) {
	return []byte("hello " + from), nil
}

func Example() {
	net := &mem.Network{Seed: 1}
	a := net.Node("a", nil)
	net.Node("b", transport.HandlerFunc(hello))
	resp, err := a.Call(context.Background(), "b", "greet/hello", []byte("hi"))
	fmt.Println(string(resp), err)
	// Output: hello a <nil>
}

func ExampleNetwork_Partition() {
	net := &mem.Network{Refuse: true}
	a := net.Node("a", nil)
	net.Node("b", transport.HandlerFunc(hello))
	net.Node("c", transport.HandlerFunc(hello))

	net.Partition([]transport.NodeID{"a", "b"}, []transport.NodeID{"c"})
	for _, to := range []transport.NodeID{"b", "c"} {
		_, err := a.Call(context.Background(), to, "greet", nil)
		fmt.Println(to, errors.Is(err, transport.ErrUnreachable))
	}
	net.Heal()
	_, err := a.Call(context.Background(), "c", "greet", nil)
	fmt.Println("c", err)
	// Output:
	// b false
	// c true
	// c <nil>
}

func ExampleNetwork_SetLink() {
	net := &mem.Network{Seed: 7, Link: mem.Link{Latency: time.Millisecond}}
	a := net.Node("a", nil)
	net.Node("b", transport.HandlerFunc(hello))
	net.SetLink("a", "b", mem.Link{Loss: 1}) // requests; replies to b's requests too

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := a.Call(ctx, "b", "greet", nil)
	fmt.Println(err, net.Stats().Lost)
	// Output: context deadline exceeded 1
}

// A script of faults, done by its times: what it says of links and nodes, and which
// of them go down.
func ExampleNetwork_Apply() {
	net := &mem.Network{Refuse: true}
	net.Faults().Trace = new(faults.Trace) // to be drawn, see faults.Drawing
	a := net.Node("a", nil)
	net.Node("b", transport.HandlerFunc(hello))

	script, err := faults.Parse("0s cut a b\n1ms heal\n2ms down b\n3ms up b")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(script.Run(context.Background(), net))
	_, err = a.Call(context.Background(), "b", "greet", nil)
	fmt.Println(err, len(net.Faults().Trace.Script()))
	// Output:
	// <nil>
	// <nil> 4
}
