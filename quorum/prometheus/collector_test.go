package quorumprom

import (
	"flag"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/handoff"
)

var rewrite = flag.Bool("rewrite", false, "write the golden exposition anew")

// What is exposed is what dashboards are made of: names, labels and helps stay.
func TestExposition(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(full(t, "a"))
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
	registry.MustRegister(full(t, "a"))
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	require.Empty(t, problems)
}

func TestSourcesThatAreNilAreLeftOut(t *testing.T) {
	require.Empty(t, gather(t, &Collector{Node: "a"}))
	require.Contains(t, gather(t, &Collector{Quorum: full(t, "").Quorum}), "write_error_rate")
	require.NotContains(t, gather(t, &Collector{Hints: full(t, "").Hints}), "write_error_rate")
	require.Contains(t, gather(t, &Collector{Hints: full(t, "").Hints}), "eventual_hints_bytes")
	require.Len(t, gather(t, &Collector{AntiEntropy: full(t, "").AntiEntropy})["replication_lag_seconds"].Metric, 1)
}

func TestNodesShareARegistry(t *testing.T) {
	families := gather(t, full(t, "a"), full(t, "b"))
	require.Len(t, families["eventual_quorum_reads_total"].Metric, 2)
	require.Len(t, families["replication_lag_seconds"].Metric, 4, "two sources each")

	registry := prometheus.NewRegistry()
	require.NoError(t, registry.Register(full(t, "a")))
	require.Error(t, registry.Register(full(t, "a")), "two of one name")
}

// Names of nodes are any bytes, labels are not.
func TestAnyNameCanBeALabel(t *testing.T) {
	for _, node := range []string{"\xff", "a\nb", `a"b`, "é", strings.Repeat("x", 1<<16)} {
		c := full(t, node)
		stats := busy
		stats.Nodes = []quorum.NodeStats{{Node: "\xfe"}, {Node: "\xff"}, {Node: `"\xff"`}, {Node: ""}}
		c.Quorum = func() quorum.Stats { return stats }
		require.Len(t, gather(t, c)["eventual_quorum_node_pending"].Metric, 4)
	}
}

func TestTheOldestHintIsNeverOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := handoff.Stats{Hints: 1}
		c := &Collector{Hints: func() handoff.Stats { return h }}
		oldest := func() float64 { return gather(t, c)["eventual_hints_oldest_seconds"].Metric[0].Gauge.GetValue() }
		require.Zero(t, oldest())
		h.Oldest = time.Now()
		time.Sleep(time.Minute)
		require.Equal(t, 60.0, oldest())
		h.Oldest = time.Now().Add(time.Hour)
		require.Zero(t, oldest())
	})
}

// The first scrape begins the windows, each later one is a sample.
func TestGaugesFollowTheCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stats := busy
		c := &Collector{Quorum: func() quorum.Stats { return stats }}
		rate := func(name string) float64 { return gather(t, c)[name].Metric[0].Gauge.GetValue() }
		require.Zero(t, rate("conflict_rate_per_min"))
		require.Equal(t, 1.0, rate("repair_success_rate"))
		require.Zero(t, rate("write_error_rate"))

		time.Sleep(time.Minute)
		stats.Conflicts += 11
		stats.Repairs, stats.RepairErrors = stats.Repairs+10, stats.RepairErrors+1
		stats.Writes, stats.WriteErrors = stats.Writes+100, stats.WriteErrors+1
		require.Equal(t, 11.0, rate("conflict_rate_per_min"))
		require.Equal(t, 0.9, rate("repair_success_rate"))
		require.Equal(t, 0.01, rate("write_error_rate"))
	})
}

func TestScrapesAtOnce(t *testing.T) {
	c := full(t, "a")
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(c)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				_, err := registry.Gather()
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkCollect(b *testing.B) {
	c := full(b, "a")
	ch := make(chan prometheus.Metric, 1000)
	for b.Loop() {
		c.Collect(ch)
		for len(ch) > 0 {
			<-ch
		}
	}
}
