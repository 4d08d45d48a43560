package natstransport_test

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/natstransport"
)

func Example() {
	broker, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	broker.Start() // the one that the service is connected to
	defer broker.Shutdown()
	broker.ReadyForConnections(10 * time.Second)
	conn, err := nats.Connect(broker.ClientURL())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer conn.Close()

	var mux transport.Mux
	mux.Handle("greet/", transport.HandlerFunc(
		func(_ context.Context, from transport.NodeID, _ string, req []byte) ([]byte, error) {
			return fmt.Appendf(nil, "%s to you too, %s", req, from), nil
		}))
	b := &natstransport.Transport{Conn: conn, Self: "b", Cluster: "example"}
	go b.Serve(context.Background(), &mux)
	defer b.Close()

	a := &natstransport.Transport{Conn: conn, Self: "a", Cluster: "example"}
	defer a.Close()
	for { // until b is served
		resp, err := a.Call(context.Background(), "b", "greet/hello", []byte("hi"))
		if err == nil {
			fmt.Println(string(resp))
			return
		}
	}
	// Output: hi to you too, a
}
