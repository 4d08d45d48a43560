package crdt

import (
	"hash/maphash"
	"math/bits"
)

// cells is a hash table of slots by open addressing. Six cells are a group: each is an element beside its slot, and a
// byte of the hash of each is in one number, so that one comparison tells which cells to look at. An element belongs in
// the group where its hash is in proportion to all hashes, or in the next group with room. A group fills from its start.
//
// So the table grows and shrinks by one pass in order, and a search compares hardly an element but the right one.
// Elements stand here too, and not just in their slots, because looking at memory that is not in the processor's cache
// is what a search costs: tag, element and text are three such looks, as in a map. Hashes do not: without them a group
// of strings is two lines of the cache that are neighbours, with them it would be three. Who wants one hashes the
// element again, for which a look at its text is due: when the table grows, and when strays come back.
type cells[E comparable] []group[E]

type group[E comparable] struct {
	tags  uint64 // of the cells, a byte each, 0 for one that is empty; above them a bit each for those that are strays
	elems [groupSize]E
	slots [groupSize]uint32
}

const (
	groupSize = 6
	tagBits   = 1<<(8*groupSize) - 1
	lastTag   = 0xff << (8 * (groupSize - 1))
	strayBit  = tagBits + 1 // of the first cell; set if its element belongs in a group before
)

// seed is that of all hashes. They never leave the process, and nobody outside can foresee them.
var seed = maphash.MakeSeed()

// hashOf is never 0, so that no hash is that of an empty cell.
func hashOf[E comparable](e E) uint32 { return uint32(maphash.Comparable(seed, e)>>32) | 1 }

// tagOf is the lower end of the hash, of which the upper end tells the group.
func tagOf(hash uint32) uint64 { return uint64(hash & 0xff) }

// newCells returns a table for n elements, which fill half of it.
func newCells[E comparable](n int) cells[E] { return make(cells[E], 2*n/groupSize+2) }

// home is the group where a hash belongs.
func (t cells[E]) home(hash uint32) int { return int(uint64(hash) * uint64(len(t)) >> 32) }

// after is the group that comes next.
func (t cells[E]) after(p int) int {
	if p++; p < len(t) {
		return p
	}
	return 0
}

func (g *group[E]) isFull() bool { return g.tags&lastTag > 0 }

func (g *group[E]) len() int { return (bits.Len64(g.tags&tagBits) + 7) / 8 }

const (
	lowBits  = 0x010101010101
	highBits = 0x808080808080
)

// having returns the cells that have the tag of the hash, and sometimes others: the highest bit of byte k is set for
// the k-th. Take the first by next.
func (g *group[E]) having(hash uint32) (those uint64) {
	differ := g.tags ^ lowBits*tagOf(hash)
	return (differ - lowBits) &^ differ & highBits
}

func firstOf(those uint64) int { return bits.TrailingZeros64(those) / 8 % 8 }

// strays returns a bit for each cell whose element belongs in a group before.
func (g *group[E]) strays() uint64 { return g.tags / strayBit }

func (g *group[E]) push(hash, slot uint32, e E, stray bool) {
	k := g.len()
	g.slots[k], g.elems[k] = slot, e
	g.tags |= tagOf(hash) << (8 * k)
	if stray {
		g.tags |= strayBit << k
	}
}

// take takes out the k-th cell. The last one takes its place.
func (g *group[E]) take(k int) {
	last := g.len() - 1
	tag, stray := g.tags&tagBits>>(8*last), g.strays()>>last
	g.tags &^= 0xff<<(8*last) | strayBit<<last
	if k < last {
		g.tags = g.tags&^(0xff<<(8*k)|strayBit<<k) | tag<<(8*k) | stray*strayBit<<k
		g.slots[k], g.elems[k] = g.slots[last], g.elems[last]
	}
	var none E
	g.slots[last], g.elems[last] = 0, none
}

// search returns the group and the cell of an element, or nil.
func (t cells[E]) search(hash uint32, e E) (in *group[E], k int) {
	for p := t.home(hash); ; p = t.after(p) {
		g := &t[p]
		for those := g.having(hash); those > 0; those &= those - 1 {
			if k = firstOf(those); g.elems[k] == e && k < g.len() { // an empty cell has the zero element
				return g, k
			}
		}
		if !g.isFull() {
			return nil, 0
		}
	}
}

// put puts a slot in, and its element, which must not be in yet. There must be room.
func (t cells[E]) put(hash, slot uint32, e E) {
	home := t.home(hash)
	p := home
	for t[p].isFull() {
		p = t.after(p)
	}
	t[p].push(hash, slot, e, p != home)
}

// grown returns a table with room for one more than n elements: itself while they fill less than three quarters, else
// one twice as large, since all elements are hashed again.
func (t cells[E]) grown(n int) cells[E] {
	if 4*n < 3*groupSize*len(t) {
		return t
	}
	return t.moved(newCells[E](n+n/3), func(slot uint32) uint32 { return slot })
}

// moved puts all slots into another table, by new numbers.
func (t cells[E]) moved(into cells[E], number func(slot uint32) uint32) cells[E] {
	for p := range t {
		g := &t[p]
		for k, slot := range g.slots[:g.len()] {
			into.put(hashOf(g.elems[k]), number(slot), g.elems[k])
		}
	}
	return into
}

// where returns the group and the cell of a slot that is in.
func (t cells[E]) where(hash, slot uint32) (p, k int) {
	for p = t.home(hash); ; p = t.after(p) {
		for k, at := range t[p].slots[:t[p].len()] {
			if at == slot {
				return p, k
			}
		}
	}
}

// replace puts another slot in the place of one that is in.
func (t cells[E]) replace(hash, slot, by uint32) {
	p, k := t.where(hash, slot)
	t[p].slots[k] = by
}

// remove takes out a slot that is in. Where others had to go past its group they now come back, so that nothing is
// left of what was removed.
func (t cells[E]) remove(hash, slot uint32) {
	p, k := t.where(hash, slot)
	for full := t[p].isFull(); full; {
		t[p].take(k)
		q, found := p, false
		for q = t.after(p); !found; q = t.after(q) {
			if k, hash, found = t.passed(p, q); found {
				break
			}
			if !t[q].isFull() {
				return
			}
		}
		t[p].push(hash, t[q].slots[k], t[q].elems[k], t.home(hash) != p)
		p, full = q, t[q].isFull()
	}
	t[p].take(k)
}

// passed returns a cell of group q that belongs in p or before, and its hash, given that all groups between were full.
func (t cells[E]) passed(p, q int) (k int, hash uint32, found bool) {
	for strays := t[q].strays(); strays > 0; strays &= strays - 1 {
		k = bits.TrailingZeros64(strays)
		hash = hashOf(t[q].elems[k])
		if t.distance(t.home(hash), q) >= t.distance(p, q) {
			return k, hash, true
		}
	}
	return 0, 0, false
}

// distance is how many steps there are from one group to another.
func (t cells[E]) distance(from, to int) int {
	if d := to - from; d >= 0 {
		return d
	}
	return to - from + len(t)
}
