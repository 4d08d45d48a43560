package antientropy

import (
	"context"
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

// An imagined peer is written to at each moment, everywhere. Of each position it is known up to when all that it held
// is here; what exchanges bring, which may overlap, is drawn by lot.
type imagined struct {
	coverage
	t    *testing.T
	r    *rand.Rand
	now  int
	here []int  // by position: all that the peer held then
	left []bool // what the next one insists on
}

func moment(i int) time.Time { return time.Unix(int64(i), 0) }

// exchange is one with what is shared, within which others may begin and end.
func (m *imagined) exchange(shared []merkle.Range, depth int) {
	m.begin(shared)
	m.now++
	began, before, voids, insist, left := m.now, m.before, m.voids, slices.Clone(m.left), make([]bool, len(m.left))
	fails, rest := m.r.IntN(4) == 0, false
	for i := range m.here {
		switch {
		case !contains(shared, merkle.Position(i)) || fails && m.r.IntN(2) == 0:
		case m.r.IntN(3) == 0 && !insist[i]:
			left[i], rest = true, true
		default:
			m.here[i] = max(m.here[i], began)
		}
		switch {
		case depth < 2 && m.r.IntN(30) == 0:
			m.exchange(shared, depth+1)
		case m.r.IntN(60) == 0: // a position is given away
			lost := merkle.Position(m.r.IntN(len(m.here)))
			m.here[lost] = 0
			m.lose([]merkle.Range{{From: lost, To: lost}})
		}
	}
	m.now++
	if fails || voids != m.voids {
		return
	}
	m.complete(moment(began), before, rest)
	for i := range m.left {
		m.left[i] = left[i] || m.left[i] && !insist[i]
	}
}

// What is said to be covered is here, whatever exchanges leave, however they overlap, and whatever is shared.
func TestCoverageClaimsNoMoreThanIsHere(t *testing.T) {
	claims := 0
	for seed := range uint64(3000) {
		m := &imagined{t: t, r: rand.New(rand.NewPCG(seed, 4)), here: make([]int, 8), left: make([]bool, 8)}
		shared := []merkle.Range{{From: 0, To: 7}}
		for range 20 {
			if m.r.IntN(4) == 0 {
				from := merkle.Position(m.r.IntN(8))
				shared = []merkle.Range{{From: from, To: from + merkle.Position(m.r.IntN(8-int(from)))}}
			}
			m.exchange(shared, 0)
			for from := range merkle.Position(8) {
				at := merkle.Range{From: from, To: from + merkle.Position(m.r.IntN(8-int(from)))}
				since := m.of([]merkle.Range{at})
				if since.IsZero() {
					continue
				}
				claims++
				for i := at.From; i <= at.To; i++ {
					require.GreaterOrEqual(t, m.here[i], int(since.Unix()), "seed %d, position %d", seed, i)
				}
			}
		}
	}
	require.Greater(t, claims, 10_000)
}

// A log is what was at a node, since when.
type log struct {
	mu  sync.Mutex
	all []logged
}

type logged struct {
	key     string
	element uint64
	since   time.Time
}

func (l *log) add(key string, elements ...uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range elements {
		l.all = append(l.all, logged{key, e, time.Now()})
	}
}

// lacking is how much of what was at a node by some time a store does not have.
func (l *log) lacking(s *sets, by time.Time) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, x := range l.all {
		if x.since.Before(by) && !slices.Contains(s.get(x.key), x.element) {
			n++
		}
	}
	return n
}

// Nodes that are written to all along exchange over links that lose, reorder and are slow, and leave keys to deltas.
// What a peer held when it was covered is here, each time. The control: what it held when the
// last exchange ended is not.
func TestWhatIsCoveredIsHere(t *testing.T) {
	kinds(t, func(t *testing.T, kind Propagation) {
		bubble(t, func(t *testing.T) {
			logs := map[transport.NodeID]*log{"a": {}, "b": {}, "c": {}}
			net := &mem.Network{Seed: 5, Link: mem.Link{Latency: 80 * time.Millisecond, Jitter: 200 * time.Millisecond, Loss: 0.03, Reorder: 0.1}}
			c := startCluster(t, net, func(l *Loop) {
				l.Propagation, l.Timeout, l.MaxMessage, l.Interval = kind, time.Second, 4000, 2*time.Second
			}, "a", "b", "c")
			for id, s := range c.store {
				s.mu.Lock()
				s.onNews = func(key string, novel []byte) {
					elements, _ := decodeSet(novel)
					logs[id].add(key, elements...)
				}
				s.mu.Unlock()
			}
			random, after, covered, moved := rand.New(rand.NewPCG(1, 2)), 0, 0, map[time.Time]bool{}
			for i := range uint64(4000) {
				id, key := c.ids[random.IntN(3)], fmt.Sprint(random.IntN(40))
				logs[id].add(key, i)
				c.store[id].add(key, i)
				time.Sleep(time.Duration(random.IntN(20)) * time.Millisecond)
				if i%20 > 0 {
					continue
				}
				id = c.ids[random.IntN(3)]
				for _, p := range c.loops[id].Stats().Peers {
					require.Zero(t, logs[p.Peer].lacking(c.store[id], p.Covered), "%s of %s since %v", id, p.Peer, p.Covered)
					after += logs[p.Peer].lacking(c.store[id], p.LastSync)
					if !p.Covered.IsZero() {
						covered++
						moved[p.Covered] = true
					}
				}
			}
			require.Greater(t, covered, 300)
			require.Greater(t, len(moved), 20, "it goes on while there are writes")
			require.NotZero(t, after, "the control")
			t.Log(len(moved), "times;", after, "elements were lacking by LastSync")
			c.untilAgreed(time.Minute)
		})
	})
}

