package transport_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

func greet(_ context.Context, from transport.NodeID, _ string, req []byte) ([]byte, error) {
	return fmt.Appendf(nil, "%s to you too, %s", req, from), nil
}

func Example() {
	var mux transport.Mux
	mux.Handle("greet/", transport.HandlerFunc(greet))

	var network mem.Network
	network.Node("b", &mux)
	a := network.Node("a", nil)

	resp, err := a.Call(context.Background(), "b", "greet/hello", []byte("hi"))
	fmt.Println(string(resp), err)

	_, err = a.Call(context.Background(), "b", "part/goodbye", nil)
	fmt.Println(errors.Is(err, transport.ErrUnknownMethod), err)
	// Output:
	// hi to you too, a <nil>
	// true transport: remote part/goodbye: transport: unknown method "part/goodbye"
}

func ExampleMux() {
	name := func(s string) transport.Handler {
		return transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
			return []byte(s), nil
		})
	}
	var mux transport.Mux
	mux.Handle("store/", name("any method of store"))
	mux.Handle("store/load", name("load"))

	for _, method := range []string{"store/load", "store/merge"} {
		resp, _ := mux.ServeCall(context.Background(), "a", method, nil)
		fmt.Println(method, "->", string(resp))
	}
	// Output:
	// store/load -> load
	// store/merge -> any method of store
}

func ExampleTooLargeError() {
	network := mem.Network{MaxMessage: 1000}
	network.Node("b", nil)
	a := network.Node("a", nil)
	_, err := a.Call(context.Background(), "b", "m", make([]byte, 1500))
	if e, ok := errors.AsType[*transport.TooLargeError](err); ok {
		fmt.Println("send it in parts of at most", e.Limit, "bytes")
	}
	// Output: send it in parts of at most 1000 bytes
}
