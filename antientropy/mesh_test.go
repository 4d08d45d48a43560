package antientropy

import (
	"fmt"
	"slices"
	"testing"

	"github.com/eventual-go/eventual/transport"
	"github.com/stretchr/testify/require"
)

// A graph is nodes that push deltas to their neighbours in lockstep: the cores
// alone, without goroutine or clock.
type graph struct {
	ids   []transport.NodeID
	nodes map[transport.NodeID]*graphNode
	sent  int // elements
}

type graphNode struct {
	*sets
	out        Outbox
	in         Responder
	neighbours []transport.NodeID
}

func newGraph(edges [][2]int, nodes int) *graph {
	g := &graph{nodes: make(map[transport.NodeID]*graphNode)}
	for i := range nodes {
		n := &graphNode{sets: newSets()}
		n.in = Responder{Store: n.sets, Learned: func(from transport.NodeID, key string, novel []byte) {
			_, _ = n.out.Put(key, novel, from)
		}}
		id := transport.NodeID(fmt.Sprintf("n%02d", i))
		g.ids = append(g.ids, id)
		g.nodes[id] = n
	}
	for _, e := range edges {
		for _, way := range [][2]int{{e[0], e[1]}, {e[1], e[0]}} {
			n := g.nodes[g.ids[way[0]]]
			n.neighbours = append(n.neighbours, g.ids[way[1]])
			n.out.Open(g.ids[way[1]])
		}
	}
	return g
}

// step sends what every node has at this moment to all its neighbours, and reports
// whether there was anything.
func (g *graph) step(t *testing.T) bool {
	type message struct {
		from, to transport.NodeID
		b        Batch
	}
	var all []message
	for _, from := range g.ids {
		n := g.nodes[from]
		for _, to := range n.neighbours {
			if b, ok := n.out.Batch(to); ok {
				all = append(all, message{from, to, b})
			}
		}
	}
	for _, m := range all {
		entries, err := decodePush(m.b.Request)
		require.NoError(t, err)
		for _, e := range entries {
			g.sent += len(e.state) / 8
		}
		resp, err := g.nodes[m.to].in.ServeCall(t.Context(), m.from, m.b.Method, m.b.Request)
		require.NoError(t, err)
		refused, err := g.nodes[m.from].out.Acked(m.to, m.b.ID, resp)
		require.NoError(t, err)
		require.Empty(t, refused)
	}
	return len(all) > 0
}

// tree is a binary tree of 15 nodes; mesh connects each of 15 with four others.
func tree() (edges [][2]int) {
	for i := 1; i < 15; i++ {
		edges = append(edges, [2]int{i, (i - 1) / 2})
	}
	return edges
}

func mesh() (edges [][2]int) {
	for i := range 15 {
		edges = append(edges, [2]int{i, (i + 1) % 15}, [2]int{i, (i + 4) % 15})
	}
	return edges
}

// The experiment of Enes et al., ICDE 2019: a grow-only set, 15 nodes, 100 unique
// elements added by each. The least that can be sent is each of the 1,500 elements
// once to each of the 14 other nodes.
func TestTrap22_OnlyWhatIsNewAndNeverBackToItsOrigin(t *testing.T) {
	const least = 15 * 100 * 14
	for name, c := range map[string]struct {
		edges [][2]int
		most  int
	}{
		"tree": {tree(), least},
		"mesh": {mesh(), least * 33 / 10},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGraph(c.edges, 15)
			for tick := range 100 {
				for i, id := range g.ids {
					n := g.nodes[id]
					_, err := n.out.Put("set", n.add("set", uint64(tick*15+i)), "")
					require.NoError(t, err)
				}
				g.step(t)
			}
			for g.step(t) {
			}
			for _, id := range g.ids {
				require.Len(t, g.nodes[id].get("set"), 1500)
				for _, to := range g.nodes[id].neighbours {
					require.Zero(t, g.nodes[id].out.Pending(to))
				}
			}
			t.Logf("%d elements sent, %.2f of the least", g.sent, float64(g.sent)/least)
			require.GreaterOrEqual(t, g.sent, least)
			require.LessOrEqual(t, g.sent, c.most)
		})
	}
}

// Also with loss of requests and of responses nothing is lost or reordered.
func TestOutboxOverALossyLinkKeepsTheOrder(t *testing.T) {
	var got []uint64
	to := newSets()
	to.onNews = func(_ string, novel []byte) {
		e, err := decodeSet(novel)
		require.NoError(t, err)
		got = append(got, e...)
	}
	in, out := Responder{Store: to}, Outbox{MaxMessage: small, Attempts: 1000}
	out.Open("b")
	put := uint64(0)
	for turn := 0; put < 500 || out.Pending("b") > 0; turn++ {
		for range min(7, 500-put) {
			_, err := out.Put(fmt.Sprint(put%5), encodeSet(put), "")
			require.NoError(t, err)
			put++
		}
		b, ok := out.Batch("b")
		require.True(t, ok)
		if turn%3 == 0 {
			out.Failed("b", b.ID)
			continue
		}
		resp, err := in.ServeCall(t.Context(), "a", b.Method, b.Request)
		require.NoError(t, err)
		if turn%5 == 0 {
			out.Failed("b", b.ID)
			continue
		}
		_, err = out.Acked("b", b.ID, resp)
		require.NoError(t, err)
	}
	require.Len(t, got, 500)
	require.True(t, slices.IsSorted(got))
}
