package antientropy

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/merkle"
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

// What is compared once more before it is sent are the ranges that were asked for, which may be parts of what 32 bits tell.
func TestRangesComparedOnceMoreDoNotOverlap(t *testing.T) {
	a, b := newSets(), newSets()
	first, second := neighbours(t, a.Index().Hasher())
	a.add(first, 1)
	a.add(second, 1)
	h := a.Index().Hasher()
	block, at := blockAt(place(merkle.Range{From: h.Position(first)})), h.Position(first)
	round := NewRound(a, RoundConfig{Ranges: []merkle.Range{{From: block.From, To: at}, {From: at + 1, To: block.To}}})
	round.window = 1
	s, once := &Responder{Store: b}, false
	for {
		method, req, more := round.Next()
		if !more {
			break
		}
		if method == methodPush && !once {
			once = true
			require.NoError(t, round.compareOnceMore(t.Context()))
			continue
		}
		resp, err := s.ServeCall(t.Context(), "a", method, req)
		require.NoError(t, err)
		require.NoError(t, round.Step(t.Context(), resp))
	}
	require.True(t, once)
	require.Equal(t, a.root(), b.root())
}

// A peer that begins rounds all the time, or one that never ends, keeps nobody waiting for longer than a call may take.
func TestAPeerThatIsNeverDoneIsNotWaitedForForEver(t *testing.T) {
	for name, another := range map[string]bool{"one round": false, "ever new ones": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, nil, "b")
				peer := newSets()
				for i := range 5000 {
					peer.add(fmt.Sprint(i), 1)
				}
				r.there["b"] = &Responder{Store: peer}
				r.store.add("x", 1)
				r.fault = func(_ context.Context, _ transport.NodeID, _ string, serve func() ([]byte, error)) ([]byte, error) {
					time.Sleep(10 * time.Millisecond) // so that the peer is heard before anything is asked for
					return serve()
				}
				handler, index := r.loop.Handler(), newSets()
				for i := range uint64(200) {
					index.add("y", i)
					_, req, _ := NewRound(index, RoundConfig{Session: 1}).Next()
					if opening(req) > math.MaxUint64-math.MaxUint64/16 { // so that it goes first
						break
					}
				}
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan struct{})
				defer func() { stop(); <-done }()
				go func() {
					defer close(done)
					for session := uint64(1); ctx.Err() == nil; time.Sleep(time.Millisecond) {
						_, req, _ := NewRound(index, RoundConfig{Session: session}).Next()
						_, err := handler.ServeCall(ctx, "b", methodReconcile, req)
						require.True(t, err == nil || ctx.Err() != nil)
						if another {
							session++
						}
					}
				}()
				start := time.Now()
				x, err := r.loop.Exchange(t.Context(), "b")
				took := time.Since(start)
				require.NoError(t, err)
				r.agree("b", 0)
				require.LessOrEqual(t, took, time.Duration(x.RoundTrips)*r.loop.pace.Timeout)
				require.Equal(t, another, took < time.Second)

				r.store.add("z", 1)
				short, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				_, err = r.loop.Exchange(short, "b")
				require.Equal(t, !another, errors.Is(err, context.DeadlineExceeded))
			})
		})
	}
}
