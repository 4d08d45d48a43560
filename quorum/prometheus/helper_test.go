package quorumprom

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/antientropy"
	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/quorum/handoff"
)

// full has every source, with everything there is to be seen.
func full(t require.TestingT, node string) *Collector {
	return &Collector{
		Node:        node,
		Quorum:      func() quorum.Stats { return busy },
		AntiEntropy: func() antientropy.Stats { return looped(t) },
		Hints:       func() handoff.Stats { return kept },
	}
}

var kept = handoff.Stats{
	Hints: 4, Bytes: 512,
	Counts: handoff.Counts{Replayed: 9, Reclaimed: 3, Dropped: [5]uint64{handoff.TooMany: 1, handoff.TooOld: 1}},
}

var busy = quorum.Stats{
	Reads: 100, ReadErrors: 1, Stale: 2, Conflicts: 3,
	Writes: 200, WriteErrors: 4,
	Answers: 300, Repairs: 5, RepairErrors: 6,
	Hints: 7, HintErrors: 8,
	Lag: quorum.Lag{Counts: [28]uint64{0: 3, 4: 2, 27: 1}, Sum: 5 * time.Second},
	Nodes: []quorum.NodeStats{
		{Node: "b", Latency: 2 * time.Millisecond, Patience: 8 * time.Millisecond, Pending: 3},
		{Node: "c", Suspected: true},
	},
}

func looped(t require.TestingT) antientropy.Stats {
	return antientropy.Stats{
		Counts: antientropy.Counts{
			Reconciliations: 1, Batches: 2, Failures: 3, KeysSent: 4, KeysReceived: 5, KeysNovel: 6,
			KeysRefused: 7, BytesSent: 8, BytesReceived: 9, Dropped: 10,
		},
		Refused: 11,
		Delays:  delays(t, [128]uint64{0: 2, 4: 1}),
		Peers: []antientropy.PeerStats{
			{Peer: "b", Reachable: true, LastSync: time.Unix(1_700_000_000, 5e8), Pending: 12, Missing: 13},
			{Peer: "c"},
		},
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
