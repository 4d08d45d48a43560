package ring

import (
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/eventual-go/eventual/transport"
)

var (
	states = flag.Int("states", 2_000, "how many states of each change of a ring are visited")
	walks  = flag.Int("walks", 100, "how many random walks through changes of rings there are")
)

var transitions = []struct {
	name          string
	before, after string
}{
	{"1 to 2", "a", "ab"},
	{"2 to 1", "ab", "a"},
	{"2 to 3", "ab", "abc"},
	{"one of 2", "ab", "ac"},
	{"3 to 4", "abc", "abcd"},
	{"4 to 3", "abcd", "abc"},
	{"replaced", "abc", "abd"},
	{"all others", "ab", "cd"},
	{"3 to 5", "abc", "abcde"},
	{"5 to 7", "abcde", "abcdefg"},
}

func named(ids string) (out []Member) {
	for _, id := range ids {
		out = append(out, Member{ID: transport.NodeID(string(id)), Weight: 1})
	}
	return out
}

// aWorld is one in which an operator has just decided on a change, and told one node.
func aWorld(t testing.TB, before, after string) *world {
	r := newRing(t, 1, len(before), named(before))
	joint := change(t, r, named(after), len(after))
	var come []transport.NodeID
	for _, m := range joint.nodes {
		come = append(come, m.ID)
	}
	w := newWorld(r, come...)
	w.know(joint)
	s := w.node("a")
	require.NoError(t, s.t.Adopt(joint, s.save))
	return w
}

// explore visits the states that a world can come to, the nearest first. It returns how many,
// whether these are all, and what is wrong with one, with the way there.
func explore(w *world, most int) (n int, all bool, trace []string, err error) {
	type visit struct {
		w     *world
		trace []string
	}
	seen := map[string]bool{w.key(): true}
	queue := []visit{{w, nil}}
	for len(queue) > 0 && n < most {
		v := queue[0]
		queue = queue[1:]
		n++
		for _, m := range v.w.moves(1, n%16 == 0 || len(v.w.nodes) < 4) {
			next := v.w.clone()
			m.do(next)
			trace := append(slices.Clip(v.trace), m.name)
			if err := next.look(); err != nil {
				return n, false, trace, err
			}
			if k := next.key(); !seen[k] {
				seen[k] = true
				queue = append(queue, visit{next, trace})
			}
		}
	}
	return n, len(queue) == 0, nil, nil
}

// Write at a majority of the old owners, change them, read at a majority: the write is visible, or
// the read is refused, whatever ring the writer and the reader know.
func TestTrap19_WhatWasAcknowledgedIsSeenOrRefused(t *testing.T) {
	for _, c := range transitions {
		n, all, trace, err := explore(aWorld(t, c.before, c.after), *states)
		require.NoError(t, err, "%s: %s", c.name, strings.Join(trace, "\n"))
		t.Logf("%-10s %d states, all: %v", c.name, n, all)
	}
}

// The same along random ways, with several changes one after the other, aborts, crashes and several
// reconciliations at once.
func TestTrap19_RandomWalks(t *testing.T) {
	ends := 0
	for seed := range *walks {
		trace, settled, err := walk(t, uint64(seed), 400)
		require.NoError(t, err, "seed %d: %s", seed, strings.Join(trace, "\n"))
		if settled > 0 {
			ends++
		}
	}
	require.Greater(t, ends, *walks/2, "hardly any change is ever over")
}

func walk(t testing.TB, seed uint64, steps int) (trace []string, settled int, err error) {
	rnd := rand.New(rand.NewPCG(seed, 19))
	c := transitions[rnd.IntN(len(transitions))]
	w := aWorld(t, c.before, c.after)
	for _, m := range named("abcdefg") {
		w.node(m.ID)
	}
	for range steps {
		all := w.moves(3, rnd.IntN(10) == 0)
		if rnd.IntN(40) == 0 {
			all = append(all[:0], move{"the operator decides", func(w *world) { w.operate(rnd) }})
		}
		if len(all) == 0 {
			all = append(all, move{"the operator decides", func(w *world) { w.operate(rnd) }})
		}
		m := all[rnd.IntN(len(all))]
		m.do(w)
		trace = append(trace, m.name)
		if err := w.look(); err != nil {
			return trace, settled, err
		}
	}
	for _, r := range w.rings {
		if !r.changing && r.epoch > 1 {
			settled++
		}
	}
	return trace, settled, nil
}

// operate decides on another change, or on the end of one. It keeps to one change at a
// time, as operators must.
func (w *world) operate(rnd *rand.Rand) {
	latest := w.rings[0]
	for _, s := range w.nodes {
		if s.t.ring != nil && s.t.ring.epoch > latest.epoch {
			latest = s.t.ring
		}
	}
	var next *Ring
	if latest.changing {
		next, _ = latest.Abort()
	} else {
		ids := "abcdefg"
		n := 1 + rnd.IntN(5)
		at := rnd.IntN(len(ids) - n + 1)
		next, _ = latest.Change(named(ids[at:at+n]), n)
	}
	for _, m := range named("abcdefg") {
		s := w.node(m.ID)
		if s.t.ring != nil && s.t.ring.print == latest.print && s.t.Adopt(next, s.save) == nil {
			w.know(next)
			return
		}
	}
}
