package carry

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// takeAll takes places one by one for as long as there are some for the node.
func takeAll(r *Room, from transport.NodeID, limit int) (taken int) {
	for r.Take(from, 1, 1, limit) {
		taken++
	}
	return taken
}

// Whoever takes all it gets leaves some for those who come later.
func TestRoomIsShared(t *testing.T) {
	var r Room
	require.Equal(t, 32, takeAll(&r, "a", 64))
	require.Equal(t, 16, takeAll(&r, "b", 64))
	require.Equal(t, 8, takeAll(&r, "c", 64))
	r.Give("a", 32)
	r.Give("b", 16)
	require.Equal(t, 24, takeAll(&r, "c", 64), "up to as many as it leaves free")
	r.Give("c", 32)
	require.Empty(t, r.by)
	require.Zero(t, r.taken)
	require.Equal(t, 32, takeAll(&r, "c", 64))
}

// Each of as many nodes as there are places has one.
func TestRoomForManyNodes(t *testing.T) {
	var r Room
	for i := range 64 {
		require.True(t, r.Take(transport.NodeID(fmt.Sprint(i)), 1, 1, 64))
	}
	require.False(t, r.Take("more", 1, 1, 64))
	require.NotContains(t, r.by, transport.NodeID("more"))
}

// What is a node's in any case it gets in any steps, up to all there is.
func TestRoomOfTheFirst(t *testing.T) {
	var r Room
	r.Give("a", 0)
	require.True(t, r.Take("a", 1, 100, 100))
	require.True(t, r.Take("a", 99, 100, 100))
	require.False(t, r.Take("a", 1, 100, 100))
	require.False(t, r.Take("b", 1, 100, 100))
	require.True(t, r.Take("b", 0, 100, 100))
	require.NotContains(t, r.by, transport.NodeID("b"))
	r.Give("b", 0)
	r.Give("a", 100)
	require.Empty(t, r.by)
	require.True(t, r.Take("a", 60, 10, 120))
	require.False(t, r.Take("a", 1, 10, 120))
	require.False(t, r.Take("b", 1<<40, 1<<50, 120))
}
