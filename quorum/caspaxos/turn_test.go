package caspaxos

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// An acceptor that says yes to an older ballot has told the newer one of it, or does so later.
func TestRequestsOfAKeyTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &shelf{states: make(map[string][]byte)}
		r := &Registers{Self: "a", Local: m, Kinds: kinds}
		rec := (&record{}).with([]byte("x"), Ballot{1, 1})
		done := make(chan reply, 1)
		m.meanwhile = func() {
			m.meanwhile = nil
			go func() {
				p, _ := r.serve(t.Context(), &request{ask: askPrepare, key: "k", ballot: Ballot{2, 2}})
				done <- p
			}()
			time.Sleep(time.Second)
		}
		p, err := r.serve(t.Context(), &request{ask: askAccept, key: "k", ballot: Ballot{1, 1}, record: rec.encode()})
		require.NoError(t, err)
		require.Equal(t, uint8(saidYes), p.said)
		require.Equal(t, Ballot{1, 1}, (<-done).accepted)
		require.Empty(t, r.turns.waiting, "nothing is kept of keys that nobody asks for")
	})
}

func TestTurnsEndWithTheContext(t *testing.T) {
	var all turns
	require.NoError(t, all.enter(t.Context(), "k"))
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, context.Canceled, all.enter(over, "k"))
	require.NoError(t, all.enter(t.Context(), "another"))
	all.leave("another")
	all.leave("k")
	require.Empty(t, all.waiting)
}

// Who comes first is first.
func TestTurnsAreInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		require.NoError(t, all.enter(t.Context(), "k"))
		var order []int
		for i := range 5 {
			go func() {
				_ = all.enter(t.Context(), "k")
				order = append(order, i)
				all.leave("k")
			}()
			synctest.Wait()
		}
		all.leave("k")
		synctest.Wait()
		require.Equal(t, []int{0, 1, 2, 3, 4}, order)
	})
}
