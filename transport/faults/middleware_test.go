package faults_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/faults"
	"github.com/eventual-go/eventual/transport/intercept"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/eventual-go/eventual/transport/tcp"
	"github.com/eventual-go/eventual/transport/transporttest"
)

// over puts faults on a transport that works without.
type over struct {
	transporttest.Network
	net *faults.Network
}

func (o over) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	return o.net.Caller(id, o.Network.Start(id, o.net.Handler(id, h)))
}

type onMem struct{ mem.Network }

func (n *onMem) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	return n.Node(id, h)
}
func (n *onMem) Stop(id transport.NodeID) { n.Down(id) }
func (n *onMem) MaxMessage() int          { return n.Network.MaxMessage }

// onTCP is a cluster over TCP without encryption. A node has an address for as long
// as it runs.
type onTCP struct {
	t     testing.TB
	mu    sync.Mutex
	addrs map[transport.NodeID]string
	nodes map[transport.NodeID]*tcp.Transport
}

func newOnTCP(t testing.TB) *onTCP {
	return &onTCP{t: t, addrs: make(map[transport.NodeID]string), nodes: make(map[transport.NodeID]*tcp.Transport)}
}

func (n *onTCP) resolve(_ context.Context, id transport.NodeID) (string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if addr, ok := n.addrs[id]; ok {
		return addr, nil
	}
	return "", fmt.Errorf("no node %q", id)
}

// plain is a node's transport.
func (n *onTCP) plain(id transport.NodeID) *tcp.Transport {
	return &tcp.Transport{Self: id, Cluster: "faults", Plain: true, Resolve: n.resolve, MaxFrame: 1 << 20, Drain: time.Millisecond}
}

func (n *onTCP) Start(id transport.NodeID, h transport.Handler) transport.Caller {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(n.t, err)
	tr, done := n.plain(id), make(chan error, 1)
	go func() { done <- tr.Serve(context.Background(), ln, h) }()
	n.t.Cleanup(func() {
		assert.NoError(n.t, tr.Close())
		if err := <-done; err != nil {
			assert.ErrorIs(n.t, err, transport.ErrClosed) // closed before Serve had begun
		}
	})
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nodes[id], n.addrs[id] = tr, ln.Addr().String()
	return tr
}

func (n *onTCP) Stop(id transport.NodeID) {
	n.mu.Lock()
	tr := n.nodes[id]
	n.mu.Unlock()
	tr.Close()
}

func (n *onTCP) MaxMessage() int { return 1 << 20 }

func TestConformance(t *testing.T) {
	for name, link := range map[string]faults.Link{
		"no faults": {},
		"delays":    {Latency: 10 * time.Microsecond, Jitter: 300 * time.Microsecond},
	} {
		faulty := func(inner transporttest.Network) transporttest.Network {
			return over{inner, &faults.Network{Link: link, Trace: &faults.Trace{Limit: 1000}}}
		}
		t.Run(name+" over mem", func(t *testing.T) {
			if testing.Short() && link.Latency > 0 {
				t.Skip("the same over tcp is run")
			}
			transporttest.Run(t, func(*testing.T) transporttest.Network {
				return faulty(&onMem{mem.Network{MaxMessage: 1 << 20}})
			})
		})
		t.Run(name+" over tcp", func(t *testing.T) {
			transporttest.Run(t, func(t *testing.T) transporttest.Network { return faulty(newOnTCP(t)) })
		})
	}
}

// bubble runs f with two nodes over a mem network without faults, and the same
// faults for both, on the clock of a bubble.
func bubble(t *testing.T, faulty *faults.Network, h transport.Handler, f func(t *testing.T, a, b transport.Caller)) {
	synctest.Test(t, func(t *testing.T) {
		o := over{new(onMem), faulty}
		f(t, o.Start("a", h), o.Start("b", h))
	})
}

func TestMiddlewareDelaysAndQueues(t *testing.T) {
	faulty := &faults.Network{Link: faults.Link{Latency: 10 * time.Millisecond, Bandwidth: 1000}}
	bubble(t, faulty, echoer, func(t *testing.T, a, _ transport.Caller) {
		took, err := try(t, a, "b")
		require.NoError(t, err)
		require.Equal(t, 22*time.Millisecond, took) // a byte each way
		faulty.Slow("b", time.Second)
		took, err = try(t, a, "b")
		require.NoError(t, err)
		require.Equal(t, 1022*time.Millisecond, took)
		faulty.Slow("a", time.Second)
		took, err = try(t, a, "b")
		require.NoError(t, err)
		require.Equal(t, 2022*time.Millisecond, took)
	})
}

