//go:build planted

package ring

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/internal/planted"
)

// The model would notice.
func TestPlanted(t *testing.T) {
	defer planted.Set(planted.Bug)
	for _, bug := range []string{planted.SettleEarly, planted.DropBeforeHandover} {
		planted.Set(bug)
		found := false
		for seed := uint64(0); seed < 2000 && !found; seed++ {
			_, _, err := walk(t, seed, 400)
			found = err != nil
			if found {
				t.Logf("%s: found by walk %d: %v", bug, seed, err)
			}
		}
		require.True(t, found, bug)
	}
}
