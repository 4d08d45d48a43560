package ring

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/quorum"
)

// What is no ring is not adopted.
func TestNoRingIsNotAdopted(t *testing.T) {
	keep := func([]byte) error { return nil }
	r := newRing(t, 4, 1, fleet(1, 1))
	for name, none := range map[string]*Ring{"nil": nil, "zero": new(Ring)} {
		var e *ConfigError
		k := &Keeper{Self: "n0000", Hasher: testHasher}
		require.ErrorAs(t, k.Adopt(none), &e, name)
		require.Nil(t, k.Ring())
		require.NoError(t, k.Adopt(r))
		require.ErrorAs(t, k.Adopt(none), &e, name)
		require.Same(t, r, k.Ring())

		tr := &Transition{Self: "n0000"}
		require.NoError(t, tr.Heard("x", State{}, none, keep))
		require.Nil(t, tr.Ring())

		_, err := none.Change(fleet(3, 1), 0)
		require.ErrorAs(t, err, &e, name)
		_, err = none.Settle()
		require.ErrorIs(t, err, ErrSettled)
		_, err = none.Abort()
		require.ErrorIs(t, err, ErrSettled)
		require.Zero(t, MovementOf(none, r))
		require.Zero(t, MovementOf(r, none))
	}
}

// By the zero Ring nobody holds anything, and by any other one nobody holds partitions that there are not.
func TestPartitionsThatThereAreNot(t *testing.T) {
	r := newRing(t, 4, 1, fleet(1, 1))
	for _, r := range []*Ring{new(Ring), r} {
		for _, p := range []int{-1, 4, MaxPartitions} {
			require.Equal(t, quorum.Placement{}, r.At(p))
			require.False(t, r.Owns("n0000", p))
			require.False(t, r.Range(p).Contains(0) || r.Range(p).Contains(1))
		}
	}
	zero := new(Ring)
	for _, pos := range []merkle.Position{0, 1, merkle.Full.To} {
		require.Zero(t, zero.Partition(pos))
		require.Equal(t, quorum.Placement{}, zero.Place(pos))
	}
	require.Zero(t, zero.Partitions())
	require.Zero(t, zero.Replicas())
	require.Zero(t, zero.Epoch())
	require.False(t, zero.Changing())
	require.False(t, zero.Owns("n0000", 0))
	require.Empty(t, zero.Members())
	require.Empty(t, zero.Ranges("n0000"))
	require.Empty(t, zero.Shared("n0000", "n0001"))
	require.Empty(t, zero.Balance().Loads)
	require.Zero(t, zero.Fingerprint())
	b, err := zero.AppendBinary(nil)
	require.NoError(t, err)
	require.Empty(t, b)
}
