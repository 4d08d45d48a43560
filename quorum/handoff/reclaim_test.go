package handoff

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// A hint outlives the place of its target in the ring: it is not delivered to who would drop it, nor lost with who has
// departed.
func TestHintsOfThoseWhoHoldNoMoreAreReclaimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net mem.Network
		var changed atomic.Bool
		log := new(rows)
		a := join(&net, "a", func(h *Handoff) {
			h.Log = log
			h.Holds = func(node transport.NodeID, key string) bool { return !changed.Load() || node == "c" }
		})
		a.keep(t, "b", "k", "12")
		a.keep(t, "b", "l", "3")
		a.keep(t, "c", "k", "4")
		defer a.run(t)()
		time.Sleep(3 * reclaimEvery)
		require.Empty(t, a.replica.content(), "all hold all")
		changed.Store(true)
		time.Sleep(2 * reclaimEvery)
		require.Equal(t, map[string]string{"k": "12", "l": "3"}, a.replica.content())
		s := a.Stats()
		require.Equal(t, 1, s.Hints, "of c, which holds the key still")
		require.EqualValues(t, 2, s.Reclaimed)
		require.Empty(t, a.told(), "nothing was dropped")
		require.Len(t, log.rows, 1)
	})
}

// What cannot be merged here stays, and does not keep the others from it; what was joined to a hint meanwhile stays.
func TestReclaimKeepsWhatItCannotMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var net mem.Network
		a := join(&net, "a", func(h *Handoff) { h.Holds = func(transport.NodeID, string) bool { return false } })
		a.replica.refuse = func(key string) error {
			if key == "bad" {
				return errBad
			}
			if key == "busy" {
				return a.Keep(t.Context(), "b", "busy", []byte("9"))
			}
			return nil
		}
		for _, key := range []string{"bad", "busy", "good"} {
			a.keep(t, "b", key, "1")
		}
		n, err := a.Reclaim(t.Context())
		require.ErrorIs(t, err, errBad)
		require.Equal(t, 1, n)
		require.Equal(t, map[string]string{"busy": "1", "good": "1"}, a.replica.content())
		require.Equal(t, 2, a.Stats().Hints)
		a.buffer.check(t, nil)

		a.replica.refuse = nil
		n, err = a.Reclaim(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, "19", a.replica.content()["busy"])
		require.Empty(t, a.Stats().Targets)

		a.Holds = nil
		a.keep(t, "b", "k", "1")
		n, err = a.Reclaim(t.Context())
		require.NoError(t, err)
		require.Zero(t, n, "all hold all")
	})
}

// A hint that is on its way when it is reclaimed is not sent again.
func TestReclaimOfHintsUnderWay(t *testing.T) {
	b := &Buffer{Join: union, Seed: 1}
	b.Tick(epoch)
	mustKeep(t, b, "b", "k", "1")
	for _, acked := range []bool{true, false} {
		batch, ok := b.Batch("b")
		require.True(t, ok)
		require.True(t, b.reclaimed(b.all()[0]))
		if acked {
			_, err := b.Acked("b", batch.ID, serveAll(t, new(sets), batch))
			require.NoError(t, err)
		} else {
			b.Failed("b", batch.ID, transport.ErrUnreachable)
		}
		b.check(t, nil)
		require.Empty(t, b.Stats().Targets)
		mustKeep(t, b, "b", "k", "1")
	}
}

// A hint that comes in the place of one that is being reclaimed is another one, and stays: an acknowledged delta is in it.
func TestReclaimLetsGoOfNothingElse(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, a *node){
		"reclaimed twice at once": func(t *testing.T, a *node) {
			_, err := a.Reclaim(t.Context())
			require.NoError(t, err)
		},
		"delivered": func(t *testing.T, a *node) {
			_, err := a.Replay(t.Context(), "b")
			require.NoError(t, err)
		},
		"forgotten": func(t *testing.T, a *node) { require.NoError(t, a.Forget(t.Context(), "b")) },
	} {
		t.Run(name, func(t *testing.T) {
			var net mem.Network
			log := new(rows)
			a := join(&net, "a", func(h *Handoff) {
				h.Log = log
				h.Holds = func(transport.NodeID, string) bool { return false }
			})
			join(&net, "b", nil)
			a.keep(t, "b", "k", "1")
			a.Replica = &interrupted{Replica: a.replica, once: func() {
				meanwhile(t, a)
				a.keep(t, "b", "k", "2")
			}}
			_, err := a.Reclaim(t.Context())
			require.NoError(t, err)
			held, err := a.Held(t.Context(), "k")
			require.NoError(t, err)
			require.Equal(t, "2", string(held))
			require.Len(t, log.rows, 1)
		})
	}
}

// What is gone does not pile up behind what waits.
func TestTheQueueIsBounded(t *testing.T) {
	b := &Buffer{Join: union, Seed: 1}
	b.Tick(epoch)
	mustKeep(t, b, "b", "first", "1")
	for range 1000 {
		mustKeep(t, b, "b", "k", "1")
		require.True(t, b.reclaimed(b.all()[1]))
	}
	require.Less(t, len(b.targets["b"].queue), 40)
	b.check(t, nil)
}

// interrupted is a Replica at which something happens after the first merge.
type interrupted struct {
	Replica
	once func()
}

func (i *interrupted) Merge(ctx context.Context, key string, state []byte) ([]byte, error) {
	novel, err := i.Replica.Merge(ctx, key, state)
	if f := i.once; f != nil {
		i.once = nil
		f()
	}
	return novel, err
}
