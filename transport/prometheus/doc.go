// Package transportprom shows the calls between nodes to Prometheus: those that a node
// makes and serves, counted by intercept.Metrics over any transport, those that
// intercept.Access refuses, and the connections of a tcp.Transport. It is a module of
// its own, so that who does not use Prometheus does not need it.
//
//	registry := prometheus.NewRegistry()
//	registry.MustRegister(&transportprom.Collector{
//		Node: "a", Calls: metrics.Stats, Denied: access.Denied, TCP: tr.Stats,
//	})
//	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
//
// # Labels
//
// method is that of the call, of as many as intercept.Metrics counts by themselves;
// all others are "_OTHER". direction is "called" for the calls that the node makes, and
// "served" for those of others. result is the name of an intercept.Result: "ok",
// "failed", "denied", "unknown_method", "too_large", "timeout", "cancelled",
// "unreachable" or "closed". Of each method there is "ok" from its first call on, and
// of the others those that there were.
//
// # Latency
//
// eventual_transport_call_seconds is a histogram of the classic kind with the buckets of
// intercept.Latency, from 16 microseconds to 67 seconds, each twice the one before. So
// a quantile may be off by a factor of two. Calls that failed are in it.
package transportprom
