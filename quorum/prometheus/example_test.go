package quorumprom_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/crdt/store"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/handoff"
	quorumprom "github.com/eventual-go/eventual/quorum/prometheus"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/vclock"
)

// handler shows what a node counts at /metrics.
func handler(coordinator *quorum.Coordinator, loop *antientropy.Loop, hints *handoff.Handoff) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&quorumprom.Collector{
		Node:        string(coordinator.Self),
		Quorum:      coordinator.Stats,
		AntiEntropy: loop.Stats,
		Hints:       hints.Stats,
	})
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

func Example() {
	ctx := context.Background()
	s := store.New(store.Config{Replica: vclock.Named("a")})
	var network mem.Network
	var calls transport.Mux
	node := network.Node("a", &calls)
	coordinator := &quorum.Coordinator{Self: "a", Local: s, Ring: quorum.Everywhere{"a"}, Caller: node, Join: s.Join}
	hints := &handoff.Handoff{Self: "a", Join: s.Join, Caller: node, Replica: s}
	loop := &antientropy.Loop{Store: s, Peers: antientropy.Static(), Caller: node}
	calls.Handle("quorum/", coordinator.Handler())
	calls.Handle("antientropy/", loop.Handler())

	server := httptest.NewServer(handler(coordinator, loop, hints))
	defer server.Close()

	delta, err := store.Update(s, "likes", func(c *crdt.PNCounter, by store.Writer) *crdt.PNCounter {
		return c.Add(by.Replica, 1)
	})
	if err != nil {
		panic(err)
	}
	state, err := delta.Bytes()
	if err != nil {
		panic(err)
	}
	if _, err := coordinator.Write(ctx, "likes", state, quorum.WriteOptions{}); err != nil {
		panic(err)
	}
	for _, away := range []transport.NodeID{"b", "c"} {
		if err := hints.Keep(ctx, away, "likes", state); err != nil {
			panic(err)
		}
	}
	_, err = coordinator.Read(ctx, "likes", quorum.ReadOptions{Level: 2}) // there is one owner
	fmt.Println(err)

	for _, line := range scrape(server.URL + "/metrics") {
		switch name, _, _ := strings.Cut(line, "{"); name {
		case "eventual_quorum_writes_total", "eventual_quorum_read_errors_total", "eventual_hints_pending",
			"conflict_rate_per_min", "repair_success_rate", "write_error_rate", "replication_lag_seconds_count":
			fmt.Println(line)
		}
	}
	// Output:
	// quorum: level two cannot be asked of 1 owner
	// conflict_rate_per_min{node="a"} 0
	// eventual_hints_pending{node="a"} 2
	// eventual_quorum_read_errors_total{node="a"} 1
	// eventual_quorum_writes_total{node="a"} 1
	// repair_success_rate{node="a"} 1
	// replication_lag_seconds_count{node="a",source="antientropy"} 0
	// replication_lag_seconds_count{node="a",source="write"} 1
	// write_error_rate{node="a"} 0
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
