package faults

import (
	"cmp"
	"math/rand/v2"
	"time"

	"github.com/eventual-go/eventual/transport"
)

// A Random makes up scripts: faults that begin and end at random times, within
// bounds. When the script is over nothing of them is left, so that what must hold
// when a network is whole again can be asked then. It is for tests of properties:
// whatever the seed, it holds.
type Random struct {
	// Nodes are those that faults happen to. With fewer than two there are no faults of
	// links.
	Nodes []transport.NodeID

	// Length is when the last fault ends, at the latest. If zero, 30 seconds.
	Length time.Duration

	// Longest is how long a fault lasts at most. If zero, a third of Length.
	Longest time.Duration

	// Faults is how many there are. If zero, ten.
	Faults int

	// Worst bounds what a link is set to, and how slow a node is by Latency. If zero,
	// latency and jitter of 50 ms, loss, duplication and reordering of 0.2 each. Its
	// Delay is not used; the Bandwidth is between it and ten times it.
	Worst Link

	// Down has nodes go down too.
	Down bool
}

// Script makes up the script of a seed: always the same one.
func (r Random) Script(seed uint64) Script {
	g := generator{Random: r, rng: rand.New(rand.NewPCG(seed, 0xfa17))}
	g.Length = cmp.Or(bounded(r.Length), 30*time.Second)
	g.Longest = min(cmp.Or(max(r.Longest, 0), g.Length/3), g.Length)
	if r.Worst == (Link{}) {
		g.Worst = Link{Latency: 50 * time.Millisecond, Jitter: 50 * time.Millisecond, Loss: 0.2, Duplicate: 0.2, Reorder: 0.2}
	}
	var s Script
	for range cmp.Or(max(r.Faults, 0), 10) {
		s = append(s, g.fault()...)
	}
	return s
}

type generator struct {
	Random
	rng *rand.Rand
}

// fault makes up a fault, as two steps: it begins and it ends.
func (g *generator) fault() Script {
	begin := g.span(g.Length)
	end := begin + g.span(min(g.Longest, g.Length-begin))
	do, undo := g.kind()
	if do.Do == "" {
		return nil
	}
	do.At, undo.At = begin, end
	return Script{do, undo}
}

func (g *generator) kind() (do, undo Step) {
	kinds := []func() (Step, Step){g.freeze, g.slow}
	if g.Down {
		kinds = append(kinds, g.down)
	}
	if len(g.Nodes) > 1 {
		kinds = append(kinds, g.cut, g.cut, g.partition, g.partition, g.link, g.link, g.link)
	}
	if len(g.Nodes) == 0 {
		return do, undo
	}
	return kinds[g.rng.IntN(len(kinds))]()
}

func (g *generator) cut() (do, undo Step) {
	a, b := g.two()
	return Step{Do: "cut", From: a, To: b}, Step{Do: "restore", From: a, To: b}
}

func (g *generator) link() (do, undo Step) {
	a, b := g.two()
	w := g.Worst
	l := Link{
		Latency: g.span(w.Latency), Jitter: g.span(w.Jitter),
		Loss: g.probability(w.Loss), Duplicate: g.probability(w.Duplicate), Reorder: g.probability(w.Reorder),
		Burst: w.Burst,
	}
	if w.Bandwidth > 0 {
		l.Bandwidth = min(w.Bandwidth+g.rng.IntN(min(w.Bandwidth, maxSize/10)*9+1), maxSize)
	}
	return Step{Do: "link", From: a, To: b, Link: l}, Step{Do: "unlink", From: a, To: b}
}

func (g *generator) partition() (do, undo Step) {
	order := g.rng.Perm(len(g.Nodes))
	at := 1 + g.rng.IntN(len(order)-1)
	groups := make([][]transport.NodeID, 2)
	for i, k := range order {
		side := min(i/at, 1)
		groups[side] = append(groups[side], g.Nodes[k])
	}
	return Step{Do: "partition", Groups: groups}, Step{Do: "heal"}
}

func (g *generator) freeze() (do, undo Step) {
	id := g.one()
	return Step{Do: "freeze", From: id}, Step{Do: "thaw", From: id}
}

func (g *generator) slow() (do, undo Step) {
	id := g.one()
	return Step{Do: "slow", From: id, By: g.span(g.Worst.Latency)}, Step{Do: "slow", From: id}
}

func (g *generator) down() (do, undo Step) {
	id := g.one()
	return Step{Do: "down", From: id}, Step{Do: "up", From: id}
}

func (g *generator) one() transport.NodeID { return g.Nodes[g.rng.IntN(len(g.Nodes))] }

func (g *generator) two() (a, b transport.NodeID) {
	i, j := g.rng.IntN(len(g.Nodes)), g.rng.IntN(len(g.Nodes)-1)
	if j >= i {
		j++
	}
	return g.Nodes[i], g.Nodes[j]
}

// span is a random time, of few digits, which read well.
func (g *generator) span(most time.Duration) time.Duration {
	most = bounded(most)
	round := time.Duration(1)
	for round < most/1000 {
		round *= 10
	}
	return time.Duration(g.rng.Int64N(int64(most) + 1)).Truncate(round)
}

// probability is a random one in thousandths, which read well.
func (g *generator) probability(most float64) float64 {
	if !(most > 0) { // NaN too
		return 0
	}
	return float64(g.rng.IntN(int(min(most, 1)*1000)+1)) / 1000
}
