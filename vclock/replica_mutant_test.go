package vclock

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReplicasThatDifferOnlyInTheLastByteAreOrdered(t *testing.T) {
	a, b := ReplicaIDFrom([16]byte{15: 1}), ReplicaIDFrom([16]byte{15: 2})
	require.Equal(t, -1, a.Compare(b))
	require.Equal(t, +1, b.Compare(a))
	require.Zero(t, a.Compare(a))
}
