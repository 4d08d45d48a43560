package benchmark

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What was put by way of one member is got by way of each, whoever put before; and
// clients that do both at once get nothing but what was put under their key.
func TestClustersHoldWhatWasPut(t *testing.T) {
	for name, start := range starters {
		t.Run(name, func(t *testing.T) {
			c, err := start(t.Context())
			require.NoError(t, err)
			l := load{Clients: 6, Keys: 50, Gets: 50, For: 100 * time.Millisecond}
			require.NoError(t, fill(t.Context(), c, l))
			res, err := run(t.Context(), c, l)
			require.NoError(t, err)
			require.NotZero(t, res.Latencies.count())
			if name == "coordinator" || name == "olric" { // the others do not promise it
				getsWhatWasPut(t, c)
			}
			require.NoError(t, c.close())
		})
	}
}

func getsWhatWasPut(t *testing.T, c cluster) {
	t.Helper()
	for i := range 50 {
		key := keyOf(i)
		value := valueOf(key, uint64(1000+i))
		require.NoError(t, c.put(t.Context(), i%members, key, value))
		for m := range members {
			got, err := c.get(t.Context(), m, key)
			require.NoError(t, err)
			require.Equal(t, value, got)
		}
	}
}

// The benchmark as it is run, but short.
func TestComparison(t *testing.T) {
	c, err := newComparison(t.Context())
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, c.round(load{Clients: 6, Keys: 50, For: 50 * time.Millisecond}))
	}
	require.NoError(t, c.close())
	for i, on := range contests {
		_, least, _ := c.rate(i)
		require.Positive(t, least, on)
	}
	t.Log("\n" + c.table())
}

func TestMedian(t *testing.T) {
	require.Equal(t, 2.0, median([]float64{3, 1, 2}))
	require.Equal(t, 2.5, median([]float64{4, 1, 3, 2}))
}
