package crdt_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

// A map that very many replicas wrote to, its fields in reverse order of them: each costs the same, however many
// there are.
func BenchmarkORMapOfManyReplicas(b *testing.B) {
	for _, n := range []int{5_000, 20_000, 80_000} {
		x, y := reversed(n, "x"), reversed(n, "y")
		bytes := encoded(b, x)
		perReplica := func(b *testing.B) {
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/replica")
		}
		b.Run(fmt.Sprintf("decode/n=%d", n), func(b *testing.B) {
			for b.Loop() {
				require.NoError(b, new(ormap).UnmarshalBinary(bytes))
			}
			perReplica(b)
		})
		b.Run(fmt.Sprintf("merge/n=%d", n), func(b *testing.B) {
			for b.Loop() {
				both := new(ormap)
				both.Merge(x)
				both.Merge(y)
			}
			perReplica(b)
		})
	}
}
