package vclock

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// In order: by wall time, then by the counter, then by the replica.
func TestTimestampsGoByWallThenCounterThenReplica(t *testing.T) {
	paris, tokyo := Named("paris"), Named("tokyo")
	ascending := []Timestamp{
		{}, {0, 0, paris}, {0, 1, paris}, {1, 0, paris}, {1, 0, tokyo}, {1, 1, paris}, {1, 1, tokyo}, {2, 0, paris},
	}
	for i, a := range ascending {
		for j, b := range ascending {
			want := 0
			switch {
			case i < j:
				want = -1
			case i > j:
				want = +1
			}
			require.Equal(t, want, a.Compare(b), "%v, %v", a, b)
		}
	}
}
