package antientropy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
	"github.com/eventual-go/eventual/transport/mem"
	"github.com/stretchr/testify/require"
)

// A layout says which nodes hold which of equal parts of the index. Nodes may see different
// ones while it changes.
type layout struct {
	mu     sync.Mutex
	owners [][]transport.NodeID // by part
	had    [][]transport.NodeID // who holds it, or did
}

// newLayout has so many nodes hold each part, in turn.
func newLayout(parts, replicas int, ids ...transport.NodeID) *layout {
	p := &layout{owners: make([][]transport.NodeID, parts)}
	for i := range p.owners {
		for k := range replicas {
			p.owners[i] = append(p.owners[i], ids[(i+k)%len(ids)])
		}
	}
	for _, owners := range p.owners {
		p.had = append(p.had, slices.Clone(owners))
	}
	return p
}

func (p *layout) part(i int) merkle.Range {
	width := merkle.Full.To/merkle.Position(len(p.owners)) + 1
	return merkle.Range{From: merkle.Position(i) * width, To: merkle.Position(i)*width + width - 1}
}

// of returns the parts that all of some nodes hold.
func (p *layout) of(ids ...transport.NodeID) (ranges []merkle.Range) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, owners := range p.owners {
		if !slices.ContainsFunc(ids, func(id transport.NodeID) bool { return !slices.Contains(owners, id) }) {
			ranges = append(ranges, p.part(i))
		}
	}
	return ranges
}

func (p *layout) move(part int, owners ...transport.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.owners[part] = owners
	p.had[part] = append(p.had[part], owners...)
}

// lend has a node be about to hold a part.
func (p *layout) lend(part int, to transport.NodeID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.had[part] = append(p.had[part], to)
}

func (p *layout) ownersIn(part int) []transport.NodeID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.owners[part])
}

// ever reports whether a node holds a position, or did.
func (p *layout) ever(id transport.NodeID, at merkle.Position) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, had := range p.had {
		if p.part(i).Contains(at) {
			return slices.Contains(had, id)
		}
	}
	return false
}

// A dispersal is a cluster of nodes that hold what a layout says. Each message is looked into:
// nobody is sent a key that it never held.
type dispersal struct {
	*cluster
	*layout
	hasher *merkle.Hasher
	stop   func()
	all    sync.WaitGroup
	ctx    context.Context
}

func disperse(t *testing.T, net *mem.Network, p *layout, change func(*Loop), ids ...transport.NodeID) *dispersal {
	c := &cluster{t: t, net: net, loops: map[transport.NodeID]*Loop{}, store: map[transport.NodeID]*sets{}}
	d := &dispersal{cluster: c, layout: p, hasher: merkle.NewHasher(secret)}
	d.ctx, d.stop = context.WithCancel(t.Context())
	t.Cleanup(func() { d.stop(); d.all.Wait() })
	for _, id := range ids {
		d.add(id, change, ids...)
	}
	for _, id := range ids {
		d.run(id)
	}
	return d
}

func (d *dispersal) add(id transport.NodeID, change func(*Loop), peers ...transport.NodeID) {
	d.ids = append(d.ids, id)
	d.store[id] = newFed()
	l := &Loop{
		Store:  d.store[id],
		Seed:   uint64(len(d.ids)) + seedOfTest,
		Peers:  Static(slices.DeleteFunc(slices.Clone(peers), func(o transport.NodeID) bool { return o == id })...),
		Shared: func(peer transport.NodeID) []merkle.Range { return d.of(id, peer) },
		Pace:   Pace{Interval: time.Second},
	}
	l.Events.OnExchange = func(x Exchange) { d.note(func() { d.exchanges = append(d.exchanges, x) }) }
	if change != nil {
		change(l)
	}
	caller := d.net.Node(id, l.Handler())
	l.Caller = callerFunc(func(ctx context.Context, to transport.NodeID, method string, req []byte) ([]byte, error) {
		d.check(to, sentBy(method, req))
		resp, err := caller.Call(ctx, to, method, req)
		if err == nil {
			d.check(id, answeredBy(method, resp))
		}
		return resp, err
	})
	d.loops[id] = l
}

func (d *dispersal) run(id transport.NodeID) {
	d.all.Go(func() {
		if err := d.loops[id].Run(d.ctx); !errors.Is(err, context.Canceled) {
			d.t.Errorf("Run of %s: %v", id, err)
		}
	})
}

