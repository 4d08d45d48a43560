package session

import (
	"slices"

	"github.com/eventual-go/eventual/quorum"
)

// size returns how many bytes a token takes that is encoded, or a few more.
func (t *Token) size() int {
	nodes, versions := t.names()
	n, place := 18+9*len(versions), placeOf(nodes, versions)
	for _, name := range nodes {
		n += sizeOfText(len(name))
	}
	for i := range t.keys {
		n += t.keys[i].size(place)
	}
	return n
}

// placeOf returns how many bytes it takes to say which node it is, or which placement.
func placeOf(nodes []nodeID, versions []uint64) int {
	if len(nodes) > 128 || len(versions) > 8 {
		return 3
	}
	return 1
}

// size is that of an entry, where the place of a node or of a placement takes so many bytes.
func (e *entry) size(place int) int {
	n, settled := 0, true
	for _, p := range e.seen {
		n += place + 1 + place*len(p.held.Nodes)
		if len(p.held.Nodes) > 15 {
			n += 2
		}
		settled = settled && p.held.Majority
	}
	if settled {
		return n + 9
	}
	return n + sizeOfText(len(e.key))
}

func sizeOfText(n int) int {
	if n > 255 {
		return n + 5
	}
	return n + 2
}

// A gauge says how many bytes are left for a token at least, without going through it each time.
type gauge struct {
	bytes    int
	nodes    []nodeID // that are counted
	versions []uint64
}

func (g *gauge) measure(t *Token, most int) {
	g.bytes = most - t.size()
	g.nodes, g.versions = t.names()
}

// note takes away what has come, or all if that is not known.
func (g *gauge) note(before, after int, h *quorum.Holders) {
	g.bytes -= max(after-before, 0)
	for _, n := range h.Nodes {
		if !slices.Contains(g.nodes, n) {
			g.bytes = -1
		}
	}
	if !slices.Contains(g.versions, h.Version) {
		g.bytes = -1
	}
}

// of returns the size of the entry of a key, 0 if there is none. It can be compared until a node or a placement comes.
func (g *gauge) of(t *Token, hash uint64) int {
	if i := t.find(hash); i >= 0 {
		return t.keys[i].size(placeOf(g.nodes, g.versions))
	}
	return 0
}

// fewNames is up to how many nodes and placements are looked through for another one.
const fewNames = 16

// names returns the nodes and the placements that are spoken of.
func (t *Token) names() ([]nodeID, []uint64) {
	nodes, versions := make([]nodeID, 0, 2*fewNames), make([]uint64, 0, 2*fewNames)
	for i := range t.keys {
		for _, p := range t.keys[i].seen {
			if !slices.Contains(versions, p.held.Version) {
				versions = append(versions, p.held.Version)
			}
			for _, n := range p.held.Nodes {
				if !slices.Contains(nodes, n) {
					nodes = append(nodes, n)
				}
			}
			if len(nodes) > fewNames || len(versions) > fewNames {
				nodes, versions, _ = t.tables()
				return nodes, versions
			}
		}
	}
	return nodes, versions
}
