package ring

import (
	"cmp"
	"math"
	"math/big"
	"slices"
)

// Quotas say how many partitions each member may have. They are what is in proportion to the
// weights, within two limits: a member has a partition once, and each partition is
// spread over the zones as evenly as their sizes allow. All is computed with
// integers of any length, as a quota may be a whole number exactly.

// A spread says how many members of each zone hold a partition: as many in every zone, one more
// or less, unless the zone has fewer members.
type spread struct {
	zone []int // of each member
	size []int // members of each zone
	low  []int // by zone
	high []int
}

func newSpread(members []Member, replicas int) *spread {
	s := &spread{zone: make([]int, len(members))}
	names := make(map[string]int)
	for i, m := range members {
		z, ok := names[m.Zone]
		if !ok {
			z = len(names)
			names[m.Zone] = z
			s.size = append(s.size, 0)
		}
		s.zone[i] = z
		s.size[z]++
	}
	level := 1
	for s.room(level) < replicas {
		level++
	}
	for _, n := range s.size {
		s.low = append(s.low, min(n, level-1))
		s.high = append(s.high, min(n, level))
	}
	return s
}

// room is how many members there are if at most so many of one zone count.
func (s *spread) room(level int) (n int) {
	for _, size := range s.size {
		n += min(size, level)
	}
	return n
}

// A quota is how many partitions a member must have at least, and may have at most: the two
// whole numbers around its share, which are one if that is a whole number.
type quota struct{ least, most int }

// quotas returns those of all members. There is a way to divide the partitions so that all of
// them, and the spread, are kept: shares are met exactly by giving each member an equal
// part of each partition, and what can be met by parts can be met by whole ones between the
// whole numbers around them (the integrality of flows).
func quotas(members []Member, s *spread, partitions, replicas int) []quota {
	d := &division{partitions: partitions, weights: wholeWeights(members), spread: s, quotas: make([]quota, len(members))}
	free := make([]int, 0, len(members))
	need := partitions * replicas
	frozen := make([]bool, len(s.size))
	for {
		free = free[:0]
		for i := range members {
			if !frozen[s.zone[i]] {
				free = append(free, i)
			}
		}
		l := d.level(free, need)
		given := d.freeze(l, free, frozen)
		if given < 0 {
			d.give(l, free)
			return d.quotas
		}
		need -= given
	}
}

// wholeWeights returns the weights times a power of two that makes all of them whole.
func wholeWeights(members []Member) []*big.Int {
	least := math.MaxInt
	for _, m := range members {
		_, exp := math.Frexp(m.Weight)
		least = min(least, exp)
	}
	out := make([]*big.Int, len(members))
	for i, m := range members {
		frac, exp := math.Frexp(m.Weight)
		out[i] = big.NewInt(int64(math.Ldexp(frac, 53)))
		out[i].Lsh(out[i], uint(exp-least))
	}
	return out
}

type division struct {
	partitions int
	weights    []*big.Int
	spread     *spread
	quotas     []quota
}

// A level is how much a weight of one gets, need/weight, once those who get all partitions
// have been served.
type level struct {
	need, weight *big.Int
	full         map[int]bool // members that get all partitions
}

// level divides need among members.
func (d *division) level(among []int, need int) level {
	order := slices.Clone(among)
	slices.SortFunc(order, func(a, b int) int { return cmp.Or(d.weights[b].Cmp(d.weights[a]), a-b) })
	l := level{weight: new(big.Int), full: make(map[int]bool)}
	for _, i := range order {
		l.weight.Add(l.weight, d.weights[i])
	}
	all := big.NewInt(int64(d.partitions))
	var a, b big.Int
	for _, i := range order {
		a.Mul(d.weights[i], big.NewInt(int64(need)))
		if a.Cmp(b.Mul(all, l.weight)) < 0 {
			break
		}
		l.full[i] = true
		need -= d.partitions
		l.weight.Sub(l.weight, d.weights[i])
	}
	l.need = big.NewInt(int64(need))
	if l.weight.Sign() == 0 { // all are full
		l.weight.SetInt64(1)
	}
	return l
}

// freeze finds the zones that would get more or less than their spread allows, and gives those
// that limit what the others get what they may have. It returns how much that is, or less than
// nothing if all zones are within their limits.
//
// Where the limits add more than they take away, the others will get less than by this
// level, so the zones below their limit stay there; and the other way round.
func (d *division) freeze(l level, free []int, frozen []bool) int {
	zones := len(frozen)
	share := make([]*big.Int, zones) // times l.weight
	nodes := make([][]int, zones)
	for _, i := range free {
		z := d.spread.zone[i]
		if share[z] == nil {
			share[z] = new(big.Int)
		}
		share[z].Add(share[z], d.share(l, i))
		nodes[z] = append(nodes[z], i)
	}
	off := make([]int, zones)
	sum, limit := new(big.Int), new(big.Int)
	total := func(z int) int { // what a zone that is off may have
		if off[z] < 0 {
			return d.partitions * d.spread.low[z]
		}
		return d.partitions * d.spread.high[z]
	}
	for z := range zones {
		if share[z] == nil {
			continue
		}
		for _, side := range []int{-1, 1} {
			off[z] = side
			limit.Mul(big.NewInt(int64(total(z))), l.weight)
			if share[z].Cmp(limit) == side {
				sum.Add(sum, limit.Sub(limit, share[z]))
				break
			}
			off[z] = 0
		}
	}
	given := -1
	for z := range zones {
		if off[z] != 0 && off[z] != sum.Sign() {
			frozen[z] = true
			d.give(d.level(nodes[z], total(z)), nodes[z])
			given = max(given, 0) + total(z)
		}
	}
	return given
}

// share is what a member gets by a level, times the level's weight.
func (d *division) share(l level, i int) *big.Int {
	if l.full[i] {
		return new(big.Int).Mul(big.NewInt(int64(d.partitions)), l.weight)
	}
	return new(big.Int).Mul(d.weights[i], l.need)
}

// give sets the quotas of members by a level.
func (d *division) give(l level, members []int) {
	var whole, rest big.Int
	for _, i := range members {
		whole.DivMod(d.share(l, i), l.weight, &rest)
		n := int(whole.Int64())
		d.quotas[i] = quota{n, n + rest.Sign()}
	}
}
