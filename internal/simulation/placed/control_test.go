package placed

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// Reads that do not wait for their repairs go back behind what others saw, as package quorum says of them.
// The checks that find nothing wrong with those that do wait find that, if they are told to look.
func TestReadsThatDoNotWaitGoBack(t *testing.T) {
	const most = 300
	for seed := range uint64(most) {
		if _, err := Run(seed, Options{TrustLazyReads: true}); err != nil {
			require.Equal(t, wentBack, err.(*Violation).Invariant)
			t.Logf("seed %d of at most %d: %v", seed+1, most, err)
			return
		}
	}
	t.Fatal("no read went back")
}

// Reads that do not write back may go back behind one that saw what a failed write has left. The checker of histories finds that.
func TestReadsThatDoNotWriteBackAreNotLinearizable(t *testing.T) {
	const most = 300
	for seed := range uint64(most) {
		if _, err := Run(seed, Options{NoWriteBack: true}); err != nil {
			require.Equal(t, notLinearizable, err.(*Violation).Invariant)
			t.Logf("seed %d of at most %d: %v", seed+1, most, err)
			return
		}
	}
	t.Fatal("all was linearizable")
}

func TestDifferentSeedsHaveDifferentHashes(t *testing.T) {
	seen := make(map[uint64]uint64)
	for seed := range uint64(30) {
		res, _ := Run(seed, Options{})
		other, twice := seen[res.Hash]
		require.False(t, twice, "seeds %d and %d", seed, other)
		seen[res.Hash] = seed
	}
}
