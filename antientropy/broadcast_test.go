package antientropy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/stretchr/testify/require"
)

// A pair is two broadcasts that talk to one another by hand.
type pair struct {
	t    *testing.T
	a, b *Broadcast
	s    *sets // of b
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t, a: &Broadcast{Self: 1, MaxMessage: small}, b: &Broadcast{Self: 2, MaxMessage: small}, s: newSets()}
	p.a.Open("b")
	p.b.Open("a")
	return p
}

func (p *pair) put(key string, size int) []Dropped {
	d, err := p.a.Put(key, encodeSet(elements(size)...), "")
	require.NoError(p.t, err)
	return d
}

// send brings one batch from a to b, and reports whether there was one.
func (p *pair) send() bool {
	batch, ok := p.a.Batch("b")
	if !ok {
		return false
	}
	require.LessOrEqual(p.t, len(batch.Request), small)
	resp, err := serveBroadcast(p.t, p.b, p.s)("a", batch.Method, batch.Request)
	require.NoError(p.t, err)
	_, err = p.a.Acked("b", batch.ID, resp)
	require.NoError(p.t, err)
	return true
}

func TestBroadcastBatchesAndBounds(t *testing.T) {
	p := newPair(t)
	for i := range 100 {
		p.put(fmt.Sprint(i), 5)
	}
	require.Equal(t, 100*(40+entryOverhead)+190, p.a.Pending("b"))
	require.True(t, p.a.Holds("b", "42"))
	batches := 0
	for ; p.send(); batches++ {
	}
	require.Len(t, p.s.content(), 100)
	require.LessOrEqual(t, batches, 12)
	require.Zero(t, p.a.Pending("b"))
	require.False(t, p.a.Holds("b", "42"))

	p.a.MaxBytes = 1000
	for i := range 20 {
		for _, d := range p.put(fmt.Sprint("more ", i), 5) {
			require.Equal(t, transport.NodeID("b"), d.Peer)
		}
		require.LessOrEqual(t, p.a.log.bytes, 1000)
	}
	require.True(t, p.a.Closed("b"), "it lacks what had to go")
	require.Zero(t, p.a.Pending("b"))
	_, err := p.a.Put("k", make([]byte, small), "")
	_, large := errors.AsType[*TooLargeError](err)
	require.True(t, large)
}

// What was put while a peer was closed is left to the reconciliation: it hears so,
// and does not ask for it.
func TestBroadcastCoversWhatAReconciliationBrings(t *testing.T) {
	p := newPair(t)
	p.a.Close("b")
	for i := range 10 {
		p.put(fmt.Sprint(i), 1)
	}
	p.a.Open("b")
	require.Zero(t, p.a.Pending("b"))
	p.put("new", 1)
	require.True(t, p.send())
	require.Len(t, p.s.content(), 1)
	require.Equal(t, uint64(11), p.b.streams[1].have)
	require.False(t, p.send())

	p.b = &Broadcast{Self: 3} // b starts anew, and a does not know
	p.b.Open("a")
	p.put("newer", 1)
	require.True(t, p.send())
	require.Len(t, p.s.content(), 1, "a gap is not taken")
	for p.send() {
	}
	require.Len(t, p.s.content(), 12)
}

func TestBroadcastForgetsTheOld(t *testing.T) {
	p := newPair(t)
	p.a.Tick(time.Hour)
	p.put("k", 1)
	require.Empty(t, p.a.Tick(time.Hour+time.Minute))
	require.NotEmpty(t, p.a.Tick(time.Hour+time.Minute+1))
	require.True(t, p.a.Closed("b"))
	require.Zero(t, p.a.log.len())
	require.Empty(t, p.a.log.keys)
}

// A peer that answers without ever taking anything is not sent the same for ever.
func TestBroadcastGivesUpOnWhoTakesNothing(t *testing.T) {
	p := newPair(t)
	p.put("k", 1)
	for range 2 {
		batch, ok := p.a.Batch("b")
		require.True(t, ok)
		_, err := p.a.Acked("b", batch.ID, encodeReceipt(&pushed{}, []outcome{{have: 0}}))
		require.NoError(t, err)
	}
	require.True(t, p.a.Closed("b"))
}

func TestBroadcastWithCorruptMessages(t *testing.T) {
	p := newPair(t)
	p.put("k", 1)
	batch, _ := p.a.Batch("b")
	_, err := p.a.Acked("b", batch.ID, []byte{0xc1})
	require.Error(t, err)
	_, err = p.b.Receive("a", batch.Request[:len(batch.Request)-1])
	corrupt, ok := errors.AsType[*CorruptError](err)
	require.True(t, ok)
	require.Equal(t, methodTree, corrupt.Method)
	_, closed := p.a.Failed("b", batch.ID)
	require.False(t, closed)
	require.True(t, p.send())
	_, err = p.a.Acked("b", batch.ID, nil)
	require.NoError(t, err, "too late to matter")
}

