package ring

import (
	"context"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
)

// A caller is a network of one function.
type caller func(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error)

func (c caller) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	return c(ctx, to, method, req)
}

func nothing(context.Context, transport.NodeID, []merkle.Range) error { return nil }

func unreachable(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
	return nil, transport.ErrUnreachable
}

// Run says what is missing, rather than that nobody ever holds anything.
func TestRunNeedsItsFields(t *testing.T) {
	for _, c := range []struct {
		k    *Keeper
		want error
	}{
		{&Keeper{Hasher: testHasher, Transfer: nothing, HandOver: nothing}, errNoCaller},
		{&Keeper{Hasher: testHasher, Caller: caller(unreachable), HandOver: nothing}, errNoTransfer},
		{&Keeper{Hasher: testHasher, Caller: caller(unreachable), Transfer: nothing}, errNoTransfer},
		{&Keeper{Caller: caller(unreachable), Transfer: nothing, HandOver: nothing}, errNoHasher},
	} {
		require.ErrorIs(t, c.k.Run(t.Context()), c.want)
	}
}

// Intervals of any length are asked for, and pauses after any number of failures: none is below zero, or longer
// than an hour and what is said of pauses.
func TestIntervalsAreOfAnHourAtMost(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		0: time.Second, -1: time.Second, math.MinInt64: time.Second, 1: 1, time.Minute: time.Minute,
		math.MaxInt64: time.Hour, math.MaxInt64 / 2: time.Hour, math.MaxInt64 / 16: time.Hour,
	} {
		r := &runner{Keeper: &Keeper{Interval: d}, pauses: make(map[transport.NodeID]pause)}
		require.Equal(t, want, r.interval())
		for range 20 {
			r.rest("x", errFails)
			require.LessOrEqual(t, time.Until(r.pauses["x"].until), maxPause*want*11/10)
		}
		require.GreaterOrEqual(t, r.jitter(r.interval()), want*9/10)
	}
	synctest.Test(t, func(t *testing.T) {
		k := &Keeper{Self: "n0000", Hasher: testHasher, Interval: math.MaxInt64,
			Caller: caller(unreachable), Transfer: nothing, HandOver: nothing}
		require.NoError(t, k.Adopt(newRing(t, 1, 1, fleet(2, 1))))
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		require.ErrorIs(t, k.Run(ctx), context.DeadlineExceeded)
		require.LessOrEqual(t, k.Stats().Asked, uint64(1+24*10/9), "one node, once an hour")
		require.GreaterOrEqual(t, k.Stats().Asked, uint64(1+24*10/11))
	})
}

// A member that says nothing, rather than that it is not there, holds up neither questions to others nor
// transfers: there is one question to it under way, and it ends with Run.
func TestASilentMemberHoldsNothingUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing(t, 16, 3, fleet(3, 1))
		joint := change(t, r, append(fleet(4, 1)[:2], fleet(4, 1)[3]), 0) // the third one goes
		var silent, most, asked, ended atomic.Int64
		answer := func(ctx context.Context, to transport.NodeID, _ string, _ []byte) ([]byte, error) {
			if to == "n0002" {
				most.Store(max(most.Load(), silent.Add(1)))
				defer silent.Add(-1)
				<-ctx.Done()
				ended.Add(1)
				return nil, ctx.Err()
			}
			asked.Add(1)
			return appendResponse(nil, State{Epoch: 2, Fingerprint: joint.print}, joint, 2), nil
		}
		k := &Keeper{Self: "n0003", Hasher: testHasher, Caller: caller(answer), Transfer: nothing, HandOver: nothing}
		require.NoError(t, k.Adopt(r))
		require.NoError(t, k.Adopt(joint))
		ctx, cancel := context.WithCancel(t.Context())
		over := make(chan error, 1)
		go func() { over <- k.Run(ctx) }()
		synctest.Wait()
		require.True(t, k.Stats().Done, "it transfers as soon as a majority has answered")
		require.EqualValues(t, 1, silent.Load(), "while one is still being asked")
		time.Sleep(time.Minute)
		synctest.Wait()
		require.EqualValues(t, 1, most.Load())
		require.Greater(t, ended.Load(), int64(8), "it is asked again")
		require.Greater(t, asked.Load(), int64(2*50), "two nodes, each second")
		cancel()
		require.ErrorIs(t, <-over, context.Canceled)
		require.Zero(t, silent.Load())
	})
}
