package intercept_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
	"github.com/eventual-go/eventual/transport/mem"
)

func hello(_ context.Context, from transport.NodeID, _ string, _ []byte) ([]byte, error) {
	return []byte("hello " + from), nil
}

func Example() {
	var mux transport.Mux
	mux.Handle("greet/", transport.HandlerFunc(hello))
	mux.Handle("admin/", transport.HandlerFunc(hello))

	access := &intercept.Access{Rules: map[string]intercept.Rule{
		"":       intercept.Nodes("a", "b", "c"),
		"admin/": intercept.Nodes("a"),
	}}
	var metrics intercept.Metrics
	log := intercept.Log{Logger: slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTimes}))}

	var network mem.Network
	network.Node("a", log.Handler(metrics.Handler(access.Handler(&mux))))
	b := network.Node("b", nil)

	resp, err := b.Call(context.Background(), "a", "greet/", nil)
	fmt.Println(string(resp), err)
	_, err = b.Call(context.Background(), "a", "admin/stop", nil)
	fmt.Println(errors.Is(err, transport.ErrDenied), access.Denied())
	for _, m := range metrics.Stats().Served {
		fmt.Println(m.Method, m.Results[intercept.OK], m.Results[intercept.Denied])
	}
	// Output:
	// hello b <nil>
	// level=WARN msg="transport: served call failed" node=b method=admin/stop result=denied error="transport: denied: node \"b\" may not call \"admin/stop\"" omitted=0
	// true 1
	// _OTHER 0 1
	// greet/ 1 0
}

func withoutTimes(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey || a.Key == "elapsed" {
		return slog.Attr{}
	}
	return a
}