// check looks at keys that are on their way to a node.
func (d *dispersal) check(to transport.NodeID, keys []string) {
	for _, key := range keys {
		if !d.ever(to, d.hasher.Position(key)) {
			d.t.Errorf("%s is sent %q", to, key)
		}
	}
}

func sentBy(method string, req []byte) (keys []string) {
	switch method {
	case methodPush:
		entries, _ := decodePush(req)
		for _, e := range entries {
			keys = append(keys, e.key)
		}
	case methodDeltas:
		deltas, _ := decodeDeltas(req)
		for _, e := range deltas {
			keys = append(keys, e.key)
		}
	}
	return keys
}

func answeredBy(method string, resp []byte) (keys []string) {
	switch method {
	case methodStream:
		if s, err := decodeStreamed(resp, Cursor{}); err == nil {
			for _, e := range s.entries {
				keys = append(keys, e.key)
			}
		}
	case methodPull:
		if a, err := decodeAnswers(resp, 1<<20); err == nil {
			for _, at := range a.at {
				for _, f := range at.keys {
					if f.kind != foundSame {
						keys = append(keys, f.key)
					}
				}
			}
		}
	}
	return keys
}

// settled reports whether each key is at those who hold it, in the same state everywhere.
func (d *dispersal) settled() bool {
	for i := range d.owners {
		var sum merkle.Fingerprint
		for k, id := range d.ownersIn(i) {
			s, _ := d.store[id].Index().Sum(d.part(i))
			if k > 0 && s != sum {
				return false
			}
			sum = s
		}
	}
	return true
}

func (d *dispersal) untilSettled(within time.Duration) {
	d.t.Helper()
	for start := time.Now(); !d.settled(); time.Sleep(time.Millisecond) {
		require.LessOrEqual(d.t, time.Since(start), within, "not settled")
	}
}

// write writes a key at one of those who hold it.
func (d *dispersal) write(r *rand.Rand, key string, e uint64) {
	owners := d.ownersIn(d.partOf(key))
	d.store[owners[r.IntN(len(owners))]].add(key, e)
}

func (d *dispersal) partOf(key string) int {
	at := d.hasher.Position(key)
	for i := range d.owners {
		if d.part(i).Contains(at) {
			return i
		}
	}
	return -1
}

// nowhereElse requires that nodes have keys only that they hold.
func (d *dispersal) nowhereElse() {
	d.t.Helper()
	for _, id := range d.ids {
		held := d.of(id)
		for key := range d.store[id].content() {
			require.True(d.t, contains(held, d.hasher.Position(key)), "%s has %s", id, key)
		}
	}
}

var five = []transport.NodeID{"a", "b", "c", "d", "e"}

func TestEachKeyIsWithThoseWhoHoldItAndNowhereElse(t *testing.T) {
	for name, link := range map[string]mem.Link{
		"quiet": {Latency: 5 * time.Millisecond},
		"lossy": {Latency: 5 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.2, Duplicate: 0.1, Reorder: 0.1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				d := disperse(t, &mem.Network{Link: link, Seed: 1}, newLayout(8, 3, five...), nil, five...)
				r := rand.New(rand.NewPCG(1, 1))
				for i := range 2000 {
					d.write(r, fmt.Sprint("key ", r.IntN(500)), uint64(i))
					if i%100 == 0 {
						time.Sleep(50 * time.Millisecond)
					}
				}
				d.untilSettled(5 * time.Minute)
				d.nowhereElse()
				keys := 0
				for _, id := range five {
					keys += len(d.store[id].content())
				}
				require.Equal(t, 3*len(d.everything()), keys)
			})
		})
	}
}

func (d *dispersal) everything() map[string]bool {
	all := map[string]bool{}
	for _, id := range d.ids {
		for key := range d.store[id].content() {
			all[key] = true
		}
	}
	return all
}

// Without loss deltas alone bring it all about, and each goes to two others once.
func TestDeltasGoToThoseWhoShareTheirKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		d := disperse(t, &mem.Network{Link: mem.Link{Latency: 10 * time.Millisecond}}, newLayout(8, 3, five...), func(l *Loop) { l.Interval = time.Hour }, five...)
		time.Sleep(300 * time.Millisecond)
		d.forget()
		for i := range 300 {
			d.write(rand.New(rand.NewPCG(uint64(i), 1)), fmt.Sprint(i), 1)
		}
		d.untilSettled(time.Second)
		time.Sleep(time.Second)
		sent := 0
		d.count(func(x Exchange) bool {
			sent += x.KeysSent
			return x.Strategy != Deltas
		})
		require.GreaterOrEqual(t, sent, 600)
		require.LessOrEqual(t, sent, 1200, "those who get it pass it on, but not to where it came from")
		d.nowhereElse()
	})
}

