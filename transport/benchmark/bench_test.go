package benchmark

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	turn = flag.Duration("turn", 300*time.Millisecond, "how long a turn of BenchmarkEcho takes")
	heap = flag.Int("heap", 0, "MiB that each process of BenchmarkEcho holds beside what its system takes")
)

const maxCallers = 256

// loads are what each round has each system do.
func loads(turn time.Duration) (all []load) {
	for _, size := range []int{100, 1 << 10, 64 << 10} {
		for _, callers := range []int{1, 16, maxCallers} {
			all = append(all, load{size, callers, turn})
		}
	}
	return all
}

// BenchmarkEcho prints what calls cost side by side. An iteration is a round, in
// which each system has its turns.
func BenchmarkEcho(b *testing.B) {
	c, err := newComparison(b.Context(), loads(*turn))
	require.NoError(b, err)
	for b.Loop() {
		require.NoError(b, c.round())
	}
	require.NoError(b, c.close())
	fmt.Printf("\n%d rounds\n%s", len(c.rounds), c.table())
}

// The benchmark as it is run, but short.
func TestComparison(t *testing.T) {
	c, err := newComparison(t.Context(), loads(time.Millisecond))
	require.NoError(t, err)
	require.NoError(t, c.round())
	require.NoError(t, c.close())
	for i := range c.loads {
		for j, s := range systems {
			require.Positive(t, c.rounds[0][i][j].Rate, s.name)
		}
	}
	t.Log("\n" + c.table())
}

func TestMedian(t *testing.T) {
	require.Equal(t, 2.0, median([]float64{3, 1, 2}))
	require.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
}
