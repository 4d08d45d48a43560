package faults_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/quorum/pbs"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/faults"
	"github.com/eventual-go/eventual/transport/mem"
)

var echoer = transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
	return req, nil
})

// try makes a call with ten seconds to live, and says how long it took.
func try(t *testing.T, from transport.Caller, to transport.NodeID) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	began := time.Now()
	_, err := from.Call(ctx, to, "m", []byte("x"))
	return time.Since(began), err
}

func pair(net *mem.Network) (a, b *mem.Node) { return net.Node("a", echoer), net.Node("b", echoer) }

// What is sent to a frozen node, and by it, arrives when it is thawed, in order; what
// it was doing goes on meanwhile.
func TestFrozenNodesHearAndSayNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := new(mem.Network)
		served := make(chan string, 10)
		working := make(chan struct{})
		a := net.Node("a", echoer)
		b := net.Node("b", transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
			if string(req) == "work" {
				time.Sleep(time.Second)
				close(working)
				return nil, nil
			}
			served <- string(req)
			return nil, nil
		}))
		began := time.Now()
		answers := make(chan time.Duration, 10)
		call := func(from transport.Caller, to transport.NodeID, req string) {
			_, err := from.Call(t.Context(), to, "m", []byte(req))
			require.NoError(t, err)
			answers <- time.Since(began)
		}
		go call(a, "b", "work")
		synctest.Wait()
		net.Faults().Freeze("b")
		net.Faults().Freeze("b")
		for i := range 3 {
			go call(a, "b", fmt.Sprint(i))
			synctest.Wait()
		}
		go call(b, "a", "from the frozen one")
		<-working
		time.Sleep(4 * time.Second)
		require.Empty(t, answers)
		require.Empty(t, served)
		require.Equal(t, uint64(5), net.Stats().Held)
		net.Faults().Thaw("b")
		for range 5 {
			require.Equal(t, 5*time.Second, <-answers)
		}
		require.ElementsMatch(t, []string{"0", "1", "2"}, []string{<-served, <-served, <-served})
		require.Zero(t, net.Stats().Lost)
		net.Faults().Thaw("b")
	})
}

// A frozen node is a bounded burden: what is more than 16,384 messages is lost.
func TestTrap29_AFrozenNodePinsLittle(t *testing.T) {
	var net faults.Network
	net.Freeze("b")
	arrived := 0
	for range 20000 {
		net.Send(faults.Message{From: "a", To: "b"}, func() { arrived++ })
	}
	require.Equal(t, faults.Stats{Sent: 20000, Held: 16384, Lost: 20000 - 16384}, net.Stats())
	net.Thaw("b")
	require.Equal(t, 16384, arrived)
}

// Over a frozen node nothing is heard of calls that were given up, nor of nodes gone.
func TestNothingIsHeardOfAFrozenNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := new(mem.Network)
		a := net.Node("a", nil)
		net.Node("b", transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}))
		time.AfterFunc(time.Second, func() { net.Faults().Freeze("b") })
		time.AfterFunc(2*time.Second, func() { net.Down("b") })
		took, err := try(t, a, "b")
		require.Equal(t, context.DeadlineExceeded, err)
		require.Equal(t, 10*time.Second, took)
	})
}

func TestSignalsNeedALinkAndNodesThatAreAwake(t *testing.T) {
	var net faults.Network
	heard := func() (yes bool) {
		net.Signal("a", "b", func() { yes = true })
		return yes
	}
	for _, fault := range []struct{ do, undo func() }{
		{func() { net.Cut("a", "b") }, net.Heal},
		{func() { net.Freeze("a") }, func() { net.Thaw("a") }},
		{func() { net.Freeze("b") }, func() { net.Thaw("b") }},
	} {
		require.True(t, heard())
		fault.do()
		require.False(t, heard())
		fault.undo()
	}
	net.Cut("b", "a")
	require.True(t, heard())
}

// Each call to a slow node, and by it, takes that much longer, and others do not.
func TestSlowNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Link: mem.Link{Latency: 5 * time.Millisecond}}
		a, b := pair(net)
		c := net.Node("c", echoer)
		net.Faults().Slow("b", 100*time.Millisecond)
		for range 3 {
			for _, call := range []struct {
				from transport.Caller
				to   transport.NodeID
				want time.Duration
			}{{a, "b", 110}, {b, "a", 110}, {a, "c", 10}, {c, "a", 10}, {b, "b", 210}} {
				took, err := try(t, call.from, call.to)
				require.NoError(t, err)
				require.Equal(t, call.want*time.Millisecond, took)
			}
		}
		net.Faults().Slow("b", 0)
		took, err := try(t, a, "b")
		require.NoError(t, err)
		require.Equal(t, 10*time.Millisecond, took)
	})
}

