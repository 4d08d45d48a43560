package transportprom_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
	"github.com/eventual-go/eventual/transport/mem"
	transportprom "github.com/eventual-go/eventual/transport/prometheus"
)

func Example() {
	var metrics intercept.Metrics
	access := &intercept.Access{Rules: map[string]intercept.Rule{"greet/": intercept.Anyone}}

	registry := prometheus.NewRegistry()
	registry.MustRegister(&transportprom.Collector{
		Node:   "a",
		Calls:  metrics.Stats,
		Denied: access.Denied,
	})
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	var network mem.Network
	network.Node("a", metrics.Handler(access.Handler(transport.HandlerFunc(greet))))
	b := network.Node("b", nil)
	for _, method := range []string{"greet/hello", "greet/hello", "stop"} {
		b.Call(context.Background(), "a", method, []byte("hi"))
	}

	server := httptest.NewServer(mux)
	defer server.Close()
	for _, line := range scrape(server.URL + "/metrics") {
		switch name, _, _ := strings.Cut(line, "{"); name {
		case "eventual_transport_calls_total", "eventual_transport_denied_total", "eventual_transport_request_bytes_total":
			fmt.Println(line)
		}
	}
	// Output:
	// eventual_transport_calls_total{direction="served",method="_OTHER",node="a",result="denied"} 1
	// eventual_transport_calls_total{direction="served",method="_OTHER",node="a",result="ok"} 0
	// eventual_transport_calls_total{direction="served",method="greet/hello",node="a",result="ok"} 2
	// eventual_transport_denied_total{node="a"} 1
	// eventual_transport_request_bytes_total{direction="served",method="_OTHER",node="a"} 2
	// eventual_transport_request_bytes_total{direction="served",method="greet/hello",node="a"} 4
}

func greet(_ context.Context, from transport.NodeID, _ string, _ []byte) ([]byte, error) {
	return []byte("hello " + from), nil
}

func scrape(url string) []string {
	resp, err := http.Get(url)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(err)
	}
	return strings.Split(string(text), "\n")
}
