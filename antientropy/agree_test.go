package antientropy

import (
	"flag"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// every how many states it is looked at what comes of them in the end.
const every = 7

// explore goes all ways, the short ones first, to so many states at most, and returns to
// how many.
func explore(t *testing.T, start *polity, duplicates, most int, restarts bool) (states int) {
	type way struct {
		p    *polity
		path []string
	}
	moves := start.moves(duplicates, restarts)
	seen := map[string]bool{start.key(): true}
	level := []way{{p: start}}
	for len(level) > 0 {
		var next []way
		for _, w := range level {
			for _, m := range moves {
				q := w.p.copied()
				if !m.do(q) {
					continue
				}
				k := q.key()
				if seen[k] {
					continue
				}
				seen[k] = true
				path := append(slices.Clone(w.path), m.name)
				require.Empty(t, q.wrong(), strings.Join(path, "\n"))
				if len(seen)%every == 0 {
					require.Empty(t, q.stuck(), strings.Join(path, "\n"))
				}
				if next = append(next, way{q, path}); len(seen) >= most {
					return len(seen)
				}
			}
		}
		level = next
	}
	return len(seen)
}

func epochs(members ...string) (all []Epoch) {
	for i, m := range members {
		e := Epoch{Number: uint64(i + 1)}
		for _, id := range strings.Fields(m) {
			e.Members = append(e.Members, transport.NodeID(id))
		}
		all = append(all, e)
	}
	return all
}

// wander goes one long way. What is likely changes on it, so that now and then nodes hear
// nothing of one another for long, or nothing arrives, or all learn of another epoch.
func wander(p *polity, seed uint64, duplicates int, restarts bool, look func(p *polity, path []string)) {
	r := rand.New(rand.NewPCG(seed, 0))
	kinds := make(map[string][]move)
	for _, m := range p.moves(duplicates, restarts) {
		kind, _, _ := strings.Cut(m.name, " ")
		kinds[kind] = append(kinds[kind], m)
	}
	names, path := slices.Sorted(maps.Keys(kinds)), []string(nil)
	for range 2 + r.IntN(8) {
		var likely []move
		for _, k := range names {
			for range []int{0, 0, 0, 1, 3}[r.IntN(5)] * len(kinds[k]) {
				likely = append(likely, kinds[k][r.IntN(len(kinds[k]))])
			}
		}
		for range 2 + r.IntN(20) {
			if len(likely) == 0 {
				break
			}
			if m := likely[r.IntN(len(likely))]; m.do(p) {
				path = append(path, m.name)
				look(p, path)
			}
		}
	}
}

type history struct {
	name   string
	epochs []Epoch
	ids    []transport.NodeID
}

func histories() []history {
	return []history{
		{"the one that proposes leaves", epochs("a b c", "b c"), []transport.NodeID{"a", "b", "c"}},
		{"another proposes", epochs("b c", "a b c"), []transport.NodeID{"a", "b", "c"}},
		{"one is replaced", epochs("a b", "b c"), []transport.NodeID{"a", "b", "c"}},
		{"one leaves and comes back", epochs("a b c", "b c", "a b c"), []transport.NodeID{"a", "b", "c"}},
		{"a guest", epochs("a b", "b"), []transport.NodeID{"a", "b", "g"}},
		{"five", epochs("a b c", "b c d", "c d e"), []transport.NodeID{"a", "b", "c", "d", "e"}},
	}
}

var states = flag.Int("states", 1000, "how many states of agreeing nodes TestAgreeing looks at, in each kind of history")

// script goes one way move by move.
func script(t *testing.T, h history, lines string) *polity {
	p := newPolity(first, h.epochs, 1, h.ids...)
	moves := p.moves(3, true)
	for _, name := range strings.Split(lines, "; ") {
		i := slices.IndexFunc(moves, func(m move) bool { return m.name == name })
		require.True(t, i >= 0 && moves[i].do(p), name)
		require.Empty(t, p.wrong(), name)
	}
	require.Empty(t, p.stuck())
	return p
}

// What went wrong once, on the way here.
func TestTrap26_AgreeingInNarrowPlaces(t *testing.T) {
	back := history{epochs: epochs("a b c", "b c", "a b c"), ids: []transport.NodeID{"a", "b", "c"}}
	for name, c := range map[string]struct {
		history
		lines string
	}{
		"one that was left out has something to say when the others are about to go on without it": {back,
			"collect a; ask a; answer a; ask a; answer a; ask a; answer a; ask a; answer a; lose a; learn b; collect b; learn c; ask b; answer b; learn c; ask a; answer a"},
		"and one that was not knows it": {back,
			"collect a; ask a; answer a; ask a; answer a; ask a; answer a; ask a; answer a; round a c; learn b; collect b; learn b"},
		"one that was left out has decided something that the others have not": {back,
			"decide a; stop a; learn b; learn c; decide b; stop b; learn a; learn a; learn c; round c a"},
		"the only one with a record tells a new one, and loses it": {
			history{epochs: epochs("b c", "a b c"), ids: []transport.NodeID{"a", "b", "c"}},
			"decide b; restart a; learn a; learn b; round a b; restart b; collect a; round b c; round c b"},
		"whoever had the record has lost everything, each after the other was told": {
			history{epochs: epochs("a b", "b c"), ids: []transport.NodeID{"a", "b", "c"}},
			"decide a; round c a; restart a; round a c; restart c; learn a; round c a; learn c; round b a"},
		"the only one with a record learned of it before it knew of anything else": {
			history{epochs: epochs("b c", "a b c"), ids: []transport.NodeID{"a", "b", "c"}},
			"decide b; learn a; learn b; decide a; stop a; restart b; round b a; round c b"},
		"one that has lost everything is filled by somebody who was away": {
			history{epochs: epochs("a b", "b"), ids: []transport.NodeID{"a", "b", "g"}},
			"learn b; learn a; collect b; round g b; restart b; round a b; round b a; round b g; round a b"},
		"one that proposes now had promised what another has decided": {
			history{epochs: epochs("a b c", "b c"), ids: []transport.NodeID{"a", "b", "c"}},
			"decide a; round a c; learn b; collect b; round b c"},
		"one that proposes now hears first of a promise, and not of what was decided": {
			history{epochs: epochs("b c", "a b c"), ids: []transport.NodeID{"a", "b", "c"}},
			"decide b; ask b; answer b; ask b; answer b; stop b; learn a; learn c; release a; learn b; round c b"},
	} {
		t.Run(name, func(t *testing.T) { script(t, c.history, c.lines) })
	}
}

// The one that proposes decides something, loses everything before anybody hears of it,
// and has something else decided. Whatever it said in its former life arrives meanwhile,
// in whatever order: the others do not go different ways.
func TestTrap26_WhatAFormerLifeSaidArrivesLate(t *testing.T) {
	h := history{epochs: epochs("a b c"), ids: []transport.NodeID{"a", "b", "c"}}
	const most = 100
	p := newPolity(first, h.epochs, 1, h.ids...)
	for p.collect(0); p.nodes[0].store.at == first; {
		require.True(t, p.answer(0) || p.ask(0, most))
	}
	for range 2 {
		require.True(t, p.delay(0, most))
	}
	require.True(t, p.restart(0) && p.round(0, 1))
	late := len(p.sent)
	require.Equal(t, 6, late)
	for ; p.nodes[0].store.at == first; require.True(t, p.collect(0) || p.answer(0) || p.ask(0, most)) {
		for i := range late * late {
			q := p.copied()
			q.again(i / late)
			q.again(i % late)
			for q.answer(0) || q.ask(0, most) {
			}
			require.Empty(t, q.wrong(), "%d %v, %v", len(p.sent)-late, p.sent[i/late], p.sent[i%late])
			require.Empty(t, q.stuck())
		}
	}
}

// What was prepared in an epoch is not concluded in the next one.
func TestTrap26_ACollectionEndsWithItsEpoch(t *testing.T) {
	h := history{epochs: epochs("b c", "a b c"), ids: []transport.NodeID{"a", "b", "c"}}
	for _, stage := range []string{"", "; ask b", "; ask b; answer b", "; ask b; answer b; ask b"} {
		p := script(t, h, "collect b"+stage+"; learn b")
		b := p.nodes[1]
		for p.answer(1) || p.ask(1, 0) {
		}
		require.Equal(t, first, b.store.at, stage)
		require.Nil(t, b.leads)
	}
}

// Whatever is lost, comes twice or stops, and however epochs change meanwhile: members
// that no epoch leaves out never go different ways, are never emptied, and all come
// to one generation in the end.
func TestAgreeing(t *testing.T) {
	for _, h := range histories() {
		t.Run(h.name, func(t *testing.T) {
			for _, duplicates := range []int{0, 2} {
				n := explore(t, newPolity(first, h.epochs, 1, h.ids...), duplicates, *states, false)
				t.Log(n, "states with", duplicates, "requests that come twice")
			}
			for seed := range uint64(4 * *states) {
				p := newPolity(first, h.epochs, 1, h.ids...)
				if seed%3 == 0 { // something is promised, of which nothing came yet
					p.begin(4+int(seed/3)%7, 3)
				}
				var way []string
				wander(p, seed, 3, seed%4 == 0, func(p *polity, path []string) {
					way = path
					if wrong := p.wrong(); wrong != "" {
						require.Fail(t, wrong, "seed %d\n%s", seed, strings.Join(path, "\n"))
					}
				})
				if seed%2 == 0 {
					require.Empty(t, p.stuck(), "seed %d\n%s", seed, strings.Join(way, "\n"))
				}
			}
		})
	}
}
