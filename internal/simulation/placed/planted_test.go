//go:build planted

package placed

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/internal/planted"
)

// bound is how many seeds it may take to find each planted bug.
const bound = 2000

// TestPlanted plants one bug after the other and demands that some seed finds it. Seeds run one by
// one, so that the number of seeds means something.
func TestPlanted(t *testing.T) {
	defer planted.Set(planted.Bug)
	for _, bug := range planted.Placed() {
		t.Run(bug, func(t *testing.T) {
			planted.Set(bug)
			for seed := range uint64(bound) {
				if _, err := Run(seed, Options{}); err != nil {
					t.Logf("found by seed %d of at most %d: %v", seed+1, bound, err)
					return
				}
			}
			t.Fatalf("not found by %d seeds", bound)
		})
	}
	planted.Set("")
	_, err := Run(1, Options{})
	require.NoError(t, err, "without a bug")
}