// A peer with which nothing is shared is left alone, and waited for by nobody. When something
// is, it is reconciled with.
func TestAStrangerIsLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newLayout(2, 1, "a", "b")
		p.move(0, "a", "c")
		d := disperse(t, &mem.Network{}, p, nil, "a", "b", "c")
		d.store["a"].add("k0", 1)
		for i := range 100 {
			d.store["a"].add(fmt.Sprint(i), 1) // also what it does not hold
		}
		d.ready("a")
		d.ready("b") // who waits for nobody
		time.Sleep(10 * time.Second)
		require.Empty(t, d.store["b"].content())
		require.Zero(t, d.count(func(x Exchange) bool { return x.Peer == "b" }))
		x, err := d.loops["a"].Exchange(t.Context(), "b")
		require.NoError(t, err)
		require.Equal(t, Exchange{Peer: "b"}, x)
		for _, s := range d.loops["a"].Stats().Peers {
			require.Equal(t, s.Peer == "c", s.CaughtUp)
			require.Zero(t, s.Failures)
			require.Zero(t, s.Pending)
		}
		p.move(1, "a", "b")
		time.Sleep(2 * time.Second)
		require.True(t, d.settled())
		require.NotEmpty(t, d.store["b"].content())
		d.ready("b")
		require.True(t, d.loops["a"].Stats().Peers[0].CaughtUp)
		d.store["a"].add(anyIn(d.layout, 1), 2)
		time.Sleep(100 * time.Millisecond)
		require.True(t, d.settled(), "deltas come too")
	})
}

func (d *dispersal) ready(id transport.NodeID) {
	d.t.Helper()
	soon, cancel := context.WithTimeout(d.t.Context(), time.Minute)
	defer cancel()
	require.NoError(d.t, d.loops[id].Ready(soon, Need{}))
}

// anyIn is a key of a part.
func anyIn(p *layout, part int) string {
	h := merkle.NewHasher(secret)
	for i := 0; ; i++ {
		if key := fmt.Sprint("any ", i); p.part(part).Contains(h.Position(key)) {
			return key
		}
	}
}

// A stranger that is down is nobody to be waited for, and nothing is said to fail.
func TestAStrangerDoesNotFail(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) {
			l.Interval = time.Second
			l.Shared = func(transport.NodeID) []merkle.Range { return nil }
		}, "b")
		r.set(func() { delete(r.there, "b") })
		r.run()
		_, err := r.loop.ExchangeRanges(t.Context(), "b", []merkle.Range{merkle.Full})
		require.ErrorIs(t, err, transport.ErrUnreachable)
		time.Sleep(time.Minute)
		soon, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.NoError(t, r.loop.Ready(soon, Need{}))
		require.LessOrEqual(t, r.called("b"), 2)
		require.EqualValues(t, 1, r.stats("b").Failures)
		require.Zero(t, r.loop.peers["b"].failures, "there is nothing to try again")
	})
}

// A node that is to hold a part has it sent by one who does, before it is said to.
func TestANodeGainsAPart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newLayout(8, 3, five...)
		d := disperse(t, &mem.Network{Link: mem.Link{Latency: time.Millisecond}}, p, nil, five...)
		for i := range 2000 {
			d.write(rand.New(rand.NewPCG(uint64(i), 1)), fmt.Sprint(i), 1)
		}
		d.untilSettled(time.Minute)
		p.lend(3, "f")
		d.add("f", nil, "a", "b", "c", "d", "e", "f")
		d.run("f")
		time.Sleep(5 * time.Second)
		require.Empty(t, d.store["f"].content(), "nothing is shared with it")
		x, err := d.loops["f"].ExchangeRanges(t.Context(), d.ownersIn(3)[1], []merkle.Range{d.part(3)})
		require.NoError(t, err)
		require.Equal(t, FullState, x.Strategy)
		_, n := d.store[d.ownersIn(3)[1]].Index().Sum(d.part(3))
		require.Equal(t, n, x.KeysReceived)
		require.Len(t, d.store["f"].content(), n)
		// the others do not have it among their peers, so its own rounds bring what comes later
		p.move(3, append(d.ownersIn(3), "f")...)
		d.store[d.ownersIn(3)[0]].add(anyIn(p, 3), 9)
		d.untilSettled(time.Minute)
		require.Equal(t, []uint64{9}, d.store["f"].get(anyIn(p, 3)))
	})
}

