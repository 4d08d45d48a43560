//go:build planted

package handoff

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/internal/planted"
	"github.com/eventual-go/eventual/transport"
)

// The mistake that is planted loses what was kept, if a call fails.
func TestPlanted(t *testing.T) {
	defer planted.Set(planted.Bug)
	for _, bug := range []string{"", planted.HintDeletedEarly} {
		planted.Set(bug)
		b, rng, lost := &Buffer{Join: union}, rand.New(rand.NewPCG(1, 1)), 0
		for range 100 {
			b.Tick(epoch)
			mustKeep(t, b, "b", "k", "x")
			batch, _ := b.Batch("b")
			if rng.IntN(2) == 0 {
				b.Failed("b", batch.ID, transport.ErrUnreachable)
			}
			if b.state("b", "k") == nil {
				lost++
			}
			b.Forget("b")
		}
		require.Equal(t, bug != "", lost > 0)
	}
}
