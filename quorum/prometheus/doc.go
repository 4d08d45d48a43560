// Package quorumprom shows a node's counts to Prometheus: those of its coordinator, of
// its anti-entropy, and of the hints that it holds for others. Dashboards and alerts
// for them are beside it, see README.md. It is a module of its own, so that who does
// not use Prometheus does not need it.
//
//	registry := prometheus.NewRegistry()
//	registry.MustRegister(&quorumprom.Collector{
//		Node: "a", Quorum: coordinator.Stats, AntiEntropy: loop.Stats, Hints: hints.Stats,
//	})
//	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
//
// # Lag
//
// replication_lag_seconds is a histogram with the buckets of [quorum.Lag], from 64
// microseconds to 72 minutes, each twice the one before. So a quantile may be off by a
// factor of two. There are two sources, which have the same buckets. The one, "write",
// is how long after a write began each of its owners had it, of those that took it from
// this node. The other, "antientropy", is how long an update made elsewhere took to
// this node, over all hops; its sum is made of upper bounds, those of the buckets of
// [antientropy.Delays]. What has not arrived has no lag yet: for nodes that are away
// look at eventual_hints_oldest_seconds.
//
// It is a histogram of the classic kind, with labels "le", which every Prometheus takes
// as it comes.
//
// # Windows
//
// conflict_rate_per_min, repair_success_rate and write_error_rate are worked out of
// counters at scrapes. Each scrape is a sample, and a gauge shows what was counted since
// the last sample that is as old as its window: a minute for conflicts, five for the
// others. So a window is too long by up to the time between two scrapes, or by a
// thirtieth of it where they come more often; no more samples than that are kept.
// Conflicts are divided by how long the window really is, but by a minute at least:
// after a start the rate rises to what it is, and never above. The first scrape begins
// the windows; it shows no conflicts, no failed writes, and 1, that all repairs
// succeeded. Several scrapers share the windows, and do no harm to each other.
//
// A rate over any other time is for Prometheus to work out, of the counters: all of
// them are exposed, as eventual_quorum_…_total.
package quorumprom
