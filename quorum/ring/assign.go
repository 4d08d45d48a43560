package ring

import (
	"slices"
)

// A plan assigns partitions to members. It begins with who had what before, and changes
// that as little as it can until all quotas and the spread over zones are met.
//
// First each partition is completed by itself, greedily, with those ranked first among those
// who need more. What is then not even is made so along shortest paths: a member takes a
// partition from a second one, which takes another from a third, until one gives that has too
// much. While quotas are not met there is such a path, as in any flow network. Partitions on
// a shortest path do not stand in each other's way: if one is on it twice, either its two steps
// are in different zones and change no zone's count, or there is a shorter path.
type plan struct {
	members []Member
	*spread
	quotas   []quota
	replicas int
	was      [][]uint16 // members that had each partition, ascending
	held     [][]uint16 // members that have it now, in any order
	load     []int
	seeds    []uint64
	scores   []float64 // of all members in one partition
	count    []int     // members of each zone in one partition
}

// assign returns which members get each partition, ascending, given who had it before.
func assign(g *group, was [][]uint16) [][]uint16 {
	n := g.owners()
	s := newSpread(g.members, n)
	p := &plan{members: g.members, spread: s, replicas: n, was: was,
		quotas: quotas(g.members, s, len(was), n),
		held:   make([][]uint16, len(was)), load: make([]int, len(g.members)),
		seeds: seedsOf(g.members), scores: make([]float64, len(g.members)), count: make([]int, len(s.size)),
	}
	p.begin()
	for part := range p.held {
		p.complete(part)
	}
	p.balance()
	for part := range p.held {
		slices.Sort(p.held[part])
	}
	return p.held
}

func seedsOf(members []Member) []uint64 {
	out := make([]uint64, len(members))
	for i, m := range members {
		out[i] = seedOf(m.ID)
	}
	return out
}

// begin has everybody keep what they had.
func (p *plan) begin() {
	room := p.replicas
	for _, had := range p.was {
		room = max(room, len(had))
	}
	all := make([]uint16, len(p.was)*room)
	for part, had := range p.was {
		p.held[part] = append(all[part*room:part*room:(part+1)*room], had...)
		for _, m := range had {
			p.load[m]++
		}
	}
}

// complete has as many members as there are to be hold a partition, spread over the zones.
func (p *plan) complete(part int) {
	clear(p.count)
	for _, m := range p.held[part] {
		p.count[p.zone[m]]++
	}
	scored := false
	for {
		lacking, over := p.lacking(), p.over()
		spare := p.replicas - len(p.held[part]) - lacking
		if over < 0 && spare == 0 && lacking == 0 {
			return
		}
		if !scored {
			p.rank(part)
			scored = true
		}
		switch {
		case over >= 0:
			p.shed(part, func(z int) bool { return z == over })
		case spare < 0:
			p.shed(part, func(z int) bool { return p.count[z] > p.low[z] })
		case spare == 0:
			p.add(part, func(z int) bool { return p.count[z] < p.low[z] })
		default:
			p.add(part, func(z int) bool { return p.count[z] < p.high[z] })
		}
	}
}

// rank computes the scores of all members in a partition.
func (p *plan) rank(part int) {
	stirred := stir(part)
	for i, m := range p.members {
		p.scores[i] = score(p.seeds[i], stirred, m.Weight)
	}
}

// lacking is how many members the zones lack that have fewer than they must.
func (p *plan) lacking() (n int) {
	for z, c := range p.count {
		n += max(0, p.low[z]-c)
	}
	return n
}

// over is a zone that has more members than it may, or less than 0.
func (p *plan) over() int {
	for z, c := range p.count {
		if c > p.high[z] {
			return z
		}
	}
	return -1
}

// shed takes the partition from the member of some zones that has the most too much.
func (p *plan) shed(part int, zone func(z int) bool) {
	worst := -1
	for i, m := range p.held[part] {
		if zone(p.zone[m]) && (worst < 0 || p.before(int(p.held[part][worst]), int(m), p.excess)) {
			worst = i
		}
	}
	m := p.held[part][worst]
	p.held[part] = slices.Delete(p.held[part], worst, worst+1)
	p.load[m]--
	p.count[p.zone[m]]--
}

// add gives the partition to the member of some zones that is ranked first among those who
// need it most.
func (p *plan) add(part int, zone func(z int) bool) {
	best := -1
	for m := range p.members {
		if zone(p.zone[m]) && (best < 0 || p.before(m, best, p.class)) && !slices.Contains(p.held[part], uint16(m)) {
			best = m
		}
	}
	p.held[part] = append(p.held[part], uint16(best))
	p.load[best]++
	p.count[p.zone[best]]++
}

// before reports whether a has less of what is given, or as much and a better rank.
func (p *plan) before(a, b int, by func(m int) int) bool {
	if x, y := by(a), by(b); x != y {
		return x < y
	}
	if p.scores[a] != p.scores[b] {
		return p.scores[a] < p.scores[b]
	}
	return a < b
}

// excess is by how much a member has too much, or could give away.
func (p *plan) excess(m int) int {
	return max(p.load[m]-p.quotas[m].most, min(0, p.load[m]-p.quotas[m].least))
}

// class says how well a member can take one more: those who need it come first.
func (p *plan) class(m int) int {
	switch {
	case p.load[m] < p.quotas[m].least:
		return -2
	case p.load[m] < p.quotas[m].most:
		return -1
	}
	return p.load[m] - p.quotas[m].most
}

// exchanges reports whether one member may take a partition from another one.
func (p *plan) exchanges(part int, takes, gives uint16) bool {
	a, b := p.zone[takes], p.zone[gives]
	if a == b {
		return true
	}
	inA, inB := 0, 0
	for _, m := range p.held[part] {
		switch p.zone[m] {
		case a:
			inA++
		case b:
			inB++
		}
	}
	return inA < p.high[a] && inB > p.low[b]
}

// move has one member take a partition from another one.
func (p *plan) move(part int, takes, gives uint16) {
	i := slices.Index(p.held[part], gives)
	p.held[part][i] = takes
	p.load[takes]++
	p.load[gives]--
}
