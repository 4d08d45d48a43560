package pebblehints

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum/handoff"
)

// Deltas of 64 bytes kept on the disk, by several writers at once.
func BenchmarkKeep(b *testing.B) {
	for _, writers := range []int{1, 64} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			l := open(b, b.TempDir(), nil)
			h := &handoff.Handoff{Join: func(_, s []byte) ([]byte, error) { return s, nil }, Log: l}
			var n atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for i := range writers {
				wg.Go(func() {
					delta := make([]byte, 64)
					for n.Add(1) <= int64(b.N) {
						delta[0]++
						if err := h.Keep(context.Background(), "b", fmt.Sprint(i), delta); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "keeps/s")
			require.NoError(b, l.Close())
		})
	}
}