// of is what is said of a peer that is there, or not.
func coveredOf(l *Loop, id transport.NodeID) time.Time { return l.covered()[id] }

func exchanged(t *testing.T, r *rig) (began time.Time) {
	time.Sleep(time.Second)
	began = time.Now()
	_, err := r.loop.Exchange(t.Context(), "b")
	require.NoError(t, err)
	return began
}

func TestAnExchangeThatFailsHalfWayCoversNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil, "b")
		share(r.store, r.peer("b"))
		require.Zero(t, coveredOf(r.loop, "b"))
		r.peer("b").add("x", 1)
		began := exchanged(t, r)
		require.Equal(t, began, r.stats("b").Covered)
		for i := range 100 {
			r.peer("b").add(fmt.Sprint(i), 1)
			r.store.add(fmt.Sprint("own ", i), 1)
		}
		r.set(func() { r.fault = failing(transport.ErrUnreachable, methodPush) }) // after the pull
		_, err := r.loop.Exchange(t.Context(), "b")
		require.Error(t, err)
		require.NotEmpty(t, r.store.get("99"))
		require.Equal(t, began, r.stats("b").Covered)
		r.set(func() { r.fault = nil })
		began = exchanged(t, r)
		require.Equal(t, began, r.stats("b").Covered)
	})
}

// What an exchange leaves to deltas the next one brings: then the first is covered, and the second
// if it has left nothing else.
func TestWhatIsLeftToDeltasIsNotCovered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil, "b")
		r.there["b"].InFlight = func(transport.NodeID, string) bool { return true } // and they never come
		share(r.store, r.peer("b"))
		r.run()
		time.Sleep(20 * time.Second) // those that follow upon the first
		all := []time.Time{}
		for i := range 6 {
			r.peer("b").add(fmt.Sprint(i), 1)
			all = append(all, exchanged(t, r))
			since := r.stats("b").Covered
			_, here := r.store.content()[fmt.Sprint(i)]
			require.False(t, here, "it was left")
			if i > 0 {
				require.Equal(t, all[i-1], since)
			}
		}
		last := exchanged(t, r)
		require.Equal(t, last, r.stats("b").Covered)
		require.Len(t, r.store.content(), 7)
	})
}

func TestWhatIsRefusedIsNotCovered(t *testing.T) {
	none := func(key string) error {
		if key == "x" {
			return errRefused
		}
		return nil
	}
	for name, c := range map[string]struct {
		set     func(own, peer *sets)
		covered bool
	}{
		"refused here":     {func(own, peer *sets) { own.refuse = none }, false},
		"not loaded there": {func(own, peer *sets) { peer.broken = none }, false},
		"too large there":  {func(own, peer *sets) { peer.add("x", elements(1000)...) }, false},
		"refused there": {func(own, peer *sets) {
			peer.refuse = none
			own.add("y", 1)
			peer.refuse = func(string) error { return errRefused }
		}, true},
		"nothing":                     {func(own, peer *sets) {}, true},
		"nothing here, refused":       {func(own, peer *sets) { delete(own.keys, "both have it"); *own = *newFed(); own.refuse = none }, false},
		"nothing here, too large":     {func(own, peer *sets) { *own = *newFed(); peer.add("x", elements(1000)...) }, false},
		"nothing here, but all comes": {func(own, peer *sets) { *own = *newFed() }, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRig(t, func(l *Loop) { l.MaxMessage = small }, "b")
				share(r.store, r.peer("b"))
				r.peer("b").add("x", 1)
				c.set(r.store, r.peer("b"))
				began := exchanged(t, r)
				if c.covered {
					require.Equal(t, began, r.stats("b").Covered)
				} else {
					require.Zero(t, r.stats("b").Covered)
				}
			})
		})
	}
}

