package antientropy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/stretchr/testify/require"
)

// A cluster is loops over one network, inside a bubble.
type cluster struct {
	t     *testing.T
	net   *mem.Network
	ids   []transport.NodeID
	loops map[transport.NodeID]*Loop
	store map[transport.NodeID]*sets

	mu        sync.Mutex
	exchanges []Exchange
	dropped   []Dropped
}

// seedOfTest is for trying other seeds.
var seedOfTest uint64

func startCluster(t *testing.T, net *mem.Network, change func(*Loop), ids ...transport.NodeID) *cluster {
	c := &cluster{t: t, net: net, ids: ids, loops: map[transport.NodeID]*Loop{}, store: map[transport.NodeID]*sets{}}
	for i, id := range ids {
		c.store[id] = newFed()
		l := &Loop{Store: c.store[id], Seed: uint64(i+1) + seedOfTest, Peers: Static(slices.DeleteFunc(slices.Clone(ids), func(o transport.NodeID) bool { return o == id })...)}
		l.Events = Events{
			OnExchange: func(x Exchange) { c.note(func() { c.exchanges = append(c.exchanges, x) }) },
			OnDropped:  func(d Dropped) { c.note(func() { c.dropped = append(c.dropped, d) }) },
		}
		if change != nil {
			change(l)
		}
		l.Caller = net.Node(id, l.Handler())
		c.loops[id] = l
	}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for _, id := range ids {
		all.Go(func() {
			if err := c.loops[id].Run(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Run of %s: %v", id, err)
			}
		})
	}
	t.Cleanup(func() { cancel(); all.Wait() })
	return c
}

func (c *cluster) note(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *cluster) agreed() bool {
	root := c.store[c.ids[0]].root()
	return !slices.ContainsFunc(c.ids, func(id transport.NodeID) bool { return c.store[id].root() != root })
}

// untilAgreed is how long it takes, in the bubble's time.
func (c *cluster) untilAgreed(limit time.Duration) time.Duration {
	c.t.Helper()
	start := time.Now()
	for !c.agreed() {
		if time.Since(start) > limit {
			c.t.Fatalf("not agreed after %v", limit)
		}
		time.Sleep(time.Millisecond)
	}
	return time.Since(start)
}

func (c *cluster) forget() {
	c.note(func() { c.exchanges, c.dropped = nil, nil })
}

func (c *cluster) count(match func(Exchange) bool) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range c.exchanges {
		if match(x) {
			n++
		}
	}
	return n
}

// bubble runs f in a synctest bubble, with what it cleans up ended inside.
func bubble(t *testing.T, f func(t *testing.T)) { t.Helper(); synctest.Test(t, f) }

func TestUpdatesArriveAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := startCluster(t, &mem.Network{Link: mem.Link{Latency: 10 * time.Millisecond}}, nil, "a", "b", "c")
		time.Sleep(300 * time.Millisecond)
		c.forget()
		for i := range 500 {
			c.store["a"].add(fmt.Sprint(i), 1)
		}
		require.Less(t, c.untilAgreed(time.Second), 40*time.Millisecond)
		time.Sleep(50 * time.Millisecond)
		batches := c.count(func(x Exchange) bool { return x.Strategy == Deltas })
		require.LessOrEqual(t, batches, 8, "500 updates for two peers, forwarded between them")
	})
}

func TestConvergenceAfterAPartition(t *testing.T) {
	for _, refuse := range []bool{true, false} { // the network says so at once, or stays silent
		t.Run(fmt.Sprint("refuse ", refuse), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c := startCluster(t, &mem.Network{Refuse: refuse, Link: mem.Link{Latency: 5 * time.Millisecond}}, nil, "a", "b", "c")
				time.Sleep(2 * time.Second)
				c.net.Partition([]transport.NodeID{"a"}, []transport.NodeID{"b", "c"})
				for i := range 300 {
					c.store["a"].add(fmt.Sprint(i), 1)
					c.store["b"].add(fmt.Sprint(i), 2)
					time.Sleep(50 * time.Millisecond)
				}
				require.Equal(t, c.store["b"].root(), c.store["c"].root())
				require.False(t, c.agreed())
				for _, p := range c.loops["a"].Stats().Peers {
					require.False(t, p.Reachable)
					require.Zero(t, p.Pending)
				}
				c.net.Heal()
				took := c.untilAgreed(10 * time.Second)
				t.Log("agreed after", took)
				require.Less(t, took, 2200*time.Millisecond)
				time.Sleep(8 * time.Second) // a call of the whole Timeout may be under way
				for _, id := range c.ids {
					for _, p := range c.loops[id].Stats().Peers {
						require.True(t, p.Reachable)
						require.Zero(t, p.Pending)
						require.Less(t, time.Since(p.LastSync), 4*time.Second, "every second turn at the latest")
					}
				}
			})
		})
	}
}

