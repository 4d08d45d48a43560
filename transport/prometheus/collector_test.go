package transportprom

import (
	"context"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/intercept"
	"github.com/eventual-go/eventual/transport/tcp"
)

var rewrite = flag.Bool("rewrite", false, "write the golden exposition anew")

var busy = intercept.Stats{
	Called: []intercept.MethodStats{
		{
			Method: "quorum/2", Results: [9]uint64{10, 1, 2, 3, 4, 5, 6, 7, 8}, InFlight: 3, RequestBytes: 1000, ResponseBytes: 2000,
			Latency: intercept.Latency{Counts: [24]uint64{0: 40, 5: 5, 23: 1}, Sum: 2 * time.Minute},
		},
		{Method: "new", InFlight: 1},
	},
	Served: []intercept.MethodStats{
		{Method: intercept.Other, Results: [9]uint64{intercept.UnknownMethod: 9}, Latency: intercept.Latency{Counts: [24]uint64{9}, Sum: time.Microsecond}},
		{Method: "quorum/2", Results: [9]uint64{5}, RequestBytes: 1, ResponseBytes: 2, Latency: intercept.Latency{Counts: [24]uint64{5}, Sum: time.Microsecond}},
	},
}

// numbered has a different number in each field.
func numbered() (s tcp.Stats) {
	v := reflect.ValueOf(&s).Elem()
	for i := range v.NumField() {
		v.Field(i).SetUint(uint64(i + 1))
	}
	return s
}

// full has every source, with everything there is to be seen.
func full(node string) *Collector {
	return &Collector{
		Node:   node,
		Calls:  func() intercept.Stats { return busy },
		Denied: func() uint64 { return 21 },
		TCP:    numbered,
	}
}

// gather scrapes by a registry that checks what is exposed against what was described.
func gather(t *testing.T, collectors ...prometheus.Collector) map[string]*dto.MetricFamily {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	for _, c := range collectors {
		require.NoError(t, registry.Register(c))
	}
	all, err := registry.Gather()
	require.NoError(t, err)
	families := make(map[string]*dto.MetricFamily)
	for _, f := range all {
		families[f.GetName()] = f
	}
	return families
}

// What is exposed is what dashboards are made of: names, labels and helps stay.
func TestExposition(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(full("a"))
	scrape := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(scrape, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, scrape.Code)
	got := scrape.Body.String()
	if *rewrite {
		require.NoError(t, os.WriteFile("testdata/exposition.txt", []byte(got), 0o644))
	}
	want, err := os.ReadFile("testdata/exposition.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

// Names are as Prometheus wants them.
func TestNamesAreConventional(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(full("a"))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestSourcesThatAreNilAreLeftOut(t *testing.T) {
	require.Empty(t, gather(t, &Collector{Node: "a"}))
	require.Len(t, gather(t, &Collector{Denied: full("").Denied}), 1)
	require.Contains(t, gather(t, &Collector{Calls: full("").Calls}), "eventual_transport_calls_total")
	require.NotContains(t, gather(t, &Collector{TCP: full("").TCP}), "eventual_transport_calls_total")
}

// All that a tcp.Transport counts is shown.
func TestAllOfTCPIsShown(t *testing.T) {
	shown := make(map[float64]bool)
	for _, f := range gather(t, &Collector{TCP: numbered}) {
		shown[f.Metric[0].Counter.GetValue()] = true
	}
	require.Len(t, shown, reflect.TypeFor[tcp.Stats]().NumField())
}

func TestNodesShareARegistry(t *testing.T) {
	require.Len(t, gather(t, full("a"), full("b"))["eventual_transport_denied_total"].Metric, 2)
	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(full("a")))
	require.Error(t, registry.Register(full("a")), "two of one name")
}

// Names of nodes and methods are any bytes, labels are not.
func TestAnyNameCanBeALabel(t *testing.T) {
	for _, node := range []string{"\xff", "a\nb", `a"b`, "é", strings.Repeat("x", 255)} {
		c := full(node)
		c.Calls = func() intercept.Stats {
			return intercept.Stats{Served: []intercept.MethodStats{{Method: "\xfe"}, {Method: "\xff"}, {Method: ""}}}
		}
		require.Len(t, gather(t, c)["eventual_transport_in_flight"].Metric, 3)
	}
}

// Names that a peer chooses so that they look alike are two labels: a scrape with two
// metrics of one name fails as a whole.
func TestNamesThatLookAlikeAreTold(t *testing.T) {
	var metrics intercept.Metrics
	h := metrics.Handler(transport.HandlerFunc(serves))
	all := []string{"\xff", `"\xff"`, `\xff`, `"`, `"\""`, `""`, "", "é\xff", `"\u00e9\xff"`}
	for _, method := range all {
		h.ServeCall(t.Context(), "a", method, nil)
	}
	require.Len(t, gather(t, &Collector{Calls: metrics.Stats})["eventual_transport_in_flight"].Metric, len(all))
}

func serves(context.Context, transport.NodeID, string, []byte) ([]byte, error) { return nil, nil }

// However many methods a peer calls that there are not, a scrape has one more; and of
// those that are served under any name, as many as there may be.
func TestSeriesAreBounded(t *testing.T) {
	metrics := intercept.Metrics{MaxMethods: 10, Methods: []string{"real"}}
	var mux transport.Mux
	h := metrics.Handler(&mux)
	shown := func() int {
		return len(gather(t, &Collector{Calls: metrics.Stats})["eventual_transport_in_flight"].Metric)
	}
	call := func() {
		for i := range 2000 {
			h.ServeCall(t.Context(), "a", fmt.Sprint("any/", i), nil)
		}
	}
	call()
	require.Equal(t, 1, shown())
	mux.Handle("", transport.HandlerFunc(serves))
	call()
	require.Equal(t, 11, shown())
	h.ServeCall(t.Context(), "a", "real", nil)
	require.Equal(t, 12, shown())
}

// A scrape while calls are made is consistent in itself, whatever it finds.
func TestScrapesWhileCallsAreMade(t *testing.T) {
	var metrics intercept.Metrics
	h := metrics.Handler(nil)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&Collector{Calls: metrics.Stats})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for range 500 {
				h.ServeCall(t.Context(), "a", "m", nil)
			}
		})
		all.Go(func() {
			for range 20 {
				if _, err := registry.Gather(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkCollect(b *testing.B) {
	c := full("a")
	ch := make(chan prometheus.Metric, 1000)
	b.ReportAllocs()
	for b.Loop() {
		c.Collect(ch)
		for len(ch) > 0 {
			<-ch
		}
	}
}
