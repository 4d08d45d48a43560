package antientropy

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/eventual-go/eventual/merkle"
	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// The experiment of Enes et al., Efficient Synchronization of State-based CRDTs,
// ICDE 2019, section V: 15 nodes in a tree or in a mesh of degree 4, each of which
// updates one object 100 times and after each update sends to its neighbours what
// its strategy says. Counted are the elements sent: of a set, entries of a counter,
// keys of a map. Here all nodes update, send and receive in lockstep, and go on until
// all are equal, which the last updates need as many more turns for as the graph is
// wide.
//
//	go test ./antientropy -run '^$' -bench ICDE -benchtime 1x
//
// prints all of it.

const (
	icdeNodes = 15
	icdeTurns = 100
	icdeKeys  = 1000 // of the map
)

// cells are the state of all the workloads: numbers by number, the larger wins.
type cells map[uint64]uint64

// join returns what was new.
func (c cells) join(d cells) cells {
	novel := cells{}
	for k, v := range d {
		if v > c[k] {
			c[k], novel[k] = v, v
		}
	}
	return novel
}

func (c cells) equal(d cells) bool { return maps.Equal(c, d) }

// A workload is what a node updates in a turn.
type workload struct {
	name   string
	update func(node, turn int) cells
}

func workloads() []workload {
	all := []workload{
		{"GSet", func(node, turn int) cells { return cells{uint64(turn*icdeNodes + node): 1} }},
		{"GCounter", func(node, turn int) cells { return cells{uint64(node): uint64(turn + 1)} }},
	}
	for _, percent := range []int{10, 30, 60, 100} {
		all = append(all, workload{fmt.Sprintf("GMap%d%%", percent), func(node, turn int) cells {
			from, to := node*icdeKeys/icdeNodes, (node+1)*icdeKeys/icdeNodes // a share of the keys for each
			c, n := cells{}, ((to-from)*percent+50)/100
			for i := range n {
				c[uint64(from+(turn*n+i)%(to-from))] = uint64(turn + 1)
			}
			return c
		}})
	}
	return all
}

// least is how many elements have to be sent: each update once to each other node.
func (w workload) least() (n int) {
	for turn := range icdeTurns {
		for node := range icdeNodes {
			n += len(w.update(node, turn)) * (icdeNodes - 1)
		}
	}
	return n
}

// tree is a binary tree of 15 nodes; mesh connects each of 15 with four others.
func tree() (edges [][2]int) {
	for i := 1; i < icdeNodes; i++ {
		edges = append(edges, [2]int{i, (i - 1) / 2})
	}
	return edges
}

func mesh() (edges [][2]int) {
	for i := range icdeNodes {
		edges = append(edges, [2]int{i, (i + 1) % icdeNodes}, [2]int{i, (i + 4) % icdeNodes})
	}
	return edges
}

func linked(edges [][2]int) [][]int {
	all := make([][]int, icdeNodes)
	for _, e := range edges {
		all[e[0]], all[e[1]] = append(all[e[0]], e[1]), append(all[e[1]], e[0])
	}
	return all
}

// A model is the paper's algorithms, with delta groups joined before they are sent.
// It has what this package does not do, to compare with.
type model struct {
	full, bp, rr bool
	edges        [][]int
	state        []cells
	buffer       [][]group
	sent         int
}

type group struct {
	cells
	from int
}

func newModel(edges [][2]int, full, bp, rr bool) *model {
	m := &model{full: full, bp: bp, rr: rr, edges: linked(edges), buffer: make([][]group, icdeNodes)}
	for range icdeNodes {
		m.state = append(m.state, cells{})
	}
	return m
}

func (m *model) update(node int, c cells) {
	m.state[node].join(c)
	m.buffer[node] = append(m.buffer[node], group{c, node})
}

func (m *model) turn() {
	type message struct {
		group
		to int
	}
	var all []message
	for i := range m.state {
		for _, to := range m.edges[i] {
			c := cells{}
			if m.full {
				c.join(m.state[i])
			}
			for _, g := range m.buffer[i] {
				if !m.bp || g.from != to {
					c.join(g.cells)
				}
			}
			all = append(all, message{group{c, i}, to})
		}
	}
	clear(m.buffer)
	for _, msg := range all {
		m.sent += len(msg.cells)
		novel := m.state[msg.to].join(msg.cells)
		switch {
		case len(novel) == 0 || m.full:
		case m.rr:
			m.buffer[msg.to] = append(m.buffer[msg.to], group{novel, msg.from})
		default:
			m.buffer[msg.to] = append(m.buffer[msg.to], msg.group)
		}
	}
}

func (m *model) equal() bool {
	return !slices.ContainsFunc(m.state, func(c cells) bool { return !c.equal(m.state[0]) })
}

func (m *model) elements() int { return m.sent }

