package ring

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport/mem"
)

// A node without a ring does not know how a change ends, so it takes the end of one from nobody but those
// who have adopted it. Otherwise others would hear of it from there.
func TestANodeWithoutARingTakesTheFirstOneOnly(t *testing.T) {
	r := newRing(t, 4, 3, fleet(3, 1))
	joint := change(t, r, fleet(6, 1)[3:], 0)
	abort, err := joint.Abort()
	require.NoError(t, err)
	keep := func([]byte) error { return nil }
	stranger := &Transition{Self: "x"}
	for _, not := range []*Ring{joint, settle(t, joint), abort} {
		err := stranger.Adopt(not, keep)
		require.ErrorIs(t, err, ErrSkips)
		require.ErrorContains(t, err, "Refresh first")
		require.Nil(t, stranger.Ring())
		heard := &Transition{Self: "x"}
		require.NoError(t, heard.Heard("n0000", State{}, not, keep), "a peer has adopted it")
		require.Same(t, not, heard.Ring())
	}
	require.NoError(t, stranger.Adopt(r, keep))
	require.NoError(t, stranger.Adopt(joint, keep))
}

// A node that joins comes to its ring without being given one: when others ask it, or by Refresh.
func TestANodeThatJoinsIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &town{net: mem.Network{Refuse: true}}
		r := newRing(t, 16, 2, c.ids(0, 3))
		c.begin(t, c.ids(0, 3), r, nil)
		c.begin(t, c.ids(3, 5), nil, nil)
		next := change(t, r, c.ids(0, 4), 0)
		require.ErrorIs(t, c.nodes["n03"].Adopt(next), ErrSkips)
		require.NoError(t, c.nodes["n00"].Adopt(next))
		require.NoError(t, c.nodes["n04"].Refresh(t.Context(), "n00"), "it is no member, and nobody asks it")
		c.settled(t, 3)
		c.close()
	})
}
