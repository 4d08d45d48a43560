package tcp

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// A table is a map.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var calls table[call]
		model := make(map[uint64]*call)
		ids := rapid.Uint64Range(0, rapid.SampledFrom([]uint64{3, 100, 1000}).Draw(t, "ids"))
		spread := rapid.SampledFrom([]uint64{1, 64, 1 << 58}).Draw(t, "spread")
		for range rapid.IntRange(0, 500).Draw(t, "steps") {
			id := ids.Draw(t, "id") * spread
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0, 1:
				if model[id] == nil {
					model[id] = &call{id: id}
					calls.put(id, model[id])
				}
			case 2:
				calls.delete(id)
				delete(model, id)
			}
			require.Same(t, model[id], calls.get(id))
			require.Equal(t, len(model), calls.n)
			require.LessOrEqual(t, 2*calls.n, len(calls.slots))
		}
		found := make(map[uint64]*call)
		calls.all(func(k *call) { found[k.id] = k })
		require.Equal(t, model, found)
		for id, k := range model {
			require.Same(t, k, calls.get(id))
		}
	})
}

func BenchmarkTable(b *testing.B) {
	b.Run("table", func(b *testing.B) {
		var calls table[call]
		k := new(call)
		for id := uint64(0); b.Loop(); id++ {
			calls.put(id, k)
			calls.get(id - 256)
			calls.delete(id - 256)
		}
	})
	b.Run("map", func(b *testing.B) {
		calls := make(map[uint64]*call)
		k := new(call)
		for id := uint64(0); b.Loop(); id++ {
			calls[id] = k
			_ = calls[id-256]
			delete(calls, id-256)
		}
	})
}
