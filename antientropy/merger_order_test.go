package antientropy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// Two calls merge at once. The one that came first is about to merge a cause and its effect; before
// it does, the other brings the cause, so that the first finds the effect alone to be new.
func TestForwardersKeepTheOrderOfLotsAtOnce(t *testing.T) {
	kinds(t, func(t *testing.T, kind Propagation) {
		bubble(t, func(t *testing.T) {
			var s *disk
			r := newRig(t, func(l *Loop) {
				l.Propagation = kind
				s = &disk{sets: l.Store.(*sets)}
				l.Store = s
			}, "x", "y", "z")
			gate := make(chan struct{})
			s.merging = func(keys []string) {
				if len(keys) == 2 {
					<-gate
				}
			}
			r.run()
			push := pushes(t, r, kind)
			var order []string
			r.peer("z").onNews = func(key string, _ []byte) { r.set(func() { order = append(order, key) }) }
			go push("x", "cause", "effect")
			synctest.Wait()
			go push("y", "cause")
			time.Sleep(time.Second)
			close(gate)
			time.Sleep(time.Second)
			r.stop()
			require.Equal(t, []string{"cause", "effect"}, order)
		})
	})
}

// pushes has a peer push keys in an order, all of one origin.
func pushes(t *testing.T, r *rig, kind Propagation) func(from transport.NodeID, keys ...string) {
	h := r.loop.Handler()
	return func(from transport.NodeID, keys ...string) {
		var out core = new(Outbox)
		if kind == Lazy {
			out = &Broadcast{Self: 9}
		}
		out.Open("a")
		for _, key := range keys {
			_, err := out.Put(key, encodeSet(1), "")
			require.NoError(t, err)
		}
		b, _ := out.Batch("a")
		_, err := h.ServeCall(t.Context(), from, b.Method, b.Request)
		require.NoError(t, err)
	}
}

