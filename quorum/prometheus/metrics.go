package quorumprom

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/handoff"
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

func gauge[S any](name, help string, of func(S) float64) metric[S] {
	return metric[S]{name, help, of, prometheus.GaugeValue}
}

var lag = metric[histogram]{
	name: "replication_lag_seconds",
	help: "How long writes took to reach other replicas: source write, from the start of a write until an owner had it; source antientropy, from the update elsewhere until it was here.",
}

var levels = []metric[rates]{
	gauge("conflict_rate_per_min", "Reads that met concurrent versions, a minute, over the last minute.",
		func(r rates) float64 { return r.conflicts }),
	gauge("repair_success_rate", "Share of read repairs that succeeded, over the last 5 minutes; 1 if there were none.",
		func(r rates) float64 { return r.repairs }),
	gauge("write_error_rate", "Share of writes that failed, over the last 5 minutes; 0 if there were none.",
		func(r rates) float64 { return r.writeErrors }),
}

type quorumStats = *quorum.Stats

var calls = []metric[quorumStats]{
	counter("eventual_quorum_reads_total", "Reads that ended.", func(s quorumStats) uint64 { return s.Reads }),
	counter("eventual_quorum_read_errors_total", "Reads that failed.", func(s quorumStats) uint64 { return s.ReadErrors }),
	counter("eventual_quorum_stale_reads_total", "Reads answered below their level.", func(s quorumStats) uint64 { return s.Stale }),
	counter("eventual_quorum_conflicts_total", "Reads of which no single owner had all.", func(s quorumStats) uint64 { return s.Conflicts }),
	counter("eventual_quorum_writes_total", "Writes that ended.", func(s quorumStats) uint64 { return s.Writes }),
	counter("eventual_quorum_write_errors_total", "Writes that failed.", func(s quorumStats) uint64 { return s.WriteErrors }),
	counter("eventual_quorum_answers_total", "Owners that answered reads.", func(s quorumStats) uint64 { return s.Answers }),
	counter("eventual_quorum_repairs_total", "Owners that a read found behind.", func(s quorumStats) uint64 { return s.Repairs }),
	counter("eventual_quorum_repair_errors_total", "Owners behind that did not take the repair.", func(s quorumStats) uint64 { return s.RepairErrors }),
	counter("eventual_quorum_hints_total", "Hints given to somebody to keep.", func(s quorumStats) uint64 { return s.Hints }),
	counter("eventual_quorum_hint_errors_total", "Hints that nobody was found to keep.", func(s quorumStats) uint64 { return s.HintErrors }),
}

type nodeStats = *quorum.NodeStats

var nodes = []metric[nodeStats]{
	gauge("eventual_quorum_node_latency_seconds", "How long the other node takes to answer, on average of late; 0 if it has not yet.",
		func(n nodeStats) float64 { return n.Latency.Seconds() }),
	gauge("eventual_quorum_node_patience_seconds", "How long its answer is waited for before others are asked too.",
		func(n nodeStats) float64 { return n.Patience.Seconds() }),
	gauge("eventual_quorum_node_suspected", "1 if the other node is suspected to be away.",
		func(n nodeStats) float64 { return one(n.Suspected) }),
	gauge("eventual_quorum_node_pending", "Tasks that wait to be sent to the other node.",
		func(n nodeStats) float64 { return float64(n.Pending) }),
}

// hintsAt is what is held for others, seen at a moment.
type hintsAt struct {
	handoff.Stats
	now time.Time
}

// age is how long the oldest has been held. The wall clock, which it is told by, may
// have been put back since.
func (h hintsAt) age() time.Duration {
	if h.Oldest.IsZero() {
		return 0
	}
	return max(h.now.Sub(h.Oldest), 0)
}

// dropped is how many were given up, for whatever reason.
func (h hintsAt) dropped() (n uint64) {
	for _, some := range h.Dropped {
		n += some
	}
	return n
}

var hints = []metric[hintsAt]{
	gauge("eventual_hints_pending", "Hints held for other nodes.", func(h hintsAt) float64 { return float64(h.Hints) }),
	gauge("eventual_hints_bytes", "Bytes of the hints held.", func(h hintsAt) float64 { return float64(h.Bytes) }),
	gauge("eventual_hints_oldest_seconds", "How long the oldest hint has been held; 0 if there is none.",
		func(h hintsAt) float64 { return h.age().Seconds() }),
	counter("eventual_hints_replayed_total", "Hints that their target has merged.", func(h hintsAt) uint64 { return h.Replayed }),
	counter("eventual_hints_reclaimed_total", "Hints that this node has merged itself, since their target holds the key no more.",
		func(h hintsAt) uint64 { return h.Reclaimed }),
	counter("eventual_hints_dropped_total", "Hints that were dropped or not taken; what they had is left to anti-entropy.",
		hintsAt.dropped),
}

type loopStats = *antientropy.Stats

var exchanges = []metric[loopStats]{
	counter("eventual_antientropy_reconciliations_total", "Reconciliations that ended.", func(s loopStats) uint64 { return s.Reconciliations }),
	counter("eventual_antientropy_batches_total", "Batches of deltas that ended.", func(s loopStats) uint64 { return s.Batches }),
	counter("eventual_antientropy_failures_total", "Reconciliations and batches that failed.", func(s loopStats) uint64 { return s.Failures }),
	counter("eventual_antientropy_sent_keys_total", "Keys sent.", func(s loopStats) uint64 { return s.KeysSent }),
	counter("eventual_antientropy_received_keys_total", "Keys received.", func(s loopStats) uint64 { return s.KeysReceived }),
	counter("eventual_antientropy_novel_keys_total", "Keys received that brought something new.", func(s loopStats) uint64 { return s.KeysNovel }),
	counter("eventual_antientropy_refused_keys_total", "Keys refused, here or by peers that called.", func(s loopStats) uint64 { return s.Refused }),
	counter("eventual_antientropy_sent_bytes_total", "Bytes sent.", func(s loopStats) uint64 { return s.BytesSent }),
	counter("eventual_antientropy_received_bytes_total", "Bytes received.", func(s loopStats) uint64 { return s.BytesReceived }),
	counter("eventual_antientropy_dropped_total", "Times that waiting deltas were dropped.", func(s loopStats) uint64 { return s.Dropped }),
}

type peerStats = *antientropy.PeerStats

var peers = []metric[peerStats]{
	gauge("eventual_antientropy_peer_reachable", "1 if the last call to the peer was answered.",
		func(p peerStats) float64 { return one(p.Reachable) }),
	gauge("eventual_antientropy_peer_last_sync_timestamp_seconds", "When the last reconciliation with the peer succeeded; 0 if none did.",
		func(p peerStats) float64 { return unix(p.LastSync) }),
	gauge("eventual_antientropy_peer_pending_bytes", "Bytes of deltas that wait for the peer.",
		func(p peerStats) float64 { return float64(p.Pending) }),
	gauge("eventual_antientropy_peer_missing_keys", "Keys still to be exchanged by the reconciliation under way, as far as is known.",
		func(p peerStats) float64 { return float64(p.Missing) }),
}

func one(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1000
}
