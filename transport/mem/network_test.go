package mem_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
)

func echo(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
	return req, nil
}

var echoer = transport.HandlerFunc(echo)

// try makes a call with a second to live.
func try(t *testing.T, from *mem.Node, to transport.NodeID) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := from.Call(ctx, to, "m", []byte("x"))
	return err
}

func TestLatencyIsExact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Link: mem.Link{Latency: 30 * time.Millisecond}}
		net.Node("b", echoer)
		a := net.Node("a", nil)
		net.SetLink("b", "a", mem.Link{Latency: 12 * time.Millisecond})
		start := time.Now()
		require.NoError(t, try(t, a, "b"))
		require.Equal(t, 42*time.Millisecond, time.Since(start))
	})
}

func TestJitterIsWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Link: mem.Link{Latency: 10 * time.Millisecond, Jitter: 5 * time.Millisecond}}
		net.Node("b", echoer)
		a := net.Node("a", nil)
		seen := make(map[time.Duration]bool)
		for range 100 {
			start := time.Now()
			require.NoError(t, try(t, a, "b"))
			took := time.Since(start)
			require.GreaterOrEqual(t, took, 20*time.Millisecond)
			require.Less(t, took, 30*time.Millisecond)
			seen[took] = true
		}
		require.Greater(t, len(seen), 50)
	})
}

// A lost request, and a lost reply, leave the caller waiting for its context; only
// the latter has run.
func TestLossWaitsForContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int32
		net := new(mem.Network)
		net.Node("b", transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
			ran.Add(1)
			return nil, nil
		}))
		a := net.Node("a", nil)
		for _, lossy := range []struct {
			from, to transport.NodeID
			runs     int32
		}{{"a", "b", 0}, {"b", "a", 1}} {
			net.SetLink(lossy.from, lossy.to, mem.Link{Loss: 1})
			start := time.Now()
			require.Equal(t, context.DeadlineExceeded, try(t, a, "b"))
			require.Equal(t, time.Second, time.Since(start))
			require.Equal(t, lossy.runs, ran.Load())
			net.SetLink(lossy.from, lossy.to, mem.Link{})
		}
		require.Equal(t, uint64(2), net.Stats().Lost)
	})
}

func TestDuplicateRunsTheHandlerTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran atomic.Int32
		net := &mem.Network{Link: mem.Link{Latency: time.Millisecond, Duplicate: 1}}
		net.Node("b", transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
			ran.Add(1)
			return req, ctx.Err()
		}))
		a := net.Node("a", nil)
		for range 50 {
			require.NoError(t, try(t, a, "b"))
		}
		time.Sleep(time.Second)
		require.Equal(t, int32(100), ran.Load())
	})
}

// Replies that come when the call has its answer are dropped and counted.
func TestTrap39_LateRepliesAreDroppedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := new(mem.Network)
		net.SetLink("b", "a", mem.Link{Latency: 3 * time.Second})
		net.Node("b", echoer)
		a := net.Node("a", nil)
		require.Equal(t, context.DeadlineExceeded, try(t, a, "b"))
		require.Zero(t, net.Stats().Late)
		net.SetLink("b", "a", mem.Link{Latency: time.Millisecond, Duplicate: 1})
		time.Sleep(5 * time.Second)
		require.Equal(t, uint64(1), net.Stats().Late)
		require.NoError(t, try(t, a, "b"))
		time.Sleep(5 * time.Second)
		require.Equal(t, uint64(2), net.Stats().Late)
	})
}

// arrivals sends n requests, a microsecond apart, and returns the order in which
// they are served.
func arrivals(t *testing.T, link mem.Link, n int) (order []string) {
	synctest.Test(t, func(t *testing.T) {
		served := make(chan string, 2*n)
		net := &mem.Network{Seed: 3, Link: link}
		net.Node("b", transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
			served <- string(req)
			return nil, nil
		}))
		a := net.Node("a", nil)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for i := range n {
			go a.Call(ctx, "b", "m", fmt.Append(nil, i))
			time.Sleep(time.Microsecond)
		}
		time.Sleep(2 * time.Minute)
		for len(served) > 0 {
			order = append(order, <-served)
		}
	})
	return order
}

func TestOrderIsKeptUnlessReordered(t *testing.T) {
	var sent []string
	for i := range 200 {
		sent = append(sent, fmt.Sprint(i))
	}
	jitter := mem.Link{Latency: time.Millisecond, Jitter: 50 * time.Millisecond}
	require.Equal(t, sent, arrivals(t, jitter, len(sent)))
	jitter.Reorder = 0.2
	shuffled := arrivals(t, jitter, len(sent))
	require.ElementsMatch(t, sent, shuffled)
	require.NotEqual(t, sent, shuffled)
}

// The same seed decides alike, another one does not.
func TestDecisionsReplay(t *testing.T) {
	run := func(seed uint64) (outcome []bool) {
		synctest.Test(t, func(t *testing.T) {
			net := &mem.Network{Seed: seed, Link: mem.Link{Loss: 0.3}}
			net.Node("b", echoer)
			a := net.Node("a", nil)
			for range 100 {
				outcome = append(outcome, try(t, a, "b") == nil)
			}
		})
		return outcome
	}
	require.Equal(t, run(1), run(1))
	require.NotEqual(t, run(1), run(2))
}

// What becomes of a message does not depend on other links, nor on what its link
// was set to before.
func TestDecisionsAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		run := func(disturb bool) (outcome []bool) {
			net := &mem.Network{Seed: 9, Link: mem.Link{Loss: 0.3}}
			net.Node("b", echoer)
			net.Node("c", echoer)
			a := net.Node("a", nil)
			if disturb {
				net.SetLink("a", "b", mem.Link{Duplicate: 0.5, Reorder: 0.5, Jitter: time.Millisecond})
			}
			for range 20 {
				try(t, a, "b")
				if disturb {
					try(t, a, "c")
				}
			}
			net.SetLink("a", "b", mem.Link{Loss: 0.5})
			net.SetLink("b", "a", mem.Link{})
			for range 50 {
				outcome = append(outcome, try(t, a, "b") == nil)
			}
			return outcome
		}
		net := run(false)
		require.Equal(t, net, run(true))
		require.Contains(t, net, true)
		require.Contains(t, net, false)
	})
}
