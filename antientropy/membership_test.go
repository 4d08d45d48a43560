package antientropy

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// held keeps the first reconciliation, whoever started it, until released, which
// then fails with err.
func held(err error) (f fault, release func()) {
	gate, later := make(chan struct{}), new(atomic.Bool)
	return func(ctx context.Context, _ transport.NodeID, _ string, serve func() ([]byte, error)) ([]byte, error) {
		if later.Swap(true) {
			return serve()
		}
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if err != nil {
			return nil, err
		}
		return serve()
	}, func() { close(gate) }
}

func everySecondAndPatient(l *Loop) {
	l.Interval, l.Timeout, l.BufferBytes = time.Second, time.Hour, 1<<16
}

// flood puts more than a buffer holds. It deadlocks where a lock is left held.
func (r *rig) flood() {
	for i := range 2000 {
		require.NoError(r.t, r.loop.Push(r.t.Context(), "k", encodeSet(uint64(i), 1<<20, 1<<21)))
	}
}

func (r *rig) queues() (n int) { return queuesOf(r.loop) }

func queuesOf(l *Loop) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.outbox.queues) + len(l.tree.links)
}

// A peer that did not answer is asked by hand, leaves meanwhile, and answers.
func TestAPeerThatLeavesDuringAnExchangeHasNoQueue(t *testing.T) {
	for _, end := range []error{nil, errBusy, transport.ErrUnreachable} {
		t.Run(fmt.Sprint(end), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, everySecondAndPatient, "b")
				r.set(func() { r.fault = failing(transport.ErrUnreachable) })
				r.run()
				f, release := held(end)
				r.set(func() { r.fault = f })
				ended := make(chan struct{})
				go func() {
					_, _ = r.loop.Exchange(t.Context(), "b")
					close(ended)
				}()
				time.Sleep(time.Millisecond)
				r.set(func() { r.peers = nil })
				time.Sleep(3 * time.Second)
				release()
				<-ended
				require.Zero(t, r.queues())
				require.Empty(t, r.loop.Stats().Peers)
				r.flood()
				r.set(func() { r.peers = []transport.NodeID{"b"} })
				time.Sleep(3 * time.Second)
				r.store.add("again a peer", 1)
				r.agree("b", time.Second)
			})
		})
	}
}

// The end of an exchange with a peer that left does not touch what waits for the
// one that came back under its name.
func TestAPeerThatRejoinsDuringAnExchangeKeepsItsQueue(t *testing.T) {
	for _, end := range []error{nil, errBusy, transport.ErrUnreachable} {
		t.Run(fmt.Sprint(end), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, everySecondAndPatient, "b")
				r.loop.PushDelay = time.Hour
				r.set(func() { r.peers = nil })
				f, release := held(end)
				r.set(func() { r.fault = f })
				r.run()
				ended := make(chan struct{})
				go func() { // with a node that is no peer yet, so that nothing waits for it
					_, _ = r.loop.Exchange(t.Context(), "b")
					close(ended)
				}()
				time.Sleep(time.Millisecond)
				for _, peers := range [][]transport.NodeID{{"b"}, nil, {"b"}} {
					r.set(func() { r.peers = peers })
					time.Sleep(3 * time.Second)
				}
				require.Greater(t, r.called("b"), 1, "it does not wait for the exchange with who left")
				require.False(t, r.stats("b").Closed)
				r.store.add("x", 1)
				time.Sleep(time.Second)
				waits := r.stats("b").Pending
				require.Positive(t, waits)
				release()
				<-ended
				require.Equal(t, waits, r.stats("b").Pending)
				require.False(t, r.stats("b").Closed)
				require.False(t, r.heard("dropped b"))
				r.flood()
			})
		})
	}
}

// Who leaves is not called any more, and what was started for it has ended.
func TestWhoLeavesIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, everySecondAndPatient, "b", "c")
		r.set(func() { delete(r.there, "b") }) // b is retried for ever
		r.run()
		time.Sleep(10 * time.Second)
		r.set(func() { r.peers = []transport.NodeID{"c"} })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		called, goroutines := r.called("b"), runtime.NumGoroutine()
		require.Equal(t, 1, r.queues())
		for range 10 {
			r.set(func() { r.peers = []transport.NodeID{"b", "c"} })
			time.Sleep(2 * time.Second)
			require.Greater(t, r.called("b"), called)
			r.set(func() { r.peers = []transport.NodeID{"c"} })
			time.Sleep(2 * time.Second)
			called = r.called("b")
		}
		time.Sleep(time.Hour)
		require.Equal(t, called, r.called("b"))
		require.Equal(t, 1, r.queues())
		synctest.Wait()
		require.LessOrEqual(t, runtime.NumGoroutine(), goroutines)
	})
}

// Of nodes that are not peers nothing is kept, whether or not Run runs.
func TestStrangersAreForgotten(t *testing.T) {
	for _, running := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			r := newRig(t, everySecond, "b")
			if running {
				r.run()
			}
			r.add("stranger")
			for i := range 100 {
				_, err := r.loop.Exchange(t.Context(), transport.NodeID(fmt.Sprint("nobody ", i)))
				require.ErrorIs(t, err, transport.ErrUnreachable)
				_, err = r.loop.Exchange(t.Context(), "stranger")
				require.NoError(t, err)
				_, err = r.loop.Exchange(t.Context(), "b")
				require.NoError(t, err)
			}
			require.Len(t, r.loop.Stats().Peers, 1)
			require.True(t, r.stats("b").Reachable)
			require.GreaterOrEqual(t, r.stats("b").Reconciliations, uint64(100))
			require.GreaterOrEqual(t, r.loop.Stats().Reconciliations, uint64(300), "those of others count in all")
		})
	}
}

// Also one that was a peer before Run, or that an exchange was under way with.
func TestPeersOfBeforeAreForgottenByRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, everySecondAndPatient, "b", "c")
		_, err := r.loop.Exchange(t.Context(), "c")
		require.NoError(t, err)
		require.Len(t, r.loop.Stats().Peers, 1)
		r.set(func() { r.peers = []transport.NodeID{"b"} })
		r.run()
		require.Len(t, r.loop.Stats().Peers, 1)
		require.Equal(t, transport.NodeID("b"), r.loop.Stats().Peers[0].Peer)

		f, release := held(nil)
		r.set(func() { r.fault = f })
		ended := make(chan error, 1)
		go func() {
			_, err := r.loop.Exchange(t.Context(), "c")
			ended <- err
		}()
		time.Sleep(time.Millisecond)
		r.set(func() { r.peers = append(r.peers, "c") })
		time.Sleep(3 * time.Second)
		release()
		require.NoError(t, <-ended)
		require.Len(t, r.loop.Stats().Peers, 2, "it has become a peer meanwhile")
		r.store.add("x", 1)
		r.agree("c", time.Second)
	})
}

// Exchanges with one node wait for one another, a peer or not.
func TestExchangesWithAStrangerWaitForOneAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil)
		r.add("b")
		under := 0
		r.fault = func(_ context.Context, _ transport.NodeID, _ string, serve func() ([]byte, error)) ([]byte, error) {
			r.set(func() { under++ })
			time.Sleep(time.Second)
			r.set(func() {
				require.Equal(t, 1, under)
				under--
			})
			return serve()
		}
		ended := make(chan error, 4)
		for range 4 {
			go func() {
				_, err := r.loop.Exchange(t.Context(), "b")
				ended <- err
			}()
			time.Sleep(700 * time.Millisecond)
		}
		for range 4 {
			require.NoError(t, <-ended)
		}
		require.Empty(t, r.loop.Stats().Peers)
	})
}
