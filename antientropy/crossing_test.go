package antientropy

import (
	"testing"
	"testing/synctest"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// What a round has just sent is not on its way any more when it looks at that again: it is compared in the same round, and
// not left to the next one.
func TestWhatWasPushedInPartsIsComparedInTheSameRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := large(1000)
		a.add("large", 2000)
		b.add("large", 3000)
		r := newRig(t, func(l *Loop) { l.Store = a }, "b")
		r.there["b"] = &Responder{Store: b}
		var all []Exchange
		r.loop.Events.OnExchange = func(x Exchange) { all = append(all, x) }
		r.run()
		r.stop()
		require.Equal(t, a.root(), b.root())
		require.NotEmpty(t, all)
		for _, x := range all {
			require.Zero(t, x.Deferred, "%+v", x)
		}
		require.Empty(t, r.loop.peers[transport.NodeID("b")].crossing.sending)
	})
}
