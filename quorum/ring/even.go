package ring

import "slices"

// balance moves partitions until all members are within their quotas: first those who have
// too little take, then those who have too much give.
func (p *plan) balance() {
	for m := range p.members {
		for p.load[m] < p.quotas[m].least && p.path(m, true) {
		}
	}
	for m := range p.members {
		for p.load[m] > p.quotas[m].most && p.path(m, false) {
		}
	}
}

// A step is how the search came to a member: which partition moves between it and the one
// before. The cost is how many more replicas move for it than before the step.
type step struct {
	from, part int
	cost       int
	score      float64
	level      int // how many steps from the beginning, 0 if it was not reached
}

// path moves partitions along a shortest path from a member that takes to one that can give, or
// from one that gives to one that can take. It reports whether there is one.
func (p *plan) path(start int, takes bool) bool {
	steps := make([]step, len(p.members))
	steps[start].level = 1
	front := []int{start}
	for len(front) > 0 {
		for _, m := range front {
			p.expand(m, takes, steps)
		}
		next := front[:0:0]
		level := steps[front[0]].level + 1
		for m := range steps {
			if steps[m].level == level {
				next = append(next, m)
			}
		}
		if end := p.end(next, takes, steps); end >= 0 {
			p.follow(start, end, takes, steps)
			return true
		}
		front = next
	}
	return false
}

// expand notes who can exchange a partition with a member, if not reached before, or reached
// no earlier but at a higher cost.
func (p *plan) expand(m int, takes bool, steps []step) {
	level := steps[m].level + 1
	for part, held := range p.held {
		has := slices.Contains(held, uint16(m))
		if has == takes {
			continue
		}
		stirred := stir(part)
		if takes {
			s := step{m, part, 0, score(p.seeds[m], stirred, p.members[m].Weight), level}
			for _, other := range held {
				p.offer(s, uint16(m), other, int(other), steps)
			}
			continue
		}
		for other := range p.members {
			if at := steps[other].level; (at == 0 || at == level) && !slices.Contains(held, uint16(other)) {
				s := step{m, part, 0, score(p.seeds[other], stirred, p.members[other].Weight), level}
				p.offer(s, uint16(other), uint16(m), other, steps)
			}
		}
	}
}

// offer notes a step to a member, if it is possible and better than what is known.
func (p *plan) offer(s step, takes, gives uint16, to int, steps []step) {
	known := &steps[to]
	if known.level != 0 && known.level != s.level {
		return
	}
	s.cost = steps[s.from].cost + p.price(s.part, takes) - p.price(s.part, gives)
	if known.level != 0 && (known.cost < s.cost || known.cost == s.cost && known.score <= s.score) {
		return
	}
	if p.exchanges(s.part, takes, gives) {
		*known = s
	}
}

// price is 1 if a member that holds a partition did not hold it before.
func (p *plan) price(part int, m uint16) int {
	if slices.Contains(p.was[part], m) {
		return 0
	}
	return 1
}

// end is the best of those who can give or take one, or less than 0 if nobody can.
func (p *plan) end(reached []int, takes bool, steps []step) int {
	best, bestGain := -1, 0
	for _, m := range reached {
		gain := p.quotas[m].most - p.load[m]
		need := p.quotas[m].least - p.load[m]
		if takes {
			gain, need = -need, -gain
		}
		if gain <= 0 {
			continue
		}
		switch rank := max(need, 0); {
		case best < 0, rank > bestGain,
			rank == bestGain && steps[m].cost < steps[best].cost,
			rank == bestGain && steps[m].cost == steps[best].cost && steps[m].score < steps[best].score:
			best, bestGain = m, rank
		}
	}
	return best
}

// follow moves partitions along the way to end.
func (p *plan) follow(start, end int, takes bool, steps []step) {
	for m := end; m != start; m = steps[m].from {
		s := steps[m]
		if takes {
			p.move(s.part, uint16(s.from), uint16(m))
		} else {
			p.move(s.part, uint16(m), uint16(s.from))
		}
	}
}