// A node that comes back and calls is reconciled with at once, however long the
// pauses have become.
func TestRejoinIsNoticedAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := startCluster(t, &mem.Network{Refuse: true}, func(l *Loop) { l.Interval = time.Hour }, "a", "b")
		time.Sleep(time.Second)
		c.net.Down("b")
		c.store["a"].add("k", 1)
		time.Sleep(3 * time.Hour)
		require.False(t, c.loops["a"].Stats().Peers[0].Reachable)
		c.net.Up("b")
		c.store["b"].add("l", 1) // b pushes, and a has heard of it
		c.loops["b"].Kick()
		require.Less(t, c.untilAgreed(time.Second), 100*time.Millisecond)
	})
}

func TestAnEmptyNodeFillsUpAtItsStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := startCluster(t, &mem.Network{Link: mem.Link{Latency: time.Millisecond}}, nil, "a", "b")
		for i := range 1000 {
			c.store["a"].add(fmt.Sprint(i), uint64(i))
		}
		c.untilAgreed(time.Second)
		fresh := newSets()
		l := &Loop{Store: fresh, Peers: Static("a", "b")}
		l.Caller = c.net.Node("c", l.Handler())
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = l.Run(ctx) })
		time.Sleep(50 * time.Millisecond)
		require.Equal(t, c.store["a"].root(), fresh.root())
		cancel()
		done.Wait()
	})
}

func TestTrap29_TheLoopDropsWhatWaitsForADeadPeer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := startCluster(t, &mem.Network{}, func(l *Loop) { l.BufferBytes = 100_000 }, "a", "b", "c")
		time.Sleep(time.Second)
		c.net.Partition([]transport.NodeID{"a", "b"}, []transport.NodeID{"c"})
		for i := range 2000 {
			c.store["a"].add(fmt.Sprint("key ", i), elements(20)...)
			time.Sleep(5 * time.Millisecond)
			for _, p := range c.loops["a"].Stats().Peers {
				require.LessOrEqual(t, p.Pending, 100_000)
			}
		}
		for _, p := range c.loops["a"].Stats().Peers {
			if p.Peer == "c" {
				require.False(t, p.Reachable)
				require.True(t, p.Closed)
				require.Zero(t, p.Pending)
				require.NotZero(t, p.Dropped)
			}
		}
		require.NotEmpty(t, c.dropped)
		time.Sleep(20 * time.Millisecond) // the last update is under way
		require.Equal(t, c.store["a"].root(), c.store["b"].root(), "the others do not suffer")
		c.net.Heal()
		c.untilAgreed(3 * time.Second)
	})
}

// A peer that takes longer than writes come loses deltas, and gets the rest by
// reconciliation.
func TestASlowPeerIsReconciledWith(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := startCluster(t, &mem.Network{}, func(l *Loop) { l.BufferBytes, l.MaxMessage = 4000, 2000 }, "a", "b")
		c.net.SetLink("a", "b", mem.Link{Latency: 200 * time.Millisecond})
		time.Sleep(time.Second)
		for i := range 1000 {
			c.store["a"].add(fmt.Sprint("key ", i), elements(20)...)
			time.Sleep(time.Millisecond)
		}
		c.untilAgreed(60 * time.Second)
		require.NotEmpty(t, c.dropped)
		require.Nil(t, c.dropped[0].Err)
	})
}

func TestTrap30_CallbacksRunWithNoLockHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var calls sync.Map
		l := &Loop{Store: newFed(), Peers: Static("b"), MaxMessage: small}
		ask := func(name string) { // deadlocks under a lock, or in the peer's turn
			l.Stats()
			l.Kick()
			_ = l.Push(t.Context(), "from a callback", encodeSet(1))
			if _, again := calls.LoadOrStore(name, true); !again {
				_, _ = l.Exchange(t.Context(), "b")
			}
		}
		l.Events = Events{
			OnExchange: func(x Exchange) { ask(x.Strategy.String()) },
			OnPeerUp:   func(transport.NodeID) { ask("up") },
			OnPeerDown: func(PeerDown) { ask("down") },
			OnDropped:  func(Dropped) { ask("dropped") },
			OnRefused:  func(Refused) { ask("refused") },
		}
		l.Store.(*sets).onLoad = func(*sets, string) { l.Stats() }
		l.Store.(*sets).onNews = func(string, []byte) { l.Stats() }
		net := &mem.Network{Refuse: true}
		l.Caller = net.Node("a", l.Handler())
		b := newSets()
		b.add("x", 1)
		b.add("too large", elements(500)...)
		net.Node("b", (&Loop{Store: b}).Handler())
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = l.Run(ctx) })
		time.Sleep(time.Second)
		net.Down("b")
		l.Store.(*sets).add("y", 1)
		time.Sleep(time.Second)
		net.Up("b")
		time.Sleep(3 * time.Second)
		require.NotEmpty(t, b.get("y"))
		cancel()
		done.Wait()
		for _, name := range []string{"reconciliation", "deltas", "up", "down", "dropped", "refused"} {
			_, called := calls.Load(name)
			require.True(t, called, name)
		}
	})
}

// What one exchange tells comes in the order in which it happened.
func TestEventsKeepTheirOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil, "b")
		r.store.refuse = func(key string) error {
			if key == "good" {
				return nil
			}
			return errRefused
		}
		for _, key := range []string{"p", "q", "good", "r"} {
			r.peer("b").add(key, 1)
		}
		_, err := r.loop.Exchange(t.Context(), "b")
		require.NoError(t, err)
		require.Len(t, r.told, 5)
		require.Equal(t, "up b", r.told[0])
		require.ElementsMatch(t, []string{"refused p", "refused q", "refused r"}, r.told[1:4])
		require.Equal(t, "reconciliation b <nil>", r.told[4])

		r.told, r.fault = nil, failing(transport.ErrUnreachable)
		_, err = r.loop.Exchange(t.Context(), "b")
		require.ErrorIs(t, err, transport.ErrUnreachable)
		require.Equal(t, []string{"down b", "reconciliation b " + err.Error()}, r.told)
	})
}

func TestFaultyLinks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		net := &mem.Network{Seed: 3, Link: mem.Link{Latency: 5 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.05, Duplicate: 0.1, Reorder: 0.1}}
		c := startCluster(t, net, func(l *Loop) { l.Timeout, l.MaxMessage = 300*time.Millisecond, 4000 }, "a", "b", "c", "d")
		for i := range 1000 {
			id := c.ids[i%4]
			c.store[id].add(fmt.Sprint(i%97), uint64(i))
			time.Sleep(2 * time.Millisecond)
		}
		t.Log("agreed after", c.untilAgreed(20*time.Second))
		require.NotZero(t, net.Stats().Lost)
		require.NotZero(t, net.Stats().Duplicated)
	})
}

func TestUpdatesOfAllNodesReachAllOnceAndAreNotEchoed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := startCluster(t, &mem.Network{Link: mem.Link{Latency: time.Millisecond}}, nil, "a", "b", "c", "d")
		time.Sleep(time.Second)
		before := c.sent()
		for i := range 100 {
			for _, id := range c.ids {
				c.store[id].add(fmt.Sprint(id, i), 1)
			}
			time.Sleep(10 * time.Millisecond)
		}
		c.untilAgreed(time.Second)
		time.Sleep(5 * time.Second)
		sent := c.sent() - before
		t.Log(sent, "keys sent")
		require.LessOrEqual(t, sent, 400*3*3, "each to each, at most forwarded once by each")
		after := c.sent()
		time.Sleep(time.Minute)
		require.Equal(t, after, c.sent(), "and then it is quiet")
	})
}

func (c *cluster) sent() (keys int) {
	for _, l := range c.loops {
		s := l.Stats()
		keys += int(s.KeysSent + s.KeysReceived)
	}
	return keys
}