// However many origins a peer makes up, what is kept of them is bounded, and what
// it sends is merged and passed on all the same.
func TestBroadcastFollowsABoundedNumberOfOrigins(t *testing.T) {
	b, s := &Broadcast{Self: 1}, newSets()
	b.Open("c")
	serve := serveBroadcast(t, b, s)
	for i := range uint64(maxStreams + 100) {
		other := &Broadcast{Self: i + 2}
		other.Open("b")
		_, err := other.Put(fmt.Sprint(i), encodeSet(i), "")
		require.NoError(t, err)
		batch, _ := other.Batch("b")
		resp, err := serve("a", batch.Method, batch.Request)
		require.NoError(t, err)
		_, err = other.Acked("b", batch.ID, resp)
		require.NoError(t, err)
		require.Zero(t, other.Pending("b"))
	}
	require.LessOrEqual(t, len(b.known), maxStreams+1)
	require.Len(t, s.content(), maxStreams+100)
	b.Tick(time.Hour)
	require.True(t, b.Closed("c"), "it lacked what became too old")
	require.NotNil(t, b.stream(1<<40), "those who are silent make room")
}

// An eager node takes what a lazy one sends, and the other way round.
func TestLazyAndEagerUnderstandOneAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		lazy := 0
		c := startCluster(t, &mem.Network{Link: mem.Link{Latency: time.Millisecond}}, func(l *Loop) {
			l.Interval, l.Propagation = time.Hour, Propagation(lazy%2)
			lazy++
		}, "a", "b", "c", "d")
		time.Sleep(time.Second)
		for i := range 100 {
			c.store[c.ids[i%4]].add(fmt.Sprint(i), 1)
			time.Sleep(10 * time.Millisecond)
		}
		require.Less(t, c.untilAgreed(time.Second), 50*time.Millisecond)
	})
}

// In a mesh of loops nearly nothing is sent twice, and what a node that fails would
// have passed on comes another way.
func TestLazyLoopsSendEachUpdateAboutOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var ids []transport.NodeID
		for i := range 10 {
			ids = append(ids, transport.NodeID(fmt.Sprint("n", i)))
		}
		next := 0
		c := startCluster(t, &mem.Network{Link: mem.Link{Latency: time.Millisecond, Jitter: time.Millisecond}}, func(l *Loop) {
			i := next
			next++
			l.Peers = Static(ids[(i+1)%10], ids[(i+9)%10], ids[(i+3)%10], ids[(i+7)%10])
			l.Interval, l.Propagation = time.Hour, Lazy
		}, ids...)
		time.Sleep(5 * time.Second)
		before := c.sent()
		for i := range 500 {
			c.store[ids[i%10]].add(fmt.Sprint(i), 1)
			time.Sleep(20 * time.Millisecond)
		}
		require.Less(t, c.untilAgreed(time.Second), 100*time.Millisecond)
		sent := c.sent() - before
		t.Logf("%d keys sent, %.2f of the least", sent, float64(sent)/(500*9))
		require.Less(t, float64(sent), 1.5*500*9)

		c.net.Down(ids[4])
		for i := range 200 {
			if id := ids[i%10]; id != ids[4] {
				c.store[id].add(fmt.Sprint("without it ", i), 1)
			}
			time.Sleep(20 * time.Millisecond)
		}
		others := slices.DeleteFunc(slices.Clone(ids), func(id transport.NodeID) bool { return id == ids[4] })
		time.Sleep(2 * time.Second)
		for _, id := range others {
			require.Equal(t, c.store[ids[0]].root(), c.store[id].root(), id)
		}
		c.net.Up(ids[4])
		c.store[ids[4]].add("it is back", 1)
		c.loops[ids[4]].Kick()
		c.untilAgreed(10 * time.Second)
	})
}

// A peer that answers and takes nothing of what it is sent is reconciled with.
func TestLazyWhoTakesNothingIsReconciledWith(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.Propagation = Lazy }, "b")
		r.run()
		var calls atomic.Int32
		r.set(func() {
			r.fault = func(_ context.Context, _ transport.NodeID, method string, serve func() ([]byte, error)) ([]byte, error) {
				if method == methodTree && calls.Add(1) <= 2 {
					return encodeReceipt(&pushed{}, []outcome{{have: 0}}), nil
				}
				return serve()
			}
		})
		r.store.add("x", 1)
		r.agree("b", time.Second)
		time.Sleep(time.Second)
		require.False(t, r.stats("b").Closed)
		require.Equal(t, uint64(2), r.stats("b").Reconciliations)
		r.store.add("y", 1)
		r.agree("b", time.Second)
		require.Equal(t, uint64(2), r.stats("b").Reconciliations)
	})
}
