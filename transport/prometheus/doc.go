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
// method is that of the call, of those that intercept.Metrics counts by themselves: its
// Methods, and at most its MaxMethods others, 100 if it is not told. All others are
// "_OTHER", and so are the names that a peer makes up: one label, however many. A name
// that is not UTF-8 or begins with a quote is quoted as in Go. direction is "called" for the calls that the node makes, and
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
//
// # Cost
//
// A method has some 40 series in each direction that it is used in, at most. Nothing is
// kept between scrapes, no goroutine runs, and calls cost what they do without it.
//
// # Order
//
// What is counted depends on where the intercept.Metrics stands, see there.
package transportprom