// Only an exchange with all that is shared covers anything, and only one that takes.
func TestExchangesOfPartsCoverNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRig(t, nil, "b")
		share(r.store, r.peer("b"))
		_, err := r.loop.ExchangeRanges(t.Context(), "b", []merkle.Range{merkle.Full})
		require.NoError(t, err)
		_, err = r.loop.HandOver(t.Context(), "b", []merkle.Range{merkle.Full})
		require.NoError(t, err)
		_ = tryRun(t, NewRound(r.peer("b"), RoundConfig{}), &Responder{Store: r.store}, 1<<20) // the peer's own
		require.Zero(t, coveredOf(r.loop, "b"))
	})
}

// Covered is what both hold: what comes to be shared is not until it was exchanged, nor is what was handed over, ever after.
func TestCoveredIsWhatIsShared(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := newLayout(4, 2, "a", "b")
		p.move(3, "a", "c")
		r := newRig(t, func(l *Loop) {
			l.Shared = func(peer transport.NodeID) []merkle.Range { return p.of("a", peer) }
		}, "b")
		share(r.store, r.peer("b"))
		began := exchanged(t, r)
		require.Equal(t, began, r.stats("b").Covered)
		p.move(3, "a", "b")
		require.Zero(t, r.stats("b").Covered, "a part was not compared")
		p.move(3, "a", "c")
		require.Equal(t, began, r.stats("b").Covered)
		p.move(2, "a", "c")
		require.Equal(t, began, r.stats("b").Covered, "less is shared")
		p.move(3, "a", "b")
		began = exchanged(t, r)
		require.Equal(t, began, r.stats("b").Covered)

		_, err := r.loop.HandOver(t.Context(), "b", []merkle.Range{p.part(2)})
		require.NoError(t, err)
		require.Equal(t, began, r.stats("b").Covered, "that is not shared")
		_, err = r.loop.HandOver(t.Context(), "b", []merkle.Range{p.part(3)})
		require.NoError(t, err)
		require.Zero(t, r.stats("b").Covered)

		r.set(func() { // a part is handed over while an exchange is under way
			r.fault = func(ctx context.Context, _ transport.NodeID, method string, serve func() ([]byte, error)) ([]byte, error) {
				r.loop.mu.Lock()
				r.loop.gave([]merkle.Range{p.part(3)})
				r.loop.mu.Unlock()
				return serve()
			}
		})
		exchanged(t, r)
		require.Zero(t, r.stats("b").Covered)
		r.set(func() { r.fault = nil })
		began = exchanged(t, r)
		require.Equal(t, began, r.stats("b").Covered)
	})
}

// Nothing is covered any more once the store was emptied, nor by exchanges that were under way; but by the one that
// emptied it, since that begins anew.
func TestWhoIsEmptiedHasNothingCovered(t *testing.T) {
	l := new(Loop)
	a, b := &driving{peer: l.peer("a"), began: moment(5)}, &driving{peer: l.peer("b"), began: moment(6)}
	for _, d := range []*driving{a, b} {
		d.covered.complete(moment(1), time.Time{}, false)
		d.before = d.covered.before
	}
	l.emptied(b)
	require.Zero(t, coveredOf(l, "a"))
	require.Zero(t, coveredOf(l, "b"))
	round := &Round{deferred: []merkle.Range{{From: 1, To: 1}}}
	l.covers(a, round)
	l.covers(b, round)
	require.Zero(t, coveredOf(l, "a"))
	require.Zero(t, coveredOf(l, "b"), "what it left nobody has brought")
	l.covers(b, &Round{})
	require.Equal(t, moment(6), coveredOf(l, "b"))
}

func TestRangesWithinOthers(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 0))
		some := func() (ranges []merkle.Range, set uint16) {
			for range r.IntN(4) {
				at := merkle.Range{From: merkle.Position(r.IntN(12))}
				at.To = at.From + merkle.Position(r.IntN(4))
				ranges = append(ranges, at)
			}
			ranges = joined(ranges)
			for i := range merkle.Position(16) {
				if contains(ranges, i) || len(ranges) == 0 {
					set |= 1 << i
				}
			}
			if len(ranges) == 0 {
				return nil, 1<<16 - 1
			}
			return ranges, set
		}
		a, as := some()
		b, bs := some()
		require.Equal(t, as&^bs == 0, within(a, b), "%v in %v", a, b)
		require.Equal(t, as&bs != 0, overlap(a, b), "%v and %v", a, b)
	}
}
