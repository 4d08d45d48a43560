package handoff

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

// A node is one of a network.
type node struct {
	*Handoff
	id      transport.NodeID
	replica *sets
	calls   atomic.Int64
	dropped []Dropped
	lost    atomic.Int64
	mu      sync.Mutex
}

// Call counts calls.
type counting struct {
	*node
	transport.Caller
}

func (c counting) Call(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
	c.calls.Add(1)
	return c.Caller.Call(ctx, to, method, req)
}

// join adds a node to a network, with the Handoff that set has changed.
func join(net *mem.Network, id transport.NodeID, set func(h *Handoff)) *node {
	n := &node{id: id, replica: new(sets)}
	h := &Handoff{Self: id, Join: union, Replica: n.replica, Seed: 3}
	h.Events.OnDropped = func(d Dropped) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.dropped = append(n.dropped, d)
	}
	h.Events.OnFailed = func(error) { n.lost.Add(1) }
	if set != nil {
		set(h)
	}
	n.Handoff = h
	h.Caller = counting{n, net.Node(id, h.Handler())}
	return n
}

// run runs a node until the returned function is called.
func (n *node) run(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	return func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	}
}

func (n *node) keep(t *testing.T, to transport.NodeID, key, delta string) {
	t.Helper()
	require.NoError(t, n.Keep(t.Context(), to, key, []byte(delta)))
}

func (n *node) told() []Dropped {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dropped
}

func TestHintsAreDeliveredWhenTheTargetIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Refuse: true}
		a, b := join(net, "a", nil), join(net, "b", nil)
		defer a.run(t)()
		net.Down("b")
		a.keep(t, "b", "k", "x")
		a.keep(t, "b", "k", "y")
		a.keep(t, "c", "k", "z")
		held, err := a.Held(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "xyz", string(held))
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 2, a.Stats().Hints)
		net.Up("b")
		a.Kick("b")
		synctest.Wait()
		require.Equal(t, map[string]string{"k": "xy"}, b.replica.content())
		require.Equal(t, 1, b.replica.merges, "they were joined")
		s := a.Stats()
		require.EqualValues(t, 3, s.Kept)
		require.EqualValues(t, 1, s.Replayed)
		require.EqualValues(t, 1, b.Stats().Received)
		require.Len(t, s.Targets, 1, "c has not come")
		held, err = a.Held(t.Context(), "k")
		require.NoError(t, err)
		require.Equal(t, "z", string(held))
	})
}

func TestATargetThatIsAwayCostsACallNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Refuse: true}
		a := join(net, "a", nil)
		defer a.run(t)()
		for i := range 1000 {
			a.keep(t, "b", fmt.Sprint(i), "x")
		}
		time.Sleep(10 * time.Second)
		before := a.calls.Load()
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Less(t, a.calls.Load()-before, int64(3600/2), "about every four seconds")
		require.Greater(t, a.calls.Load()-before, int64(3600/6))
	})
}

func TestACallOfATargetSaysThatItIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Refuse: true}
		a, b := join(net, "a", nil), join(net, "b", nil)
		defer a.run(t)()
		net.Down("b")
		a.keep(t, "b", "k", "x")
		time.Sleep(time.Hour)
		net.Up("b")
		b.keep(t, "a", "k", "y")
		_, err := b.Replay(t.Context(), "a")
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, map[string]string{"k": "x"}, b.replica.content())
		require.Equal(t, map[string]string{"k": "y"}, a.replica.content())
	})
}

func TestReplayByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Refuse: true}
		a, b := join(net, "a", nil), join(net, "b", nil)
		net.Down("b")
		want := map[string]string{}
		for i := range 3000 {
			a.keep(t, "b", fmt.Sprint(i), "xyz")
			want[fmt.Sprint(i)] = "xyz"
		}
		_, err := a.Replay(t.Context(), "b")
		require.ErrorIs(t, err, transport.ErrUnreachable)
		net.Up("b")
		b.replica.refuse = func(key string) error {
			if key == "7" {
				return errBad
			}
			return nil
		}
		done, err := a.Replay(t.Context(), "b")
		require.NoError(t, err)
		require.Equal(t, Replayed{Target: "b", Hints: 2999, Bytes: 3 * 2999, Refused: 1}, done)
		b.replica.refuse = nil
		done, err = a.Replay(t.Context(), "b")
		require.NoError(t, err)
		require.Equal(t, Replayed{Target: "b", Hints: 1, Bytes: 3}, done)
		require.Equal(t, want, b.replica.content())
		require.Empty(t, a.Stats().Targets)
	})
}

