package vclock

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLastAtTheEpochIsAMoment(t *testing.T) {
	h := &HLC{Replica: Named("paris"), Now: func() time.Time { return time.Unix(0, 0) }}
	first := h.Stamp()
	require.Equal(t, Timestamp{Wall: 0, Logical: 1, Replica: h.Replica}, first)
	require.Equal(t, first, h.Last(), "it was stamped, although the physical clock shows zero")
}

// The last second that nanoseconds reach into is cut off in the middle.
func TestPhysicalClockInTheLastSecond(t *testing.T) {
	last := math.MaxInt64 / int64(time.Second)
	h := &HLC{Replica: Named("paris"), Now: func() time.Time { return time.Unix(last, 999_999_999) }}
	require.Equal(t, int64(math.MaxInt64), h.Stamp().Wall)
}
