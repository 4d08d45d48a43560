package antientropy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// A web is nodes over random links, with loss, repetition and delay: the cores
// alone, without goroutine or clock. It checks at every merge that what a node put
// first is merged first.
type web struct {
	t     *testing.T
	rand  *rand.Rand
	now   time.Duration
	ids   []transport.NodeID
	nodes map[transport.NodeID]*webNode
	calls []*webCall // under way
	kind  Propagation
	spare [][2]int // links that the others can do without
	lossy bool
	bulk  bool
	put   uint64 // by each node
}

type webNode struct {
	*sets
	id    transport.NodeID
	out   core
	serve func(from transport.NodeID, method string, req []byte) ([]byte, error)
	peers []transport.NodeID
	seen  map[uint64]uint64 // by origin, what was merged last
}

// A webCall is a request on its way, or its response on the way back.
type webCall struct {
	from, to transport.NodeID
	b        Batch
	resp     []byte // nil: not there yet
	repeated bool   // nobody waits for the response any more
}

func newWeb(t *testing.T, seed uint64, kind Propagation) *web {
	w := &web{t: t, kind: kind, rand: rand.New(rand.NewPCG(seed, 1)), nodes: map[transport.NodeID]*webNode{}, lossy: true, bulk: seed%2 == 1}
	for i := range 3 + w.rand.IntN(6) {
		w.add(i)
	}
	for i := 1; i < len(w.ids); i++ { // connected, and then some cycles
		w.connect(i, w.rand.IntN(i))
	}
	for range w.rand.IntN(2 * len(w.ids)) {
		i, j := w.rand.IntN(len(w.ids)), w.rand.IntN(len(w.ids))
		if w.connect(i, j) {
			w.spare = append(w.spare, [2]int{i, j})
		}
	}
	return w
}

// cut has one of the links that are not needed fail for good, with all that waits.
func (w *web) cut() {
	if len(w.spare) == 0 {
		return
	}
	a, b := w.nodes[w.ids[w.spare[0][0]]], w.nodes[w.ids[w.spare[0][1]]]
	w.spare = w.spare[1:]
	a.out.Close(b.id)
	b.out.Close(a.id)
}

func (w *web) add(i int) {
	n := &webNode{sets: newSets(), id: transport.NodeID(fmt.Sprint("n", i)), seen: map[uint64]uint64{}}
	n.onNews = func(_ string, novel []byte) { w.inOrder(n, novel) }
	if w.kind == Lazy {
		b := &Broadcast{Self: uint64(i + 1), MaxMessage: small, Attempts: 1 << 30, Patience: 20 * time.Millisecond}
		n.out, n.serve = b, serveBroadcast(w.t, b, w.store(n.sets))
	} else {
		o := &Outbox{MaxMessage: small, Attempts: 1 << 30}
		n.out, n.serve = o, serveOutbox(w.t, o, w.store(n.sets))
	}
	w.ids = append(w.ids, n.id)
	w.nodes[n.id] = n
}

// store is that of a node: in one web of two it merges many at once.
func (w *web) store(s *sets) Store {
	if w.bulk {
		return &disk{sets: s}
	}
	return s
}

// A core is an Outbox or a Broadcast.
type core interface {
	outgoing
	Put(key string, delta []byte, origin transport.NodeID) ([]Dropped, error)
}

// serveOutbox and serveBroadcast are the receiving sides of a core.
func serveOutbox(t testing.TB, o *Outbox, s Store) func(transport.NodeID, string, []byte) ([]byte, error) {
	in := Responder{Store: s, Learned: func(from transport.NodeID, key string, novel []byte) {
		_, err := o.Put(key, novel, from)
		require.NoError(t, err)
	}}
	return func(from transport.NodeID, method string, req []byte) ([]byte, error) {
		return in.ServeCall(t.Context(), from, method, req)
	}
}

func serveBroadcast(t testing.TB, b *Broadcast, s Store) func(transport.NodeID, string, []byte) ([]byte, error) {
	return func(from transport.NodeID, method string, req []byte) ([]byte, error) {
		in, err := b.Receive(from, req)
		if err != nil {
			return nil, err
		}
		mergeRuns(t, in, s, (*lot).full)
		return in.Response(), nil
	}
}