// A lost request is not served, a lost reply is; either leaves the caller waiting.
func TestMiddlewareLoses(t *testing.T) {
	var served atomic.Int32
	h := transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		served.Add(1)
		return nil, nil
	})
	faulty := new(faults.Network)
	bubble(t, faulty, h, func(t *testing.T, a, _ transport.Caller) {
		for _, c := range []struct {
			do   func()
			want int32
		}{
			{func() { faulty.SetLink("a", "b", faults.Link{Loss: 1}) }, 0},
			{func() { faulty.ResetLink("a", "b"); faulty.SetLink("b", "a", faults.Link{Loss: 1}) }, 1},
			{func() { faulty.ResetLink("b", "a"); faulty.Cut("a", "b") }, 1},
			{func() { faulty.Restore("a", "b"); faulty.Cut("b", "a") }, 2},
		} {
			c.do()
			took, err := try(t, a, "b")
			require.Equal(t, context.DeadlineExceeded, err)
			require.Equal(t, 10*time.Second, took)
			require.Equal(t, c.want, served.Load())
		}
		require.Equal(t, uint64(4), faulty.Stats().Lost)
		faulty.Heal()
		_, err := try(t, a, "b")
		require.NoError(t, err)
	})
}

func TestMiddlewareRefuses(t *testing.T) {
	faulty := &faults.Network{Refuse: true}
	bubble(t, faulty, echoer, func(t *testing.T, a, b transport.Caller) {
		faulty.Cut("a", "b")
		for _, call := range []func() (time.Duration, error){
			func() (time.Duration, error) { return try(t, a, "b") },
			func() (time.Duration, error) { return try(t, b, "a") },
		} {
			took, err := call()
			require.ErrorIs(t, err, transport.ErrUnreachable)
			require.Zero(t, took)
		}
	})
}

// What comes twice is served twice and answered once, also if the first is given up.
func TestMiddlewareRepeats(t *testing.T) {
	var served atomic.Int32
	h := transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
		served.Add(1)
		return append([]byte("re: "), req...), nil
	})
	faulty := &faults.Network{Link: faults.Link{Duplicate: 1, Latency: time.Millisecond}}
	bubble(t, faulty, h, func(t *testing.T, a, _ transport.Caller) {
		req := []byte("x")
		for range 20 {
			resp, err := a.Call(t.Context(), "b", "m", req)
			require.NoError(t, err)
			require.Equal(t, "re: x", string(resp))
			copy(req, "y") // the request is the caller's again
			time.Sleep(time.Second)
			copy(req, "x")
		}
		require.Equal(t, int32(40), served.Load())
		require.Equal(t, uint64(60), faulty.Stats().Duplicated, "a request, and the replies to both copies")
	})
}

// The copy of a request that came second, to a handler that does not end, ends with
// the deadline of the call or after a minute: nothing stays behind.
func TestMiddlewareLeavesNothingRunning(t *testing.T) {
	var running atomic.Int32
	h := transport.HandlerFunc(func(ctx context.Context, _ transport.NodeID, _ string, _ []byte) ([]byte, error) {
		running.Add(1)
		defer running.Add(-1)
		<-ctx.Done()
		return nil, ctx.Err()
	})
	bubble(t, &faults.Network{Link: faults.Link{Duplicate: 1}}, h, func(t *testing.T, a, _ transport.Caller) {
		_, err := try(t, a, "b")
		require.Equal(t, context.DeadlineExceeded, err)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err = a.Call(ctx, "b", "m", nil)
		require.Equal(t, context.Canceled, err)
		synctest.Wait()
		require.Equal(t, int32(1), running.Load())
		time.Sleep(time.Minute)
		require.Zero(t, running.Load())
	})
}

// A frozen node serves nothing and sends nothing until it is thawed; then it does
// what waited, if anybody waits for it still.
func TestMiddlewareFreezes(t *testing.T) {
	var served atomic.Int32
	h := transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		served.Add(1)
		return nil, nil
	})
	faulty := new(faults.Network)
	bubble(t, faulty, h, func(t *testing.T, a, b transport.Caller) {
		faulty.Freeze("b")
		for _, call := range []func() (time.Duration, error){
			func() (time.Duration, error) { return try(t, a, "b") },
			func() (time.Duration, error) { return try(t, b, "a") },
		} {
			_, err := call()
			require.Equal(t, context.DeadlineExceeded, err)
		}
		require.Zero(t, served.Load())
		time.AfterFunc(3*time.Second, func() { faulty.Thaw("b") })
		took, err := try(t, b, "a")
		require.NoError(t, err)
		require.Equal(t, 3*time.Second, took)
		require.Equal(t, uint64(4), faulty.Stats().Sent, "three requests, one of which was answered")
	})
}

