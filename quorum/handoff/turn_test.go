package handoff

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport/mem"
)

// A gate lets those through that it is opened for.
type gate chan struct{}

func (g gate) pass() { <-g }
func (g gate) open() { g <- struct{}{}; synctest.Wait() }

// A queueing is a node whose Log waits at a gate. It holds "k" for b. Those who wait for
// the turn get it in the order in which they came.
type queueing struct {
	*node
	t   *testing.T
	log *rows
	gate
	work sync.WaitGroup
}

func queue(t *testing.T, net *mem.Network) *queueing {
	q := &queueing{t: t, log: new(rows), gate: make(gate)}
	q.node = join(net, "a", func(h *Handoff) {
		h.Log = q.log
		h.Join = func(a, b []byte) ([]byte, error) {
			switch string(b) {
			case "slow":
				q.pass()
			case "panic":
				panic("Join")
			}
			return union(a, b)
		}
	})
	q.keep(t, "b", "k", "x")
	q.log.before = func() error { q.pass(); return nil }
	return q
}

// later does something that waits for the turn, and returns what it returns or panics with.
func (q *queueing) later(f func() error) (result chan any) {
	result = make(chan any, 1)
	q.work.Go(func() {
		var err error
		defer func() {
			if p := recover(); p != nil {
				result <- p
			} else {
				result <- err
			}
		}()
		err = f()
	})
	synctest.Wait()
	return result
}

func (q *queueing) keepLater(ctx context.Context, key string, delta []byte) chan any {
	return q.later(func() error { return q.Keep(ctx, "c", key, delta) })
}

// drain opens the gate until nobody waits.
func (q *queueing) drain() {
	close(q.gate)
	q.work.Wait()
}

// delivered fails unless b gets what is held for it.
func (q *queueing) delivered(b *node) {
	q.t.Helper()
	_, err := q.Replay(q.t.Context(), "b")
	require.NoError(q.t, err)
	require.Equal(q.t, map[string]string{"k": "x"}, b.replica.content())
	q.buffer.check(q.t, nil)
}

// A batch that was made in another's turn is not lost if who wanted to send it has given
// up meanwhile; and giving up does not wait for the Log.
func TestABatchOfWhoGivesUpIsNotLost(t *testing.T) {
	for name, send := range map[string]func(q *queueing, ctx context.Context) error{
		"Run":    func(q *queueing, ctx context.Context) error { return q.Run(ctx) },
		"Replay": func(q *queueing, ctx context.Context) error { _, err := q.Replay(ctx, "b"); return err },
	} {
		for opened := range 2 { // given up before and after the batch was made
			t.Run(fmt.Sprint(name, opened), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					net := new(mem.Network)
					q, b := queue(t, net), join(net, "b", nil)
					q.keepLater(t.Context(), "1", []byte("y"))
					q.keepLater(t.Context(), "2", []byte("y"))
					ctx, cancel := context.WithCancel(t.Context())
					gone := q.later(func() error { return send(q, ctx) })
					for range opened {
						q.open()
					}
					require.Equal(t, opened == 1, q.buffer.targets["b"].flight.id != 0)
					cancel()
					require.Equal(t, context.Canceled, <-gone, "while the Log is at work")
					require.Zero(t, q.calls.Load())
					require.Zero(t, q.Stats().Targets[0].Failures, "which is no fault of b")
					q.drain()
					q.delivered(b)
				})
			})
		}
	}
}

// A delta is not looked at any more when Keep has returned, and may be changed.
func TestKeepWaitsForAJoinThatHasBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queue(t, new(mem.Network))
		q.keepLater(t.Context(), "1", []byte("y"))
		q.keepLater(t.Context(), "2", []byte("y")) // has the turn of the others
		slow, behind := []byte("slow"), []byte("z")
		ctx, cancel := context.WithCancel(t.Context())
		first, second := q.keepLater(ctx, "3", slow), q.keepLater(ctx, "4", behind)
		q.open() // the first write; then the Join of slow has begun
		cancel()
		require.Equal(t, context.Canceled, <-second, "it has not begun")
		behind[0] = 'w'
		synctest.Wait()
		require.Empty(t, first)
		q.open() // the Join
		require.Equal(t, context.Canceled, <-first, "while the Log is at work")
		slow[0] = '!'
		q.drain()
		held, err := q.Held(t.Context(), "3")
		require.NoError(t, err)
		require.Equal(t, "losw", string(held), "held nevertheless")
		held, err = q.Held(t.Context(), "4")
		require.NoError(t, err)
		require.Empty(t, held, "it never began")
		q.buffer.check(t, q.log)
	})
}

// A Join that panics does so where the turn is. Who was before it has got what it wanted,
// who was behind it an error, and no batch is lost.
func TestAPanicOfJoin(t *testing.T) {
	for _, replayLeads := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			net := new(mem.Network)
			q, b := queue(t, net), join(net, "b", nil)
			q.keepLater(t.Context(), "1", []byte("y"))
			replay := func() error { _, err := q.Replay(t.Context(), "b"); return err }
			var replayed, kept chan any
			if replayLeads {
				replayed = q.later(replay)
				kept = q.keepLater(t.Context(), "2", []byte("y"))
			} else {
				kept = q.keepLater(t.Context(), "2", []byte("y"))
				replayed = q.later(replay)
			}
			bad := q.keepLater(t.Context(), "3", []byte("panic"))
			behind := q.keepLater(t.Context(), "4", []byte("y"))
			q.drain()
			require.Equal(t, errPanicked, <-bad)
			require.Equal(t, errPanicked, <-behind)
			if replayLeads {
				require.Equal(t, "Join", <-replayed)
				require.Equal(t, errPanicked, <-kept)
			} else {
				require.Equal(t, "Join", <-kept)
				require.Nil(t, <-replayed)
			}
			q.delivered(b)
			q.buffer.check(t, q.log)
		})
	}
}

// shaky is a Log that panics.
type shaky struct {
	rows
	all bool
}

func (s *shaky) All() iter.Seq2[Row, error] {
	if s.all {
		panic("All")
	}
	return s.rows.All()
}

// A Log that panics has failed for good: nobody knows what it has.
func TestAPanicOfTheLog(t *testing.T) {
	for _, all := range []bool{false, true} {
		log := &shaky{all: all}
		log.before = func() error { panic("Apply") }
		h := &Handoff{Self: "a", Join: union, Log: log}
		require.Panics(t, func() { _ = h.Keep(t.Context(), "b", "k", []byte("x")) })
		require.Empty(t, h.queue)
		log.before = nil
		require.ErrorIs(t, h.Keep(t.Context(), "b", "k", []byte("x")), errPanicked)
		require.Zero(t, log.applies)
	}
}