// mergeRuns merges what is in a receipt, whenever there is enough of it.
func mergeRuns(t testing.TB, in *Receipt, s Store, enough func(*lot) bool) {
	l := newLot(s)
	merge := func() {
		l.merge(t.Context())
		for i := range l.errs {
			in.Merged(l.novel[i], l.errs[i])
		}
		l.reset()
	}
	for in.Run() {
		for key, state, more := in.Next(); more; key, state, more = in.Next() {
			if l.add(key, state); enough(l) {
				merge()
			}
		}
	}
	merge()
}

// kinds has f try both.
func kinds(t *testing.T, f func(t *testing.T, kind Propagation)) {
	t.Run("eager", func(t *testing.T) { f(t, Eager) })
	t.Run("lazy", func(t *testing.T) { f(t, Lazy) })
}

// inOrder checks an element, which is an origin and its number.
func (w *web) inOrder(n *webNode, novel []byte) {
	elements, err := decodeSet(novel)
	require.NoError(w.t, err)
	for _, e := range elements {
		origin, number := e>>32, e&(1<<32-1)
		require.Equal(w.t, n.seen[origin]+1, number, "%s, of origin %d", n.id, origin)
		n.seen[origin] = number
	}
}

func (w *web) connect(i, j int) (made bool) {
	a, b := w.nodes[w.ids[i]], w.nodes[w.ids[j]]
	if i == j || slices.Contains(a.peers, b.id) {
		return false
	}
	a.peers, b.peers = append(a.peers, b.id), append(b.peers, a.id)
	a.out.Open(b.id)
	b.out.Open(a.id)
	return true
}

// write has every node put its next element, to one of a few keys.
func (w *web) write() {
	w.put++
	for i, id := range w.ids {
		n := w.nodes[id]
		key, e := fmt.Sprint("k", w.rand.IntN(5)), uint64(i)<<32|w.put
		_, err := n.out.Put(key, n.add(key, e), "")
		require.NoError(w.t, err)
		n.seen[uint64(i)] = w.put
	}
}

func (w *web) send() {
	for _, id := range w.ids {
		for _, to := range w.nodes[id].peers {
			if w.rand.IntN(2) == 0 {
				continue
			}
			if b, ok := w.nodes[id].out.Batch(to); ok {
				w.calls = append(w.calls, &webCall{from: id, to: to, b: b})
			}
		}
	}
}

// move brings one call further, any of them, or loses it. The sender of a lost one
// repeats it; it may arrive all the same, much later.
func (w *web) move() {
	if len(w.calls) == 0 {
		return
	}
	i := w.rand.IntN(len(w.calls))
	c := w.calls[i]
	if w.lossy && w.rand.IntN(4) == 0 && !c.repeated {
		w.nodes[c.from].out.Failed(c.to, c.b.ID)
		c.repeated = true
		return
	}
	if c.resp == nil {
		resp, err := w.nodes[c.to].serve(c.from, c.b.Method, c.b.Request)
		require.NoError(w.t, err)
		c.resp = resp
		return
	}
	w.calls = slices.Delete(w.calls, i, i+1)
	_, err := w.nodes[c.from].out.Acked(c.to, c.b.ID, c.resp)
	require.NoError(w.t, err)
}

func (w *web) step() {
	w.now += time.Millisecond
	for _, id := range w.ids {
		require.Empty(w.t, w.nodes[id].out.Tick(w.now))
	}
	w.send()
	for range 1 + w.rand.IntN(2*len(w.ids)) {
		w.move()
	}
}

func (w *web) agreed() bool {
	for _, id := range w.ids {
		for origin := range w.ids {
			if w.nodes[id].seen[uint64(origin)] != w.put {
				return false
			}
		}
	}
	return true
}

// What one node put in an order is merged at every other in that order, over any
// graph, through any forwarders, whatever was lost and repeated, and also if links
// fail for good.
func TestAnEffectNeverShowsBeforeItsCause(t *testing.T) {
	kinds(t, func(t *testing.T, kind Propagation) {
		for seed := range uint64(60) {
			w := newWeb(t, seed, kind)
			for turn := range 40 {
				w.write()
				w.step()
				if turn%8 == 7 {
					w.cut()
				}
			}
			w.lossy = false
			for range 10_000 {
				if w.agreed() {
					break
				}
				w.step()
			}
			require.True(t, w.agreed(), "seed %d", seed)
		}
	})
}

