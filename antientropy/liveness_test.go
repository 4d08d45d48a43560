package antientropy

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// In most of these tests an interval is an hour: what happens sooner was brought
// about by the event that the test is of, and by nothing else.

func everySecond(l *Loop) { l.Interval = time.Second }

func TestAFailedExchangeIsNotTheLast(t *testing.T) {
	foreign := newSets()
	foreign.index = merkle.New(merkle.NewHasher([]byte("another secret")))
	foreign.add("k", 1)
	for name, f := range map[string]fault{
		"remote":    failing(errBusy),
		"corrupt":   cutShort,
		"too large": failing(transport.ErrTooLarge),
		"incomparable": func(ctx context.Context, _ transport.NodeID, method string, _ func() ([]byte, error)) ([]byte, error) {
			start := initiate(newSets().Index(), nil, small).Start()
			return (&Responder{Store: foreign}).ServeCall(ctx, "a", method, encodeReconcile(1, &position{plain: true}, start))
		},
		"unreachable": failing(transport.ErrUnreachable),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, everySecond, "b")
				r.run()
				r.set(func() { r.fault = f })
				_, err := r.loop.Exchange(t.Context(), "b")
				require.Error(t, err)
				_, incomparable := errors.AsType[*merkle.IncomparableError](err)
				require.Equal(t, name == "incomparable", incomparable, "%v", err)
				r.set(func() { r.fault = nil })
				r.peer("b").add("x", 1)
				r.agree("b", 3*time.Second)
				before := r.called("b")
				time.Sleep(time.Minute)
				require.Greater(t, r.called("b"), before+50, "and it goes on")
			})
		})
	}
}

func TestEachPeerHasItsTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, everySecond, "b", "c", "d")
		r.run()
		for i := range 5 {
			for _, id := range r.members() {
				r.peer(id).add(fmt.Sprint(id, i), 1)
			}
			time.Sleep(7 * time.Second)
			r.agree("b", 0)
			r.agree("c", 0)
		}
	})
}

// A peer that does not answer takes no turn from those that do.
func TestADeadPeerTakesNoTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, everySecond, "b", "c")
		r.set(func() { delete(r.there, "c") })
		r.run()
		before := r.stats("b").Reconciliations
		time.Sleep(100 * time.Second)
		require.GreaterOrEqual(t, r.stats("b").Reconciliations-before, uint64(85))
		require.Positive(t, r.stats("c").Failures)
	})
}

func TestKick(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil, "b")
		r.run()
		r.peer("b").add("x", 1)
		r.loop.Kick("nobody")
		time.Sleep(time.Minute)
		require.Empty(t, r.store.get("x"))
		r.loop.Kick("b")
		r.agree("b", 100*time.Millisecond)
		r.peer("b").add("y", 1)
		r.loop.Kick()
		r.agree("b", 100*time.Millisecond)
	})
}

func TestACallOfAPeerThatDidNotAnswerIsTakenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil, "b")
		r.run()
		r.set(func() { r.fault = failing(transport.ErrUnreachable) })
		_, err := r.loop.Exchange(t.Context(), "b")
		require.ErrorIs(t, err, transport.ErrUnreachable)
		time.Sleep(24 * time.Hour) // the pauses have grown to an hour
		r.set(func() { r.fault = nil })
		r.peer("b").add("x", 1)
		_, err = r.loop.Handler().ServeCall(t.Context(), "b", methodPush, encodePush(nil))
		require.NoError(t, err)
		r.agree("b", 100*time.Millisecond)
	})
}

// Deltas that are more than one message and less than two travel in two batches.
func TestTheRestOfABatchIsSentToo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.MaxMessage = small }, "b")
		r.run()
		for i := range 15 {
			r.store.add(fmt.Sprint("k", i), elements(6)...)
		}
		r.agree("b", 100*time.Millisecond)
		require.Equal(t, uint64(2), r.stats("b").Batches)
		require.Equal(t, uint64(1), r.stats("b").Reconciliations)
	})
}

func TestABatchThatFailedOnceIsSentAgainAfterAPause(t *testing.T) {
	for _, failure := range []error{errBusy, transport.ErrUnreachable} {
		bubble(t, func(t *testing.T) {
			r := newRig(t, nil, "b")
			r.run()
			var at []time.Time
			r.set(func() {
				r.fault = func(_ context.Context, _ transport.NodeID, method string, serve func() ([]byte, error)) ([]byte, error) {
					if at = append(at, time.Now()); len(at) == 1 {
						return nil, failure
					}
					return serve()
				}
			})
			r.store.add("x", 1)
			r.agree("b", time.Second)
			require.Len(t, at, 2)
			require.GreaterOrEqual(t, at[1].Sub(at[0]), leastPause)
			require.Equal(t, uint64(1), r.stats("b").Reconciliations, "no need of another")
		})
	}
}

