package transportprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/eventual-go/eventual/transport/intercept"
	"github.com/eventual-go/eventual/transport/tcp"
)

// A metric is a number that is read out of S.
type metric[S any] struct {
	name, help string
	of         func(S) float64
	kind       prometheus.ValueType
}

func counter[S any](name, help string, of func(S) uint64) metric[S] {
	return metric[S]{name, help, func(s S) float64 { return float64(of(s)) }, prometheus.CounterValue}
}

func (m metric[S]) desc(c *Collector, labels ...string) *prometheus.Desc {
	var always prometheus.Labels
	if c.Node != "" {
		always = prometheus.Labels{"node": label(c.Node)}
	}
	return prometheus.NewDesc(m.name, m.help, labels, always)
}

func (m metric[S]) metric(desc *prometheus.Desc, s S, labels ...string) prometheus.Metric {
	got, err := prometheus.NewConstMetric(desc, m.kind, m.of(s), labels...)
	return valid(desc, got, err)
}

// valid has a scrape report what cannot be shown, instead of a panic.
func valid(desc *prometheus.Desc, m prometheus.Metric, err error) prometheus.Metric {
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return m
}

func itself(n uint64) uint64 { return n }

var (
	calls = counter("eventual_transport_calls_total", "Calls that have ended, by how they did.", itself)

	latency = metric[*intercept.Latency]{
		name: "eventual_transport_call_seconds",
		help: "How long calls took, also those that failed: direction called, until the answer; direction served, that of the handler.",
	}

	denied = counter("eventual_transport_denied_total", "Calls of other nodes that no rule allowed.", itself)
)

type methodStats = *intercept.MethodStats

var methods = []metric[methodStats]{
	{"eventual_transport_in_flight", "Calls under way.",
		func(s methodStats) float64 { return float64(s.InFlight) }, prometheus.GaugeValue},
	counter("eventual_transport_request_bytes_total", "Bytes of the requests of calls that have ended.",
		func(s methodStats) uint64 { return s.RequestBytes }),
	counter("eventual_transport_response_bytes_total", "Bytes of the responses of calls that have ended.",
		func(s methodStats) uint64 { return s.ResponseBytes }),
}

type tcpStats = *tcp.Stats

var connections = []metric[tcpStats]{
	counter("eventual_transport_tcp_dialed_total", "Connections made to other nodes.",
		func(s tcpStats) uint64 { return s.Dialed }),
	counter("eventual_transport_tcp_accepted_total", "Connections of other nodes that said who they are.",
		func(s tcpStats) uint64 { return s.Accepted }),
	counter("eventual_transport_tcp_refused_total", "Connections that did not, or were of another cluster, or too many.",
		func(s tcpStats) uint64 { return s.Refused }),
	counter("eventual_transport_tcp_crowded_total", "Connections closed to make room for others; those in the handshake are refused too.",
		func(s tcpStats) uint64 { return s.Crowded }),
	counter("eventual_transport_tcp_distrusted_total", "Connections closed because the certificate of the other node was good no longer.",
		func(s tcpStats) uint64 { return s.Distrusted }),
	counter("eventual_transport_tcp_stalled_total", "Connections closed because the peer took nothing of what it was sent.",
		func(s tcpStats) uint64 { return s.Stalled }),
	counter("eventual_transport_tcp_violations_total", "Connections closed because the peer broke the protocol.",
		func(s tcpStats) uint64 { return s.Violations }),
	counter("eventual_transport_tcp_late_replies_total", "Replies dropped because their caller waited no longer.",
		func(s tcpStats) uint64 { return s.LateReplies }),
	counter("eventual_transport_tcp_unknown_replies_total", "Replies dropped because there was no such call.",
		func(s tcpStats) uint64 { return s.UnknownReplies }),
	counter("eventual_transport_tcp_dropped_replies_total", "Replies of this node that failed because the caller read too slowly.",
		func(s tcpStats) uint64 { return s.DroppedReplies }),
}

// histogram is l as Prometheus has it, where each bucket contains those before it.
func histogram(desc *prometheus.Desc, l *intercept.Latency, labels ...string) prometheus.Metric {
	buckets, n := make(map[float64]uint64, len(l.Counts)), uint64(0)
	for i, c := range l.Counts {
		n += c
		if i < len(l.Counts)-1 { // the last has no bound
			buckets[intercept.LatencyBound(i).Seconds()] = n
		}
	}
	m, err := prometheus.NewConstHistogram(desc, n, l.Sum.Seconds(), buckets, labels...)
	return valid(desc, m, err)
}