// Two calls merge at once. The first one's merge has taken effect, but has not
// returned, when the second finds nothing new in the same delta and goes on.
func TestForwardersKeepTheOrderOfMergesAtOnce(t *testing.T) {
	kinds(t, func(t *testing.T, kind Propagation) {
		bubble(t, func(t *testing.T) {
			r := newRig(t, func(l *Loop) { l.Propagation = kind }, "x", "y", "z")
			gate := make(chan struct{})
			r.store.onNews = func(key string, _ []byte) {
				if key == "cause" {
					<-gate
				}
			}
			r.run()
			h := r.loop.Handler()
			push := func(from transport.NodeID, keys ...string) {
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
			var order []string
			r.peer("z").onNews = func(key string, _ []byte) { r.set(func() { order = append(order, key) }) }
			go push("x", "cause")
			synctest.Wait()
			go push("y", "cause", "effect")
			time.Sleep(time.Second)
			r.set(func() { require.Empty(t, order, "the effect waits for its cause") })
			close(gate)
			time.Sleep(time.Second)
			r.stop()
			require.Equal(t, []string{"cause", "effect"}, order)
		})
	})
}

func TestOutboxDropsWhatIsTooOld(t *testing.T) {
	o := Outbox{MaxAge: time.Second}
	require.Empty(t, o.Tick(time.Hour))
	o.Open("b")
	o.Open("c")
	put(t, &o, "k", 8, "c")
	require.Empty(t, o.Tick(time.Hour+time.Second))
	put(t, &o, "l", 8, "")
	require.Empty(t, o.Tick(0), "time never goes back")
	require.Equal(t, []Dropped{{Peer: "b", Bytes: 2 * (8 + 1 + entryOverhead)}}, o.Tick(time.Hour+time.Second+1))
	require.True(t, o.Closed("b"))
	require.False(t, o.Closed("c"))
	require.Positive(t, o.Pending("c"))
}

// What is too old for a peer is dropped, and a reconciliation takes its place.
func TestTrap29_WhatIsTooOldIsMadeUpFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.BufferAge, l.PushDelay = time.Minute, 24*time.Hour }, "b")
		r.run()
		r.store.add("x", 1)
		time.Sleep(2 * time.Hour)
		require.True(t, r.heard("dropped b"))
		r.agree("b", 0)
		require.Equal(t, uint64(1), r.stats("b").Dropped)
	})
}

// The age of a delta is what it waited and travelled, over all hops.
func TestAgesAddUp(t *testing.T) {
	var a, b Outbox
	a.Open("b")
	b.Open("c")
	a.Tick(time.Hour)
	put(t, &a, "k", 8, "")
	a.Tick(time.Hour + 20*time.Millisecond)
	batch, _ := a.Batch("b")
	got, err := decodeDeltas(batch.Request)
	require.NoError(t, err)
	require.Equal(t, 20*time.Millisecond, got[0].age)

	b.Tick(3 * time.Second)
	_, err = b.put(arrival{key: "k", novel: got[0].state, age: got[0].age})
	require.NoError(t, err)
	b.Tick(5 * time.Second)
	first, _ := b.Batch("c")
	b.Tick(6 * time.Second)
	ack(t, &b, "c", first)
	put(t, &b, "l", 8, "")
	second, _ := b.Batch("c")
	got, err = decodeDeltas(first.Request)
	require.NoError(t, err)
	require.Equal(t, 2020*time.Millisecond, got[0].age)
	got, err = decodeDeltas(second.Request)
	require.NoError(t, err)
	require.Equal(t, 500*time.Millisecond, got[0].age, "half of what the last batch took")
}

func TestPutAllocatesLittle(t *testing.T) {
	var o Outbox
	for i := range 4 {
		o.Open(transport.NodeID(fmt.Sprint(i)))
	}
	state := make([]byte, 64)
	n := testing.AllocsPerRun(10_000, func() { _, _ = o.Put("k", state, "") })
	require.LessOrEqual(t, n, 3.0, "the delta, its state, and what a queue grows by")
}