// What is handed over goes one way, whatever differs: more there, more here, or other states of the same keys.
func TestAHandoverTakesNothing(t *testing.T) {
	for _, keys := range [][2]int{{1, 3000}, {3000, 1}, {3000, 3000}, {0, 50}, {50, 0}, {1200, 1200}} {
		bubble(t, func(t *testing.T) {
			p := newLayout(2, 1, "a", "b")
			d := disperse(t, &mem.Network{}, p, func(l *Loop) { l.MaxMessage = 8 << 10 }, "a", "b")
			p.lend(0, "b")
			want := map[string][]uint64{}
			for from, id := range []transport.NodeID{"a", "b"} {
				for i := range keys[from] {
					d.store[id].add(fmt.Sprint(i+from*keys[0]/2), uint64(from+1))
				}
			}
			for key, all := range d.store["a"].content() {
				want[key] = slices.Clone(all)
			}
			whole := []merkle.Range{d.part(0), d.part(1)}
			x, err := d.loops["a"].HandOver(t.Context(), "b", whole)
			require.NoError(t, err)
			require.Zero(t, x.KeysReceived)
			require.Equal(t, want, d.store["a"].content(), "nothing came")
			for key, all := range want {
				require.Subset(t, d.store["b"].get(key), all, key)
			}
			d.stop()
		})
	}
}

// ExchangeRanges is not done as long as a key is refused, and does not pass for an exchange of
// all that is shared.
func TestExchangeOfRangesIsAllOrAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		refused := anyIn(newLayout(2, 1, "a"), 0)
		r := newRig(t, nil, "b")
		half := []merkle.Range{newLayout(2, 1, "a").part(0)}
		r.peer("b").refuse = func(key string) error {
			if key == refused {
				return errRefused
			}
			return nil
		}
		for i := range 100 {
			r.store.add(fmt.Sprint("any ", i), 1)
		}
		x, err := r.loop.ExchangeRanges(t.Context(), "b", half)
		incomplete, ok := errors.AsType[*IncompleteError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, &IncompleteError{Peer: "b", Refused: 1}, incomplete)
		require.Equal(t, err, x.Err)
		r.peer("b").refuse = nil
		_, err = r.loop.ExchangeRanges(t.Context(), "b", half)
		require.NoError(t, err)
		here, _ := r.store.Index().Sum(half[0])
		there, _ := r.peer("b").Index().Sum(half[0])
		require.Equal(t, here, there)
		require.Less(t, len(r.peer("b").content()), 100)
		for _, none := range [][]merkle.Range{nil, {{From: 2, To: 1}}} {
			calls := r.called("b")
			_, err = r.loop.ExchangeRanges(t.Context(), "b", none)
			require.NoError(t, err)
			require.Equal(t, calls, r.called("b"))
		}
	})
}

// What was dropped is made up for by a reconciliation of all that is shared, whatever is
// exchanged by hand before it.
func TestAnExchangeOfRangesIsNoReconciliation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil, "b")
		r.set(func() { r.fault = failing(transport.ErrUnreachable) })
		r.run()
		p := newLayout(2, 1, "a")
		r.store.add(anyIn(p, 1), 1)
		r.set(func() {
			r.fault = func(_ context.Context, _ transport.NodeID, _ string, serve func() ([]byte, error)) ([]byte, error) {
				time.Sleep(10 * time.Millisecond)
				return serve()
			}
		})
		_, err := r.loop.ExchangeRanges(t.Context(), "b", []merkle.Range{p.part(0)})
		require.NoError(t, err)
		require.True(t, r.stats("b").Closed)
		require.False(t, r.stats("b").CaughtUp)
		r.agree("b", time.Second)
		require.NoError(t, r.loop.Ready(t.Context(), Need{}))
	})
}

// Nothing of it is left to deltas that are on their way.
func TestAnExchangeOfRangesDoesNotWaitForDeltas(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.BufferAge = time.Hour }, "b")
		r.run()
		r.set(func() {
			r.fault = func(ctx context.Context, _ transport.NodeID, method string, serve func() ([]byte, error)) ([]byte, error) {
				if method == methodDeltas {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				return serve()
			}
		})
		r.store.add("k", 1)
		time.Sleep(10 * time.Millisecond)
		require.True(t, r.loop.holds("b", "k"))
		_, err := r.loop.ExchangeRanges(t.Context(), "b", []merkle.Range{merkle.Full})
		require.NoError(t, err)
		require.Equal(t, []uint64{1}, r.peer("b").get("k"))
	})
}