// A graph is nodes that push deltas to their neighbours in lockstep: the cores
// alone, without goroutine or clock.
type graph struct {
	t     testing.TB
	now   time.Duration
	nodes []*graphNode
	edges [][]int
	lose  func(from, to int) bool // if not nil
	sent  int                     // elements
	load  map[[2]int]int          // of those, over each link
	bytes int
}

type graphNode struct {
	cellStore
	id    transport.NodeID
	out   core
	serve func(from transport.NodeID, method string, req []byte) ([]byte, error)
}

// cellStore is a Store of one object.
type cellStore struct{ cells }

func (s *cellStore) Index() *merkle.Tree { return nil }

func (s *cellStore) Load(context.Context, string) ([]byte, error) { return encodeCells(s.cells), nil }

func (s *cellStore) Merge(_ context.Context, _ string, state []byte) ([]byte, error) {
	return encodeCells(s.join(decodeCells(state))), nil
}

func encodeCells(c cells) (b []byte) {
	for k, v := range c {
		b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, k), v)
	}
	return b
}

func decodeCells(b []byte) cells {
	c := make(cells, len(b)/16)
	for ; len(b) > 0; b = b[16:] {
		c[binary.BigEndian.Uint64(b)] = binary.BigEndian.Uint64(b[8:])
	}
	return c
}

func newGraph(t testing.TB, edges [][2]int, kind Propagation) *graph {
	g := &graph{t: t, edges: linked(edges), load: map[[2]int]int{}}
	for i := range icdeNodes {
		n := &graphNode{cellStore: cellStore{cells{}}, id: transport.NodeID(fmt.Sprintf("n%02d", i))}
		if kind == Lazy {
			b := &Broadcast{Self: uint64(i + 1), Patience: 20, Attempts: 3}
			n.out, n.serve = b, serveBroadcast(t, b, &n.cellStore)
		} else {
			o := &Outbox{Attempts: 3}
			n.out, n.serve = o, serveOutbox(t, o, &n.cellStore)
		}
		g.nodes = append(g.nodes, n)
	}
	for i, n := range g.nodes {
		for _, to := range g.edges[i] {
			n.out.Open(g.nodes[to].id)
		}
	}
	return g
}

func (g *graph) update(node int, c cells) {
	n := g.nodes[node]
	n.join(c)
	_, err := n.out.Put("", encodeCells(c), "")
	require.NoError(g.t, err)
}

// turn sends what every node has at this moment to all its neighbours.
func (g *graph) turn() {
	type message struct {
		from, to int
		b        Batch
	}
	var all []message
	g.now++
	for i, n := range g.nodes {
		n.out.Tick(g.now)
		for _, to := range g.edges[i] {
			if b, ok := n.out.Batch(g.nodes[to].id); ok {
				all = append(all, message{i, to, b})
			}
		}
	}
	for _, m := range all {
		from, to := g.nodes[m.from], g.nodes[m.to]
		g.bytes += len(m.b.Request)
		n := elementsIn(g.t, m.b)
		g.sent += n
		g.load[[2]int{m.from, m.to}] += n
		if g.lose != nil && g.lose(m.from, m.to) {
			from.out.Failed(to.id, m.b.ID)
			continue
		}
		resp, err := to.serve(from.id, m.b.Method, m.b.Request)
		require.NoError(g.t, err)
		g.bytes += len(resp)
		refused, err := from.out.Acked(to.id, m.b.ID, resp)
		require.NoError(g.t, err)
		require.Empty(g.t, refused)
	}
}

func elementsIn(t testing.TB, b Batch) (n int) {
	if b.Method == methodTree {
		m, err := decodeTree(b.Request)
		require.NoError(t, err)
		for _, r := range m.runs {
			for _, d := range r.deltas {
				n += len(d.state) / 16
			}
		}
		return n
	}
	deltas, err := decodeDeltas(b.Request)
	require.NoError(t, err)
	for _, d := range deltas {
		n += len(d.state) / 16
	}
	return n
}

// busiest is the link over which most was sent.
func (g *graph) busiest() (link [2]int) {
	for i, to := range g.edges {
		for _, j := range to {
			if g.load[[2]int{i, j}] > g.load[link] {
				link = [2]int{i, j}
			}
		}
	}
	return link
}

func (g *graph) equal() bool {
	return !slices.ContainsFunc(g.nodes, func(n *graphNode) bool { return !n.cells.equal(g.nodes[0].cells) })
}

func (g *graph) elements() int { return g.sent }

// A contender is one strategy at work.
type contender interface {
	update(node int, c cells)
	turn()
	equal() bool
	elements() int
}

// race has a strategy do the whole of a workload and returns how many turns it
// needed after the last update.
func race(t testing.TB, c contender, w workload) (more int) {
	for turn := range icdeTurns {
		for node := range icdeNodes {
			c.update(node, w.update(node, turn))
		}
		c.turn()
	}
	for ; !c.equal(); more++ {
		require.Less(t, more, 10_000)
		c.turn()
	}
	return more
}