// Messages queue for a link's bandwidth: requests and replies of one direction
// together, those of the other apart.
func TestBandwidthQueues(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{MaxMessage: 1 << 20}
		a, b := pair(net)
		net.SetLink("a", "b", mem.Link{Bandwidth: 1000, Latency: 10 * time.Millisecond})
		began := time.Now()
		done := make(chan time.Duration, 3)
		for _, call := range []struct {
			from transport.Caller
			to   transport.NodeID
			size int
		}{{a, "b", 500}, {a, "b", 250}, {b, "a", 1000}} { // the last for its reply, of a thousand bytes
			go func() {
				_, err := call.from.Call(t.Context(), call.to, "m", make([]byte, call.size))
				require.NoError(t, err)
				done <- time.Since(began)
			}()
			synctest.Wait()
		}
		require.Equal(t, 510*time.Millisecond, <-done)
		require.Equal(t, 760*time.Millisecond, <-done)
		require.Equal(t, 1760*time.Millisecond, <-done)
	})
}

// The delays of a link are those of its distribution, here one of quorum/pbs: where
// messages are far apart, each quantile is met.
func TestDelaysAreAsDistributed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := new(mem.Network)
		a, _ := pair(net)
		net.SetLink("a", "b", mem.Link{Delay: pbs.Exponential(100 * time.Millisecond), Latency: time.Millisecond})
		var took []float64
		for range 4000 {
			d, err := try(t, a, "b")
			require.NoError(t, err)
			took = append(took, (d - time.Millisecond).Seconds())
		}
		slices.Sort(took)
		for i, x := range took { // Kolmogorov and Smirnov, at 0.1 %
			require.InDelta(t, 1-math.Exp(-x/0.1), float64(i)/float64(len(took)), 1.95/math.Sqrt(float64(len(took))))
		}
	})
}

func TestLinksOfAllAndOfOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := &mem.Network{Link: mem.Link{Latency: time.Millisecond}}
		a, _ := pair(net)
		for _, step := range []struct {
			do   string
			want time.Duration
		}{
			{"heal", 2}, {"link a b latency=10ms", 11}, {"links latency=3ms", 13},
			{"link a b", 3}, {"unlink a b", 6}, {"links", 0},
		} {
			s, err := faults.Parse("0s " + step.do)
			require.NoError(t, err)
			require.NoError(t, net.Apply(s[0]))
			took, err := try(t, a, "b")
			require.NoError(t, err)
			require.Equal(t, step.want*time.Millisecond, took, step.do)
		}
	})
}

func TestStepsThatCannotBeDone(t *testing.T) {
	net := new(mem.Network)
	net.Faults().Delays = map[string]faults.Distribution{"wan": pbs.Constant(time.Second)}
	for _, s := range []faults.Step{
		{}, {Do: "jump"}, {Do: "cut", From: "a"}, {Do: "partition"}, {Do: "slow", From: "a", By: -1},
		{Do: "link", From: "a", To: "b", Delay: "lan"}, {Do: "links", Link: faults.Link{Loss: 2}},
		{Do: "links", Link: faults.Link{Delay: pbs.Constant(1)}},
	} {
		require.ErrorIs(t, net.Apply(s), faults.ErrStep, s.String())
	}
	require.NoError(t, net.Apply(faults.Step{Do: "links", Delay: "wan"}))
	require.NoError(t, net.Apply(faults.Step{Do: "down", From: "a"}))
	require.ErrorIs(t, net.Faults().Apply(faults.Step{Do: "down", From: "a"}), faults.ErrStep)
}

// A curious distribution uses the network that is asking it: no lock is held.
type curious struct{ net *mem.Network }

func (c curious) Sample(*rand.Rand) time.Duration {
	c.net.Faults().Cut("c", "d")
	c.net.Stats()
	return 0
}

func TestTrap30_NoLockWhileSampling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := new(mem.Network)
		a, _ := pair(net)
		net.SetLink("a", "b", mem.Link{Delay: curious{net}})
		_, err := try(t, a, "b")
		require.NoError(t, err)
	})
}

// A script of cuts, a partition, a frozen node and one that goes down, on mem: calls
// fail exactly while it says so.
func TestScriptOnMem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := new(mem.Network)
		a, _ := pair(net)
		s, err := faults.Parse(`
			1s cut a b
			2s restore a b
			3s partition a | b
			4s heal
			5s freeze b
			6s thaw b
			7s down b
			8s up b`)
		require.NoError(t, err)
		var ok atomic.Bool
		go func() { require.NoError(t, s.Run(t.Context(), net)) }()
		for i := range 9 {
			ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
			time.Sleep(50 * time.Millisecond)
			_, err := a.Call(ctx, "b", "m", nil)
			ok.Store(err == nil)
			require.Equal(t, i%2 == 0, ok.Load(), "%d: %v", i, err)
			cancel()
			time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		}
	})
}