func TestPeersMayChange(t *testing.T) {
	bubble(t, func(t *testing.T) {
		net := &mem.Network{}
		var mu sync.Mutex
		peers := []transport.NodeID{"b"}
		a, b, d := newFed(), newSets(), newSets()
		l := &Loop{Store: a, Peers: func() []transport.NodeID { mu.Lock(); defer mu.Unlock(); return peers }}
		l.Caller = net.Node("a", l.Handler())
		net.Node("b", (&Loop{Store: b}).Handler())
		net.Node("d", (&Loop{Store: d}).Handler())
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = l.Run(ctx) })
		a.add("k", 1)
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, a.root(), b.root())
		mu.Lock()
		peers = []transport.NodeID{"d"}
		mu.Unlock()
		time.Sleep(1200 * time.Millisecond)
		require.Equal(t, a.root(), d.root(), "who joins is reconciled with")
		a.add("l", 1)
		time.Sleep(5 * time.Second)
		require.Equal(t, a.root(), d.root())
		require.NotEqual(t, a.root(), b.root(), "who left is left alone")
		require.Len(t, l.Stats().Peers, 1)
		require.Equal(t, ErrRunning, l.Run(ctx))
		cancel()
		done.Wait()

		ctx, cancel = context.WithCancel(t.Context()) // and it may run again
		done.Go(func() { _ = l.Run(ctx) })
		a.add("m", 1)
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, a.root(), d.root())
		cancel()
		done.Wait()
	})
}

func TestExchangeNeedsNoRun(t *testing.T) {
	net, a, b := &mem.Network{}, newSets(), newSets()
	a.add("a", 1)
	b.add("b", 1)
	l := &Loop{Store: plain{a}, Peers: Static("b")}
	l.Caller = net.Node("a", l.Handler())
	net.Node("b", (&Loop{Store: plain{b}}).Handler())
	x, err := l.Exchange(t.Context(), "b")
	require.NoError(t, err)
	require.Equal(t, a.root(), b.root())
	require.Equal(t, 1, x.KeysSent)
	require.Equal(t, 1, x.KeysReceived)
	require.Equal(t, Reconciliation, x.Strategy)
	s := l.Stats()
	require.True(t, s.Peers[0].Reachable)
	require.False(t, s.Peers[0].LastSync.IsZero())

	_, err = l.Exchange(t.Context(), "nobody")
	require.ErrorIs(t, err, transport.ErrUnreachable)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.Exchange(ctx, "b")
	require.Equal(t, context.Canceled, err)
	_, err = new(Loop).Exchange(t.Context(), "b")
	require.Error(t, err)
}

func TestPushByHand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		net, a, b := &mem.Network{}, newSets(), newSets()
		l := &Loop{Store: plain{a}, Peers: Static("b"), Pace: Pace{Interval: time.Hour}, MaxMessage: small}
		l.Caller = net.Node("a", l.Handler())
		net.Node("b", (&Loop{Store: plain{b}}).Handler())
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = l.Run(ctx) })
		time.Sleep(time.Second)
		require.NoError(t, l.Push(ctx, "k", a.add("k", 1)))
		a.add("loaded", 1, 2)
		require.NoError(t, l.Push(ctx, "loaded", nil))
		require.NoError(t, l.Push(ctx, "not there", nil))
		err := l.Push(ctx, "large", make([]byte, 2*small))
		_, large := errors.AsType[*TooLargeError](err)
		require.True(t, large)
		time.Sleep(10 * time.Millisecond)
		require.Equal(t, a.root(), b.root())
		require.Equal(t, uint64(1), l.Stats().TooLarge)
		cancel()
		done.Wait()
	})
}

// The keys that need not be sent because their deltas are under way are not.
func TestTrap23_ReconcilingWhileBothSidesAreWrittenTo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c := startCluster(t, &mem.Network{Link: mem.Link{Latency: 10 * time.Millisecond}},
			func(l *Loop) { l.Interval = 100 * time.Millisecond }, "a", "b")
		time.Sleep(time.Second)
		c.forget()
		for i := range 3000 { // a thousand writes a second, to keys of their own and to shared ones
			c.store["a"].add(fmt.Sprint("a", i%500), uint64(i))
			c.store["b"].add(fmt.Sprint("b", i%700), uint64(i))
			c.store["a"].add(fmt.Sprint("both", i%300), uint64(i))
			time.Sleep(time.Millisecond)
		}
		c.untilAgreed(time.Second)
		keys := c.count(func(x Exchange) bool { return x.Strategy == Reconciliation && x.KeysSent+x.KeysReceived > 0 })
		redundant, deferred := 0, 0
		for _, x := range c.exchanges {
			if x.Strategy == Reconciliation {
				redundant += x.KeysSent + x.KeysReceived
				deferred += x.Deferred
			}
		}
		t.Log(redundant, "keys sent by", keys, "reconciliations beside 9,000 deltas,", deferred, "left to them")
		require.NotZero(t, deferred)
		require.LessOrEqual(t, redundant, 450, "1.05 of the keys that differed")
	})
}