// Two nodes with a Network each: what one of them is told holds for what it sends and
// for what it hears, and the other need not know.
func TestEachNodeHasFaultsOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := new(onMem)
		var ofA, ofB faults.Network
		var served atomic.Int32
		a := over{inner, &ofA}.Start("a", transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
			served.Add(1)
			return nil, nil
		}))
		b := over{inner, &ofB}.Start("b", echoer)
		ofA.Cut("a", "b")
		ofA.Cut("b", "a")
		for _, err := range []error{second(try(t, a, "b")), second(try(t, b, "a"))} {
			require.Equal(t, context.DeadlineExceeded, err)
		}
		require.Zero(t, served.Load())
		ofA.Heal()
		ofA.Cut("b", "a") // b has answered before
		require.Equal(t, context.DeadlineExceeded, second(try(t, a, "b")))
		ofA.Heal()
		both := faults.Link{Latency: 10 * time.Millisecond}
		ofA.SetLink("a", "b", both)
		ofB.SetLink("a", "b", both) // a link is its sender's
		took, err := try(t, b, "a")
		require.NoError(t, err)
		require.Equal(t, 10*time.Millisecond, took)
	})
}

func second[A, B any](_ A, b B) B { return b }

// A node that refuses does so also where it alone knows of the cut: its callers hear what
// they would of a node that cannot be reached, and not that a handler has failed. What a
// handler says of an error is a reply, and lost as one.
func TestMiddlewareRefusesAndLosesErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := new(onMem)
		ofA, ofB := new(faults.Network), &faults.Network{Refuse: true}
		a := over{inner, ofA}.Start("a", nil)
		over{inner, ofB}.Start("b", nil)
		require.ErrorIs(t, second(try(t, a, "b")), transport.ErrUnknownMethod)
		for _, on := range [][2]transport.NodeID{{"a", "b"}, {"b", "a"}} {
			ofB.Cut(on[0], on[1])
			took, err := try(t, a, "b")
			requireRefused(t, err)
			require.Zero(t, took)
			ofB.Heal()
		}
		ofB.Partition([]transport.NodeID{"a"}, []transport.NodeID{"b"})
		requireRefused(t, second(try(t, a, "b")))
		ofA.Cut("b", "a")
		require.Equal(t, context.DeadlineExceeded, second(try(t, a, "b")), "also that it refuses")
	})
}

func requireRefused(t *testing.T, err error) {
	t.Helper()
	var remote *transport.RemoteError
	require.NotErrorAs(t, err, &remote)
	require.ErrorIs(t, err, transport.ErrUnreachable)
	require.EqualError(t, err, `transport: unreachable: link between "b" and "a" is cut`)
	require.Equal(t, intercept.Unreachable, intercept.CallResult(err))
}

// Over sockets too, and through what puts words around errors there is one error or the
// other, never what a handler has not said.
func TestMiddlewareRefusesOverTCP(t *testing.T) {
	ofA, ofB := &faults.Network{Trace: new(faults.Trace)}, &faults.Network{Refuse: true}
	inner := newOnTCP(t)
	a := over{inner, ofA}.Start("a", nil)
	served := 0
	over{inner, ofB}.Start("b", transport.HandlerFunc(func(context.Context, transport.NodeID, string, []byte) ([]byte, error) {
		served++
		return nil, nil
	}))
	require.NoError(t, second(a.Call(t.Context(), "b", "m", nil)))
	ofB.Cut("a", "b")
	requireRefused(t, second(a.Call(t.Context(), "b", "m", nil)))
	require.Equal(t, 1, served)
	events := ofA.Trace.Events()
	require.Contains(t, events[len(events)-1].Why, "transport: unreachable")
	ofB.Heal()
	require.NoError(t, second(a.Call(t.Context(), "b", "m", nil)))
}

// What a handler says of calls of its own that were refused is the handler's error.
func TestRefusalsOfOthersAreErrorsOfTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := new(onMem)
		ofA, ofB := new(faults.Network), &faults.Network{Refuse: true}
		a := over{inner, ofA}.Start("a", nil)
		var b transport.Caller
		b = over{inner, ofB}.Start("b", transport.HandlerFunc(func(ctx context.Context, from transport.NodeID, method string, _ []byte) ([]byte, error) {
			ofB.Cut("b", "a")
			defer ofB.Heal()
			return b.Call(ctx, transport.NodeID(method), "m", nil)
		}))
		for _, method := range []string{"a", "c"} {
			_, err := a.Call(t.Context(), "b", method, nil)
			var remote *transport.RemoteError
			require.ErrorAs(t, err, &remote)
			require.NotErrorIs(t, err, transport.ErrUnreachable)
		}
	})
}