// Whatever keeps deltas from a peer, a reconciliation takes their place at once,
// or as soon as the peer answers again.
func TestDeltasThatFailedAreMadeUpFor(t *testing.T) {
	for name, f := range map[string]fault{
		"refused":     failing(errBusy, methodDeltas),
		"unreachable": failing(transport.ErrUnreachable, methodDeltas),
		"too large":   failing(transport.ErrTooLarge, methodDeltas),
		"corrupt":     cutShort,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, nil, "b")
				r.run()
				r.set(func() { r.fault = f })
				r.store.add("x", 1)
				for r.stats("b").Dropped == 0 {
					time.Sleep(time.Millisecond)
				}
				r.set(func() { r.fault = nil })
				r.agree("b", time.Second)
				require.Equal(t, name == "unreachable", r.heard("down b"))
				time.Sleep(time.Second)
				require.False(t, r.stats("b").Closed)
			})
		})
	}
}

// A transport that carries less than MaxMessage is no reason to call the peer
// dead, nor to ask it twice.
func TestTrap28_WhatTheTransportDoesNotCarryIsNoSilence(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil, "b")
		r.run()
		r.set(func() { r.fault = failing(transport.ErrTooLarge) })
		before := r.called("b")
		_, err := r.loop.Exchange(t.Context(), "b")
		require.ErrorIs(t, err, transport.ErrTooLarge)
		require.Equal(t, before+1, r.called("b"))
		require.True(t, r.stats("b").Reachable)
		require.False(t, r.heard("down b"))
	})
}

func TestOverflowIsMadeUpFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.BufferBytes, l.PushDelay = 4000, 24*time.Hour }, "b")
		r.run()
		for i := range 100 {
			r.store.add(fmt.Sprint("k", i), elements(20)...)
		}
		time.Sleep(time.Second)
		require.True(t, r.heard("dropped b"))
		missing := len(r.store.content()) - len(r.peer("b").content())
		require.LessOrEqual(t, missing, 20, "those at most wait as deltas")
		require.LessOrEqual(t, r.stats("b").Pending, 4000)
		require.False(t, r.stats("b").Closed)
	})
}

// What differs because of deltas is left to them once, by either side.
func TestTrap23_TheLoopInsistsOnWhatWasDeferred(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, everySecond, "b")
		r.there["b"].InFlight = func(transport.NodeID, string) bool { return true } // and they never come
		r.run()
		for i := range 10 {
			r.peer("b").add(fmt.Sprint(i), 1)
		}
		r.agree("b", 3*time.Second)
	})
}

// Deferred positions of an exchange that another one came between are kept.
func TestDeferredByTwoExchangesAtOnce(t *testing.T) {
	a, b := newSets(), newSets()
	b.add("x", 1)
	round := NewRound(a, RoundConfig{Insist: []merkle.Range{blockAt(7), blockAt(9)}})
	run(t, round, &Responder{Store: b, InFlight: func(transport.NodeID, string) bool { return true }}, 1<<20)
	x := a.Index().Hasher().Position("x")
	require.ElementsMatch(t, []merkle.Range{blockAt(uint32(x >> 32)), blockAt(8)}, deferred(round, []merkle.Range{blockAt(7), blockAt(8), blockAt(9)}))
}

// An exchange by hand leaves nothing to deltas that nobody sends.
func TestExchangeByHandDefersNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil, "b")
		r.there["b"].InFlight = func(transport.NodeID, string) bool { return true }
		r.peer("b").add("x", 1)
		x, err := r.loop.Exchange(t.Context(), "b")
		require.NoError(t, err)
		require.Zero(t, x.Deferred)
		r.agree("b", 0)
	})
}

// A reconciliation that ended early has not brought what was missed before: no
// deltas wait until one did.
func TestNoDeltasBeforeTheReconciliation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.BufferBytes, l.PushDelay = 4000, time.Minute }, "b")
		r.run()
		r.set(func() { r.fault = failing(errBusy, methodReconcile) })
		require.NoError(t, r.loop.Push(t.Context(), "k", make([]byte, 3960)))
		require.NoError(t, r.loop.Push(t.Context(), "k", make([]byte, 3960)))
		_, err := r.loop.Exchange(t.Context(), "b")
		require.ErrorIs(t, err, error(errBusy))
		require.True(t, r.stats("b").Closed)
		require.NoError(t, r.loop.Push(t.Context(), "k", make([]byte, 8)))
		require.Zero(t, r.stats("b").Pending)
		r.set(func() { r.fault = nil })
		time.Sleep(time.Second)
		require.False(t, r.stats("b").Closed)
	})
}

// An exchange that another one overtook while Events were told, and that was then
// given up, closes the peer. Nobody else would have it reconciled with again.
func TestAnExchangeGivenUpIsMadeUpFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.BufferBytes, l.PushDelay = 4000, time.Minute }, "b")
		ctx, cancel := context.WithCancel(t.Context())
		r.store.refuse = func(key string) error {
			if key == "bad" {
				return errRefused
			}
			return nil
		}
		var seen atomic.Bool
		r.loop.Events.OnRefused = func(Refused) {
			if !seen.Swap(true) {
				time.Sleep(time.Second)
				require.False(t, r.stats("b").Closed, "the loop's own has come between")
				cancel()
			}
		}
		r.run()
		r.loop.Kick() // so that the next one has to wait a little
		synctest.Wait()
		r.peer("b").add("bad", 1)
		for range 2 {
			require.NoError(t, r.loop.Push(t.Context(), "k", make([]byte, 3960)))
		}
		_, err := r.loop.Exchange(ctx, "b")
		require.Equal(t, context.Canceled, err)
		time.Sleep(time.Second)
		require.False(t, r.stats("b").Closed)
	})
}

