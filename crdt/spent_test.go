package crdt_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/crdt"
	"github.com/eventual-go/eventual/vclock"
)

func TestSpentIsWhatMayBeForgotten(t *testing.T) {
	a, kinds := vclock.Named("a"), crdt.Standard()
	v := new(crdt.Value)
	require.True(t, v.Spent())

	set, err := crdt.Ensure[*crdt.ORSet[string]](kinds, v)
	require.NoError(t, err)
	set.Add(a, "x")
	require.False(t, v.Spent())
	_, err = v.Reset()
	require.NoError(t, err)
	require.True(t, v.Spent())

	orders, err := crdt.Ensure[*crdt.TwoPhaseSet[string]](kinds, v)
	require.NoError(t, err)
	require.True(t, v.Spent())
	orders.Add("x")
	require.False(t, v.Spent())
	orders.Remove("x")
	require.True(t, v.Empty())
	require.False(t, v.Spent(), "removal is final, so it must be remembered")

	v = new(crdt.Value)
	bans, err := crdt.Ensure[*crdt.RWSet[string]](kinds, v)
	require.NoError(t, err)
	bans.Add(a, "x")
	bans.Remove(a, "x")
	require.True(t, v.Empty())
	require.False(t, v.Spent(), "the removal is in force")
	bans.Reset()
	require.True(t, v.Spent())
}