// What a middleware records is when messages were sent and when they were given to the
// other transport.
func TestMiddlewareIsTraced(t *testing.T) {
	faulty := &faults.Network{Trace: new(faults.Trace)}
	bubble(t, faulty, echoer, func(t *testing.T, a, _ transport.Caller) {
		for _, l := range []faults.Link{{}, {Latency: time.Millisecond}} {
			faulty.SetLinks(l)
			require.NoError(t, second(try(t, a, "b")))
		}
		faulty.Freeze("a")
		require.Error(t, second(try(t, a, "b")))
		var got []string
		for _, e := range faulty.Trace.Events() {
			got = append(got, strings.TrimSpace(fmt.Sprintln(e.At, e.What, e.From, e.To, e.Kind, e.N, e.Delays, e.Why, e.Step)))
		}
		require.Equal(t, []string{
			"0s step   request 0 []  links",
			"0s send a b request 0 [0s]",
			"0s arrive a b request 0 []",
			"0s send b a reply 0 [0s]",
			"0s arrive b a reply 0 []",
			"0s call a b request 0 []",
			"0s step   request 0 []  links latency=1ms",
			"0s send a b request 1 [1ms]",
			"1ms arrive a b request 1 []",
			"1ms send b a reply 1 [1ms]",
			"2ms arrive b a reply 1 []",
			"2ms call a b request 0 []",
			"2ms step   request 0 []  freeze a",
			"10.002s call a b request 0 [] context deadline exceeded",
		}, got)
	})
}

// The same seed decides alike over any transport.
func TestMiddlewareDecidesAsMemDoes(t *testing.T) {
	link := faults.Link{Loss: 0.3, Latency: time.Millisecond, Jitter: time.Millisecond}
	outcome := func(t *testing.T, a transport.Caller) (all []string) {
		for range 40 {
			took, err := try(t, a, "b")
			all = append(all, fmt.Sprint(took, err))
		}
		return all
	}
	var direct, wrapped []string
	synctest.Test(t, func(t *testing.T) {
		a, _ := pair(&mem.Network{Seed: 5, Link: link})
		direct = outcome(t, a)
	})
	bubble(t, &faults.Network{Seed: 5, Link: link}, echoer, func(t *testing.T, a, _ transport.Caller) { wrapped = outcome(t, a) })
	require.Equal(t, direct, wrapped)
}

// Over a real transport: a cut is one way, and a frozen node serves when it is thawed.
func TestMiddlewareOverTCP(t *testing.T) {
	var served atomic.Int32
	h := transport.HandlerFunc(func(_ context.Context, _ transport.NodeID, _ string, req []byte) ([]byte, error) {
		served.Add(1)
		return req, nil
	})
	faulty := new(faults.Network)
	net := over{newOnTCP(t), faulty}
	a := net.Start("a", h)
	net.Start("b", h)
	call := func(ctx context.Context) error { return second(a.Call(ctx, "b", "m", []byte("x"))) }
	lost := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		return call(ctx)
	}
	require.NoError(t, call(t.Context()))

	faulty.Cut("a", "b")
	require.Equal(t, context.DeadlineExceeded, lost())
	require.Equal(t, int32(1), served.Load())
	faulty.Heal()

	faulty.Cut("b", "a")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- call(ctx) }()
	require.Eventually(t, func() bool { return served.Load() == 2 }, 10*time.Second, time.Millisecond)
	cancel()
	require.Equal(t, context.Canceled, <-ended)
	faulty.Heal()

	faulty.Freeze("b")
	go func() { ended <- call(t.Context()) }()
	require.Eventually(t, func() bool { return faulty.Stats().Held > 0 }, 10*time.Second, time.Millisecond)
	require.Equal(t, int32(2), served.Load())
	faulty.Thaw("b")
	require.NoError(t, <-ended)
	require.Equal(t, int32(3), served.Load())
}

// The errors of the other transport, and what handlers say, come through untouched.
func TestMiddlewareKeepsErrors(t *testing.T) {
	var mux transport.Mux
	faulty := &faults.Network{Trace: new(faults.Trace)}
	bubble(t, faulty, &mux, func(t *testing.T, a, _ transport.Caller) {
		_, err := try(t, a, "b")
		require.ErrorIs(t, err, transport.ErrUnknownMethod)
		_, err = try(t, a, "nobody")
		require.ErrorIs(t, err, transport.ErrUnreachable)
		var last faults.Event
		for _, e := range faulty.Trace.Events() {
			last = e
		}
		require.Equal(t, "call", last.What)
		require.Contains(t, last.Why, "unreachable")
	})
}

func BenchmarkMiddleware(b *testing.B) {
	for name, link := range map[string]*faults.Link{"none": nil, "no faults": {}, "late": {Latency: 1}} {
		b.Run(name, func(b *testing.B) {
			var inner onMem
			start := inner.Start
			if link != nil {
				start = over{&inner, &faults.Network{Link: *link}}.Start
			}
			start("b", echoer)
			a := start("a", nil)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := a.Call(context.Background(), "b", "m", nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
