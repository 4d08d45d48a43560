//go:build planted

package caspaxos

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/internal/planted"
)

// The histories would notice.
func TestPlanted(t *testing.T) {
	defer planted.Set(planted.Bug)
	for _, bug := range planted.Agreed() {
		planted.Set(bug)
		found := false
		for _, p := range plans {
			if seed, err := search(p, 1, 5000); err != nil {
				t.Logf("%s: found by seed %d of %q", bug, seed, p.name)
				found = true
				break
			}
		}
		require.True(t, found, bug)
	}
}

// So would the model.
func TestPlantedInEveryState(t *testing.T) {
	defer planted.Set(planted.Bug)
	for _, bug := range []string{planted.CopyCounts, planted.HeldIsFirm} {
		planted.Set(bug)
		_, err := visit()
		require.ErrorContains(t, err, "does not follow", bug)
	}
}
