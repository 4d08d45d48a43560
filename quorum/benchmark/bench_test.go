package benchmark

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	turn    = flag.Duration("turn", time.Second, "how long a turn of BenchmarkCluster takes")
	clients = flag.Int("clients", 16, "clients of BenchmarkCluster, over the three members")
	keys    = flag.Int("keys", 10_000, "keys of BenchmarkCluster, each in all members")
)

// BenchmarkCluster prints what the clusters do side by side. An iteration is a round,
// in which each has its turns.
func BenchmarkCluster(b *testing.B) {
	c, err := newComparison(b.Context())
	require.NoError(b, err)
	for b.Loop() {
		require.NoError(b, c.round(load{Clients: *clients, Keys: *keys, For: *turn}))
	}
	require.NoError(b, c.close())
	fmt.Printf("\n%d clients, %d keys, %d rounds\n%s", *clients, *keys, len(c.rounds), c.table())
}