// One key that is refused holds nothing up, and is given up in the end.
func TestAKeyThatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{}
		a, b := join(net, "a", nil), join(net, "b", nil)
		b.replica.refuse = func(key string) error {
			if key == "bad" {
				return errBad
			}
			return nil
		}
		a.keep(t, "b", "bad", "x")
		a.keep(t, "b", "good", "y")
		defer a.run(t)()
		synctest.Wait()
		require.Equal(t, map[string]string{"good": "y"}, b.replica.content())
		require.Empty(t, a.told())
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, a.told(), 1)
		d := a.told()[0]
		require.Equal(t, "bad", d.Key)
		require.Equal(t, Refused, d.Reason)
		require.Equal(t, &RefusedError{Reason: "bad state"}, d.Err)
		require.EqualValues(t, 1, a.Stats().Dropped[Refused])
		require.Less(t, a.calls.Load(), int64(20))
		require.Empty(t, a.Stats().Targets)
	})
}

// Of keeps that wait at the same time all but the first share one write of the log.
func TestKeepsShareAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold, log := make(chan struct{}), new(rows)
		log.before = func() error { <-hold; return nil }
		h := &Handoff{Join: union, Log: log}
		var wg sync.WaitGroup
		for i := range 64 {
			wg.Go(func() {
				if err := h.Keep(t.Context(), "b", fmt.Sprint(i), []byte("x")); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		close(hold)
		wg.Wait()
		require.Equal(t, 2, log.applies)
		require.Len(t, log.rows, 64)
		h.buffer.check(t, log)
	})
}

func TestWhoDoesNotWaitAnyMoreKeepsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold, log := make(chan struct{}), new(rows)
		log.before = func() error { <-hold; return nil }
		h := &Handoff{Join: union, Log: log}
		go func() { _ = h.Keep(t.Context(), "b", "1", []byte("x")) }()
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error)
		go func() { errs <- h.Keep(ctx, "b", "2", []byte("x")) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-errs, context.Canceled)
		close(hold)
		synctest.Wait()
		require.Len(t, log.rows, 1)
		require.ErrorIs(t, h.Keep(ctx, "b", "2", []byte("x")), context.Canceled)
	})
}

func TestFieldsThatAreMissing(t *testing.T) {
	h := &Handoff{Self: "a"}
	require.ErrorContains(t, h.Keep(t.Context(), "b", "k", nil), "without a Join")
	require.ErrorIs(t, h.Keep(t.Context(), "a", "k", nil), errSelf)
	require.ErrorIs(t, h.Run(t.Context()), errNoCaller)
	_, err := h.Replay(t.Context(), "b")
	require.ErrorIs(t, err, errNoCaller)
	_, err = h.Handler().ServeCall(t.Context(), "b", MethodReplay, nil)
	require.ErrorIs(t, err, errNoReplica)
	_, err = h.Handler().ServeCall(t.Context(), "b", "handoff/else", nil)
	require.ErrorIs(t, err, transport.ErrUnknownMethod)
}

func TestOneRunAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := join(new(mem.Network), "a", nil)
		stop := a.run(t)
		synctest.Wait()
		require.ErrorIs(t, a.Run(t.Context()), ErrRunning)
		stop()
		a.run(t)()
	})
}

// What joins with nothing gives way to what does, and is told.
func TestWhatIsHeldAndJoinsWithNothing(t *testing.T) {
	fails := false
	b := &Buffer{Join: func(x, y []byte) ([]byte, error) {
		if fails && len(x) > 0 {
			return nil, errBad
		}
		return union(x, y)
	}}
	b.Tick(epoch)
	mustKeep(t, b, "b", "k", "x")
	require.ErrorIs(t, b.Keep("b", "k", []byte("!")), errBad)
	require.Equal(t, "x", string(b.state("b", "k")))
	fails = true
	mustKeep(t, b, "b", "k", "y")
	require.Equal(t, "y", string(b.state("b", "k")))
	d := b.Changes().Dropped
	require.Len(t, d, 1)
	require.Equal(t, Refused, d[0].Reason)
	require.True(t, errors.Is(d[0].Err, errBad))
	b.check(t, nil)
}