// Where a stream of some ranges broke off is of no use for others.
func TestAStreamOfOtherRangesBeginsAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, func(l *Loop) { l.MaxMessage = small }, "b")
		for i := range 2000 {
			r.peer("b").add(fmt.Sprint(i), 1)
		}
		p := newLayout(2, 1, "a")
		streams := 0
		r.set(func() {
			r.fault = func(_ context.Context, _ transport.NodeID, method string, serve func() ([]byte, error)) ([]byte, error) {
				if method == methodStream {
					if streams++; streams == 10 {
						return nil, errBusy
					}
				}
				return serve()
			}
		})
		_, err := r.loop.ExchangeRanges(t.Context(), "b", []merkle.Range{p.part(1)})
		require.Error(t, err)
		require.NotZero(t, r.loop.cursor)
		x, err := r.loop.ExchangeRanges(t.Context(), "b", []merkle.Range{p.part(0)})
		require.NoError(t, err)
		_, n := r.peer("b").Index().Sum(p.part(0))
		require.Equal(t, n, x.KeysReceived)
		require.Equal(t, FullState, x.Strategy)
		require.Zero(t, x.Different, "all of it came by the stream")
	})
}

func TestLazyWithShared(t *testing.T) {
	l := &Loop{Store: newSets(), Caller: callerFunc(nil), Propagation: Lazy, Shared: func(transport.NodeID) []merkle.Range { return nil }}
	require.ErrorContains(t, l.Run(t.Context()), "Lazy")
	_, err := l.ExchangeRanges(t.Context(), "b", []merkle.Range{merkle.Full})
	require.ErrorContains(t, err, "Lazy")
}

// Whatever is written, lost and moved: who holds a key in the end has all that was written to
// it, and nobody was ever sent a key that it never held.
func TestPartsMoveWhileTheyAreWrittenTo(t *testing.T) {
	for seed := range uint64(15) {
		bubble(t, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 7))
			p := newLayout(8, 3, five...)
			d := disperse(t, &mem.Network{Link: mem.Link{Latency: 3 * time.Millisecond, Loss: 0.05, Reorder: 0.1}, Seed: seed}, p, func(l *Loop) {
				l.MaxMessage = []int{small, 1 << 14}[r.IntN(2)]
			}, five...)
			written := map[string][]uint64{}
			for i := range 400 {
				key := fmt.Sprint("key ", r.IntN(150))
				written[key] = append(written[key], uint64(i))
				d.write(r, key, uint64(i))
				time.Sleep(time.Duration(r.IntN(10)) * time.Millisecond)
				if i%80 == 79 {
					d.moveOne(r)
				}
			}
			d.untilSettled(10 * time.Minute)
			for key, all := range written {
				for _, id := range d.ownersIn(d.partOf(key)) {
					require.Equal(t, all, d.store[id].get(key), "seed %d: %s at %s", seed, key, id)
				}
			}
		})
	}
}

// moveOne has a part move: first it has one owner more, who gets it from the others, and then
// one of those is none any more, who hands over what it had.
func (d *dispersal) moveOne(r *rand.Rand) {
	part := r.IntN(len(d.owners))
	owners := d.ownersIn(part)
	fresh := five[r.IntN(len(five))]
	if slices.Contains(owners, fresh) {
		return
	}
	d.move(part, append(slices.Clone(owners), fresh)...)
	at := []merkle.Range{d.part(part)}
	d.insist(fresh, owners[0], at)
	left := owners[r.IntN(len(owners))]
	rest := slices.DeleteFunc(append(slices.Clone(owners), fresh), func(id transport.NodeID) bool { return id == left })
	d.move(part, rest...)
	for _, id := range rest {
		d.give(left, id, at)
	}
}

// give hands over until that succeeds.
func (d *dispersal) give(from, to transport.NodeID, at []merkle.Range) {
	for range 100 {
		if _, err := d.loops[from].HandOver(d.ctx, to, at); err == nil {
			return
		}
	}
	d.t.Errorf("%s does not get rid of what is %s's", from, to)
}

// insist exchanges until that succeeds.
func (d *dispersal) insist(from, with transport.NodeID, at []merkle.Range) {
	for range 100 {
		if _, err := d.loops[from].ExchangeRanges(d.ctx, with, at); err == nil {
			return
		}
	}
	d.t.Errorf("%s and %s do not come together", from, with)
}