// A loop that runs again, before it knows that a peer answers again, has put
// deltas for it aside, and sends them as soon as it does.
func TestDeltasWaitForAPeerThatComesBackWithTheLoop(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil, "b")
		r.set(func() { r.fault = failing(transport.ErrUnreachable) })
		r.run()
		r.stop()
		require.False(t, r.stats("b").Reachable)
		r.set(func() {
			r.fault = func(_ context.Context, _ transport.NodeID, _ string, serve func() ([]byte, error)) ([]byte, error) {
				time.Sleep(500 * time.Millisecond)
				return serve()
			}
		})
		r.run()
		r.store.add("x", 1)
		r.agree("b", 3*time.Second)
	})
}

func TestNothingWaitsAfterRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.PushDelay = time.Minute }, "b")
		r.run()
		r.store.add("x", 1)
		time.Sleep(time.Second)
		require.Positive(t, r.stats("b").Pending)
		r.stop()
		require.NoError(t, r.loop.Push(t.Context(), "y", encodeSet(1)))
		require.Zero(t, r.stats("b").Pending)
		require.True(t, r.stats("b").Closed)
		_, err := r.loop.Exchange(t.Context(), "b")
		require.NoError(t, err)
		require.True(t, r.stats("b").Closed, "an exchange by hand has nobody to send deltas either")
		r.agree("b", 0)
	})
}

func TestTrap28_EveryMessageKeepsToTheLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.MaxMessage, l.Interval = small, time.Second }, "b")
		for i := range 100 {
			r.store.add(fmt.Sprint("a", i), elements(40)...)
			r.peer("b").add(fmt.Sprint("b", i), elements(40)...)
			r.peer("b").add(fmt.Sprint("a", i), 1000)
			r.store.add(fmt.Sprint("a alone ", i), elements(40)...)
		}
		r.run()
		r.agree("b", time.Second)
		for i := range 100 {
			r.store.add(fmt.Sprint("a", i), elements(60)...)
		}
		r.agree("b", time.Second)
	})
}

// An answer keeps to what the responder may send, whatever the caller would take.
func TestTrap28_AResponderHasItsOwnLimit(t *testing.T) {
	a, b := newSets(), newSets()
	for i := range 100 {
		b.add(fmt.Sprint(i), elements(40)...)
	}
	round, s := NewRound(a, RoundConfig{}), &Responder{Store: b, MaxMessage: small}
	for {
		method, req, more := round.Next()
		if !more {
			break
		}
		resp, err := s.ServeCall(t.Context(), "a", method, req)
		require.NoError(t, err)
		require.LessOrEqual(t, len(resp), small, method)
		require.NoError(t, round.Step(t.Context(), resp))
	}
	require.Equal(t, a.root(), b.root())
}

// What deltas have brought while a round was pulling is not pulled.
func TestTrap24_WhatHasArrivedMeanwhileIsNotAskedFor(t *testing.T) {
	a, b := newSets(), newSets()
	for i := range 200 {
		b.add(fmt.Sprint(i), elements(40)...)
	}
	share(a, b)
	round, s := NewRound(a, RoundConfig{MaxMessage: small}), &Responder{Store: b, MaxMessage: small}
	arrived := false
	for {
		method, req, more := round.Next()
		if !more {
			break
		}
		resp, err := s.ServeCall(t.Context(), "a", method, req)
		require.NoError(t, err)
		if method == methodPull && !arrived { // after the question, of which most is left over
			arrived = true
			for key, e := range b.content() {
				a.add(key, e...)
			}
		}
		require.NoError(t, round.Step(t.Context(), resp))
	}
	require.LessOrEqual(t, round.Result().KeysReceived, 2)
}

// A push to a peer that turns out not to answer is not waited for.
func TestAPushUnderWayIsAbandoned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.Timeout = time.Hour }, "b")
		r.run()
		r.set(func() {
			r.fault = func(ctx context.Context, _ transport.NodeID, method string, _ func() ([]byte, error)) ([]byte, error) {
				if method == methodDeltas {
					<-ctx.Done()
				}
				return nil, transport.ErrUnreachable
			}
		})
		r.store.add("x", 1)
		time.Sleep(time.Second)
		_, err := r.loop.Exchange(t.Context(), "b")
		require.ErrorIs(t, err, transport.ErrUnreachable)
		r.set(func() { r.fault = nil })
		r.agree("b", time.Second)
		time.Sleep(time.Second)
		r.store.add("y", 1)
		r.agree("b", time.Second)
	})
}
