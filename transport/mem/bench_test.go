package mem_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/eventual-go/eventual/transport/mem"
)

func BenchmarkEcho(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("bytes=100/callers=%d", callers), func(b *testing.B) {
			var net mem.Network
			net.Node("b", echoer)
			a := net.Node("a", nil)
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			req := make([]byte, 100)
			b.ReportAllocs()
			b.ResetTimer()
			var group sync.WaitGroup
			for i := range callers {
				group.Go(func() {
					for range (b.N + i) / callers {
						if _, err := a.Call(ctx, "b", "bench/echo", req); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			group.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}
