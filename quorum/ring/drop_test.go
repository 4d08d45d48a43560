package ring

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

// What there was when a partition began to be handed over is forgotten when the partition comes
// back: it is not what there is when it goes again, and it would keep an old index in memory.
func TestWhatWasHeldIsForgottenWhenItComesBack(t *testing.T) {
	c := new(town)
	k := &Keeper{Self: "n0000", Hasher: testHasher, Store: &shelf{town: c, keys: map[string]bool{"key": true}}}
	r := newRing(t, 8, 1, fleet(1, 1))
	require.NoError(t, k.Adopt(r))
	hear := func(r *Ring) {
		require.NoError(t, k.inTurn(t.Context(), func(tr *Transition) error {
			return tr.Heard("n0001", State{Epoch: r.epoch, Fingerprint: r.print}, r, k.save)
		}))
	}
	begin := func() (tasks []Task) {
		_ = k.inTurn(t.Context(), func(tr *Transition) error {
			tasks = tr.Begin(1, func(transport.NodeID) bool { return true })
			(&runner{Keeper: k}).remember(tr, tasks)
			return nil
		})
		return tasks
	}
	gone := changed(t, r, fleet(2, 1)[1:], 0)
	hear(gone)
	require.Len(t, begin(), 1)
	require.Len(t, k.held, 8)

	back := changed(t, gone, fleet(2, 1), 0) // it owns half of them again
	hear(back)
	_, gives := k.t.Left()
	require.Equal(t, 4, gives)
	require.Len(t, k.held, gives, "what is still to be handed over")
	for p := range k.held {
		require.False(t, back.Owns("n0000", p))
	}
	hear(changed(t, back, fleet(1, 1), 0))
	require.Empty(t, k.held)
}