// A crowd pushes the same deltas of a few origins to one loop, each in an order of its own in which
// those of one origin keep theirs, and in messages of one or many. The store takes its time between
// any two. What the loop passes on has those of each origin in their order.
func TestWhatACrowdPushesIsPassedOnInOrder(t *testing.T) {
	for seed := range uint64(40) {
		bubble(t, func(t *testing.T) { tryCrowd(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func tryCrowd(t *testing.T, r *rand.Rand) {
	const origins, each = 3, 20
	var mu sync.Mutex
	n := func(most int) int {
		mu.Lock()
		defer mu.Unlock()
		return r.IntN(most)
	}
	nap := func() { time.Sleep(time.Duration(n(3)) * time.Millisecond) }
	g := newRig(t, func(l *Loop) {
		s := &disk{sets: l.Store.(*sets), between: nap}
		s.merging = func([]string) { nap() }
		l.Store = s
	}, "x", "y", "w", "z")
	z := &webNode{id: "z", seen: map[uint64]uint64{}}
	g.peer("z").onNews = func(_ string, novel []byte) { (&web{t: t}).inOrder(z, novel) }
	g.run()
	h := g.loop.Handler()
	var crowd sync.WaitGroup
	for _, from := range []transport.NodeID{"x", "y", "w"} {
		crowd.Go(func() {
			var next [origins]uint64
			for sent := 0; sent < origins*each; {
				var all []*entry
				for range 1 + n(8)*n(2) {
					o := n(origins)
					if next[o] < each {
						next[o]++
						sent++
						all = append(all, &entry{fmt.Sprint(next[o] % 5), encodeSet(uint64(o)<<32 | next[o])})
					}
				}
				_, err := h.ServeCall(t.Context(), from, methodDeltas, asDeltas(all))
				require.NoError(t, err)
				nap()
			}
		})
	}
	crowd.Wait()
	time.Sleep(time.Second)
	g.stop()
	for o := range uint64(origins) {
		require.Equal(t, uint64(each), z.seen[o])
	}
}

// Messages with runs of the same origins in different orders are merged at once, and none waits
// for ever for the lanes of another.
func TestDeliveriesDoNotWaitForOneAnother(t *testing.T) {
	for seed := range uint64(20) {
		bubble(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 1))
			var store Store = &disk{sets: newSets(), merging: func([]string) { time.Sleep(time.Millisecond) }}
			if seed%4 == 0 {
				store = newSets()
			}
			l := &Loop{Store: store, Propagation: Lazy}
			h := l.Handler()
			var all sync.WaitGroup
			for range 8 {
				req := encodeRuns(r.Perm(40), 1+r.IntN(5), func(origin, i int) *entry {
					return &entry{fmt.Sprint(origin), encodeSet(uint64(i))}
				})
				late := time.Duration(r.IntN(3)) * time.Millisecond
				all.Go(func() {
					time.Sleep(late)
					_, err := h.ServeCall(t.Context(), "b", methodTree, req)
					require.NoError(t, err)
				})
			}
			all.Wait()
			for _, lane := range l.lanes {
				require.Empty(t, lane)
			}
			require.Equal(t, 40, store.Index().Len())
		})
	}
}

// encodeRuns is a message with a run of so many deltas for each origin.
func encodeRuns(origins []int, n int, of func(origin, i int) *entry) []byte {
	var sends []sending
	for _, o := range origins {
		s := sending{stream: &stream{id: uint64(100 + o)}}
		for i := range n {
			s.parcels = append(s.parcels, &parcel{delta: delta{entry: *of(o, i)}, seq: uint64(i + 1)})
		}
		sends = append(sends, s)
	}
	return new(Broadcast).encode(&link{id: "to"}, new(treeMessage), sends, 0)
}

// A Receipt of which many are merged at once is the same as one by one, whatever is in it: runs
// twice, with gaps, of what is here already, and entries of nothing.
func TestAReceiptTakesManyAtOnce(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		one, many := newReceiver(), newReceiver()
		for range 5 {
			req := randomRuns(r)
			from := transport.NodeID([]string{"a", "c"}[r.IntN(2)])
			want := one.take(t, from, req, func() int { return 1 })
			got := many.take(t, from, req, func() int { return 1 + r.IntN(9) })
			require.Equal(t, want, got, "seed %d", seed)
			require.Equal(t, one.root(), many.root(), "seed %d", seed)
			for _, to := range []transport.NodeID{"a", "c"} {
				x, _ := one.b.Batch(to)
				y, _ := many.b.Batch(to)
				require.Equal(t, x, y, "seed %d", seed)
				one.b.Failed(to, x.ID)
				many.b.Failed(to, y.ID)
			}
		}
	}
}

// A receiver is a Broadcast with its store.
type receiver struct {
	*sets
	b *Broadcast
}

func newReceiver() *receiver {
	r := &receiver{newSets(), &Broadcast{Self: 1, Attempts: 1 << 30}}
	r.refuse = func(key string) error {
		if key == "3" {
			return errRefused
		}
		return nil
	}
	for _, peer := range []transport.NodeID{"a", "c"} {
		r.b.Open(peer)
	}
	_, _ = r.b.Put("own", encodeSet(1), "")
	return r
}

// take takes a message, with so many deltas at a time.
func (r *receiver) take(t *testing.T, from transport.NodeID, req []byte, several func() int) []byte {
	in, err := r.b.Receive(from, req)
	require.NoError(t, err)
	mergeRuns(t, in, r, func(l *lot) bool { return l.len() >= several() })
	return in.Response()
}

func randomRuns(r *rand.Rand) []byte {
	var sends []sending
	for range 1 + r.IntN(6) {
		s := sending{stream: &stream{id: uint64(2 + r.IntN(4))}}
		first := 1 + r.IntN(8)
		for i := range 1 + r.IntN(6) {
			p := &parcel{delta: delta{entry: entry{fmt.Sprint(r.IntN(5)), encodeSet(uint64(r.IntN(40)))}}, seq: uint64(first + i)}
			if r.IntN(4) == 0 {
				p.entry = entry{}
			}
			s.parcels = append(s.parcels, p)
		}
		sends = append(sends, s)
	}
	return new(Broadcast).encode(&link{id: "to"}, new(treeMessage), sends, 0)
}

// A Receipt that is asked for, or told, more than there is takes it calmly.
func TestAReceiptOfNothing(t *testing.T) {
	in, err := new(Broadcast).Receive("a", encodeRuns(nil, 0, nil))
	require.NoError(t, err)
	in.Merged(nil, nil)
	_, _, more := in.Next()
	require.False(t, more)
	require.False(t, in.Run())
	require.NotEmpty(t, in.Response())
}

// Many enter with one state each, and one with several alone; who gives up leaves nothing behind.
func TestTheGateLetsInOneAloneWithSeveral(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGate()
		enter := func(ctx context.Context, states int) (inside chan func()) {
			inside = make(chan func(), 1)
			go func() {
				leave, err := g.enter(ctx, states)
				require.Equal(t, ctx.Err(), err)
				inside <- leave
			}()
			synctest.Wait()
			return inside
		}
		one, other := enter(t.Context(), 1), enter(t.Context(), 1)
		require.Len(t, one, 1)
		require.Len(t, other, 1)
		ctx, cancel := context.WithCancel(t.Context())
		alone, behind := enter(ctx, 2), enter(ctx, 3)
		require.Empty(t, alone)
		require.Empty(t, behind)
		cancel()
		require.Nil(t, <-alone)
		require.Nil(t, <-behind)
		(<-one)()
		alone = enter(t.Context(), 2)
		require.Empty(t, alone, "another is inside")
		(<-other)()
		one = enter(t.Context(), 1)
		require.Empty(t, one)
		(<-alone)()
		synctest.Wait()
		require.Len(t, one, 1)
		(<-one)()
		require.Empty(t, g.places)
		require.Empty(t, g.all)
	})
}
