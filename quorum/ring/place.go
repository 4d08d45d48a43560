package ring

import (
	"cmp"
	"slices"

	"github.com/eventual-go/eventual/quorum"
	"github.com/eventual-go/eventual/transport"
)

// A placer makes the placements of a ring. Owners and Next are in the order of their ranks.
// So are fallbacks, of which there are twice as many as replicas, except that those in
// zones with fewer holders come first: if a whole zone is away, who stands in for its owner is
// elsewhere, and several that stand in are in several zones. Only members that stay stand in.
type placer struct {
	r      *Ring
	seeds  []uint64
	zone   []int
	stays  []bool
	scores []float64
	most   int        // fallbacks
	best   [][]uint16 // by zone, the first of those who hold nothing, by rank
	count  []int      // holders and fallbacks by zone
	ids    []transport.NodeID
}

func (r *Ring) place() {
	zones := make(map[transport.NodeID]string, len(r.nodes))
	for _, m := range r.nodes {
		zones[m.ID] = m.Zone
	}
	s := newSpread(r.nodes, 1)
	p := &placer{r: r, seeds: seedsOf(r.nodes), zone: s.zone, scores: make([]float64, len(r.nodes)),
		stays: make([]bool, len(r.nodes)), most: min(2*r.now.owners(), len(r.now.members)),
		best: make([][]uint16, len(s.size)), count: make([]int, len(s.size))}
	for i, m := range r.nodes {
		_, p.stays[i] = r.now.find(m.ID)
	}
	for z := range p.best {
		p.best[z] = make([]uint16, 0, p.most+1)
	}
	r.places = make([]quorum.Placement, len(r.parts))
	for i := range r.parts {
		r.places[i] = p.placement(i)
		r.places[i].Zones = zones
	}
}

func (p *placer) placement(i int) quorum.Placement {
	stirred := stir(i)
	for n := range p.scores {
		p.scores[n] = score(p.seeds[n], stirred, p.r.nodes[n].Weight)
	}
	part := &p.r.parts[i]
	return quorum.Placement{
		Owners:    p.named(slices.Clone(part.owners), true),
		Next:      p.named(slices.Clone(part.next), true),
		Fallbacks: p.named(p.fallbacks(part), false),
		Version:   part.version,
	}
}

func (p *placer) compare(a, b uint16) int {
	return cmp.Or(cmp.Compare(p.scores[a], p.scores[b]), int(a)-int(b))
}

// named returns the IDs of nodes, in the order of their ranks if asked for.
func (p *placer) named(nodes []uint16, sorted bool) []transport.NodeID {
	if len(nodes) == 0 {
		return nil
	}
	if sorted {
		slices.SortFunc(nodes, p.compare)
	}
	if len(p.ids) < len(nodes) {
		p.ids = make([]transport.NodeID, 1<<10)
	}
	out := p.ids[:len(nodes):len(nodes)]
	p.ids = p.ids[len(nodes):]
	for i, n := range nodes {
		out[i] = p.r.nodes[n].ID
	}
	return out
}

func (p *placer) fallbacks(part *part) []uint16 {
	clear(p.count)
	for n := range p.r.nodes {
		if part.has(uint16(n)) {
			p.count[p.zone[n]]++
		}
	}
	p.pick(part)
	out := make([]uint16, 0, p.most)
	for len(out) < p.most {
		z := p.emptiest()
		if z < 0 {
			break
		}
		out = append(out, p.best[z][0])
		p.best[z] = slices.Delete(p.best[z], 0, 1)
		p.count[z]++
	}
	return out
}

// pick finds the first of each zone among those who hold nothing.
func (p *placer) pick(part *part) {
	for z := range p.best {
		p.best[z] = p.best[z][:0]
	}
	for n := range p.r.nodes {
		b := p.best[p.zone[n]]
		if !p.stays[n] || len(b) == p.most && (p.most == 0 || p.compare(b[p.most-1], uint16(n)) < 0) || part.has(uint16(n)) {
			continue
		}
		at, _ := slices.BinarySearchFunc(b, uint16(n), p.compare)
		b = slices.Insert(b, at, uint16(n))
		p.best[p.zone[n]] = b[:min(len(b), p.most)]
	}
}

// emptiest is the zone with the fewest holders that has somebody left, the first by rank of
// several; less than 0 if there is none.
func (p *placer) emptiest() int {
	best := -1
	for z, b := range p.best {
		if len(b) == 0 {
			continue
		}
		if best < 0 || p.count[z] < p.count[best] || p.count[z] == p.count[best] && p.compare(b[0], p.best[best][0]) < 0 {
			best = z
		}
	}
	return best
}
