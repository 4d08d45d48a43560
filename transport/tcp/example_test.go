package tcp_test

import (
	"context"
	"fmt"
	"net"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/identity"
	"github.com/eventual-go/eventual/transport/tcp"
)

func Example() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	var mux transport.Mux
	mux.Handle("greet/", transport.HandlerFunc(
		func(_ context.Context, from transport.NodeID, _ string, req []byte) ([]byte, error) {
			return fmt.Appendf(nil, "%s to you too, %s", req, from), nil
		}))
	b := &tcp.Transport{Self: "b", Cluster: "example", Plain: true}
	go b.Serve(context.Background(), ln, &mux)
	defer b.Close()

	a := &tcp.Transport{
		Self:    "a",
		Cluster: "example",
		Plain:   true, // for a network in which everybody is trusted: see TLS
		Peers:   map[transport.NodeID]string{"b": ln.Addr().String()},
	}
	defer a.Close()
	resp, err := a.Call(context.Background(), "b", "greet/hello", []byte("hi"))
	fmt.Println(string(resp), err)
	// Output: hi to you too, a <nil>
}

// A node with certificates in files, which may be replaced while it runs.
func ExampleTLS() {
	files := &identity.Files{
		Cert:    "/etc/example/b.crt",
		Key:     "/etc/example/b.key",
		CA:      "/etc/example/cluster.crt",
		OnError: func(err error) { fmt.Println("still using the old certificate:", err) },
	}
	b := &tcp.Transport{
		Self:    "b",
		Cluster: "example",
		TLS:     &tcp.TLS{Credentials: files.Credentials},
		Events: tcp.Events{OnRefused: func(r tcp.Refusal) {
			fmt.Println(r.Err, "and", r.Missed, "more")
		}},
	}
	ln, err := net.Listen("tcp", ":7001")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(b.Serve(context.Background(), ln, new(transport.Mux)))
}