var strategies = []struct {
	name string
	make func(t testing.TB, edges [][2]int) contender
}{
	{"state", func(_ testing.TB, e [][2]int) contender { return newModel(e, true, false, false) }},
	{"delta", func(_ testing.TB, e [][2]int) contender { return newModel(e, false, false, false) }},
	{"BP", func(_ testing.TB, e [][2]int) contender { return newModel(e, false, true, false) }},
	{"RR", func(_ testing.TB, e [][2]int) contender { return newModel(e, false, false, true) }},
	{"BP+RR", func(_ testing.TB, e [][2]int) contender { return newModel(e, false, true, true) }},
	{"Eager", func(t testing.TB, e [][2]int) contender { return newGraph(t, e, Eager) }},
	{"Lazy", func(t testing.TB, e [][2]int) contender { return newGraph(t, e, Lazy) }},
}

// Raw data of the paper for the set: state 4.74 M elements in the mesh and deltas
// 4.60 M, BP+RR 68.9 k; in the tree 21,000, the least there is.
func TestTrap22_OnlyWhatIsNewAndNeverBackToItsOrigin(t *testing.T) {
	set := workloads()[0]
	least := set.least()
	require.Equal(t, 21_000, least)
	for _, c := range []struct {
		graph, strategy string
		from, to        float64
	}{
		// Here they stop as soon as all are equal. Two turns more, of 60 messages of
		// 1,500 elements each, make the paper's number of states; deltas are within 2 %.
		{"mesh", "state", 4.74e6 - 2*60*1500, 4.74e6},
		{"mesh", "delta", 4.60e6 * 0.98, 4.60e6 * 1.02},
		{"mesh", "BP+RR", 68_800, 3.3 * 21_000},
		{"mesh", "Eager", 68_800, 3.3 * 21_000},
		{"mesh", "Lazy", 1, 1.5 * 21_000},
		{"tree", "BP+RR", 21_000, 21_000},
		{"tree", "Eager", 21_000, 21_000},
		{"tree", "Lazy", 21_000, 21_000},
	} {
		t.Run(c.graph+" "+c.strategy, func(t *testing.T) {
			run := contenderOf(t, c.graph, c.strategy)
			race(t, run, set)
			t.Logf("%d elements sent, %.2f of the least", run.elements(), float64(run.elements())/float64(least))
			require.GreaterOrEqual(t, float64(run.elements()), c.from)
			require.LessOrEqual(t, float64(run.elements()), c.to)
		})
	}
}

func contenderOf(t testing.TB, graph, strategy string) contender {
	edges := map[string]func() [][2]int{"mesh": mesh, "tree": tree}[graph]()
	i := slices.IndexFunc(strategies, func(s struct {
		name string
		make func(t testing.TB, edges [][2]int) contender
	}) bool {
		return s.name == strategy
	})
	return strategies[i].make(t, edges)
}

// Also with losses, and with a link and a node that fail for good, the tree mends
// itself: everything arrives, and what is sent stays near the least.
func TestLazyMendsItsTree(t *testing.T) {
	set := workloads()[0]
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 7))
		g := newGraph(t, mesh(), Lazy)
		var broken [2]int
		g.lose = func(from, to int) bool {
			down := from == broken[0] && to == broken[1] || from == broken[1] && to == broken[0]
			return down && g.now > icdeTurns/2 || random.IntN(20) == 0
		}
		for turn := range icdeTurns {
			if turn == icdeTurns/2 { // one that is part of a tree
				broken = g.busiest()
			}
			for node := range icdeNodes {
				g.update(node, set.update(node, turn))
			}
			g.turn()
		}
		for more := 0; !g.equal(); more++ {
			require.Less(t, more, 2000, "seed %d", seed)
			g.turn()
		}
		t.Logf("%d elements sent, %.2f of the least, without %v", g.sent, float64(g.sent)/21_000, broken)
		require.Less(t, float64(g.sent), 1.5*21_000, "seed %d", seed)
	}
}

func BenchmarkICDE(b *testing.B) {
	for _, shape := range []string{"tree", "mesh"} {
		for _, w := range workloads() {
			least := w.least()
			for _, s := range strategies {
				b.Run(shape+"/"+w.name+"/"+s.name, func(b *testing.B) {
					for b.Loop() {
						run := contenderOf(b, shape, s.name)
						more := race(b, run, w)
						b.ReportMetric(float64(run.elements()), "elements")
						b.ReportMetric(float64(run.elements())/float64(least), "×least")
						b.ReportMetric(float64(more), "turns")
						if g, ok := run.(*graph); ok {
							b.ReportMetric(float64(g.bytes)/float64(run.elements()), "B/element")
						}
					}
				})
			}
		}
	}
}
