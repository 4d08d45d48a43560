package crdt

import (
	"hash/maphash"
	"math/bits"
)

// cells is a hash table of slots by open addressing. Seven cells are a group, which is a line of the processor's
// cache: each cell is the hash of an element beside its slot, and a byte of each hash is in one number, so that
// one comparison tells which cells to look at. An element belongs in the group where its hash is in proportion to
// all hashes, or in the next group with room. A group fills from its start.
//
// So the table grows and shrinks by one pass in order without looking at the elements, and a search compares hardly
// an element but the right one.
type cells []group

type group struct {
	tags  uint64 // of the cells, 0 for one that is empty; the highest byte is not used
	cells [groupSize]uint64
}

const groupSize = 7

// seed is that of all hashes. They never leave the process, and nobody outside can foresee them.
var seed = maphash.MakeSeed()

// hashOf is never 0, so that no hash is that of an empty cell.
func hashOf[E comparable](e E) uint32 { return uint32(maphash.Comparable(seed, e)>>32) | 1 }

func cellOf(hash, slot uint32) uint64          { return uint64(hash)<<32 | uint64(slot) }
func openCell(cell uint64) (hash, slot uint32) { return uint32(cell >> 32), uint32(cell) }

// tagOf is the lower end of the hash, of which the upper end tells the group.
func tagOf(hash uint32) uint64 { return uint64(hash & 0xff) }

// newCells returns a table for n elements, which fill half of it.
func newCells(n int) cells { return make(cells, 2*n/groupSize+2) }

// home is the group where a hash belongs.
func (t cells) home(hash uint32) int { return int(uint64(hash) * uint64(len(t)) >> 32) }

// after is the group that comes next.
func (t cells) after(p int) int {
	if p++; p < len(t) {
		return p
	}
	return 0
}

func (g *group) isFull() bool { return g.tags>>(8*(groupSize-1)) > 0 }

func (g *group) len() int { return (bits.Len64(g.tags) + 7) / 8 }

const (
	lowBits  = 0x0001010101010101
	highBits = 0x0080808080808080
)

// having returns the cells that have the tag of the hash, and sometimes others: the highest bit of byte k is set for
// the k-th. Take the first by next.
func (g *group) having(hash uint32) (those uint64) {
	differ := g.tags ^ lowBits*tagOf(hash)
	return (differ - lowBits) &^ differ & highBits
}

func firstOf(those uint64) int { return bits.TrailingZeros64(those) / 8 % 8 }

func (g *group) push(hash, slot uint32) {
	k := g.len()
	g.cells[k] = cellOf(hash, slot)
	g.tags |= tagOf(hash) << (8 * k)
}

// take takes out the k-th cell. The last one takes its place.
func (g *group) take(k int) {
	last := g.len() - 1
	tag := g.tags >> (8 * last)
	g.tags &^= 0xff << (8 * last)
	if k < last {
		g.tags = g.tags&^(0xff<<(8*k)) | tag<<(8*k)
		g.cells[k] = g.cells[last]
	}
	g.cells[last] = 0
}

// put puts a slot in, which must not be in yet. There must be room.
func (t cells) put(hash, slot uint32) {
	p := t.home(hash)
	for t[p].isFull() {
		p = t.after(p)
	}
	t[p].push(hash, slot)
}

// grown returns a table with room for one more than n elements: itself while they fill less than three quarters.
func (t cells) grown(n int) cells {
	if 4*n < 3*groupSize*len(t) {
		return t
	}
	return t.moved(newCells(n), func(slot uint32) uint32 { return slot })
}

// moved puts all slots into another table, by new numbers.
func (t cells) moved(into cells, number func(slot uint32) uint32) cells {
	for p := range t {
		for _, cell := range t[p].cells[:t[p].len()] {
			hash, slot := openCell(cell)
			into.put(hash, number(slot))
		}
	}
	return into
}

// where returns the group and the cell of a slot that is in.
func (t cells) where(hash, slot uint32) (p, k int) {
	for p = t.home(hash); ; p = t.after(p) {
		for k, cell := range t[p].cells[:t[p].len()] {
			if cell == cellOf(hash, slot) {
				return p, k
			}
		}
	}
}

// replace puts another slot in the place of one that is in.
func (t cells) replace(hash, slot, by uint32) {
	p, k := t.where(hash, slot)
	t[p].cells[k] = cellOf(hash, by)
}

// remove takes out a slot that is in. Where others had to go past its group they now come back, so that nothing is
// left of what was removed.
func (t cells) remove(hash, slot uint32) {
	p, k := t.where(hash, slot)
	for full := t[p].isFull(); full; {
		t[p].take(k)
		q, found := p, false
		for q = t.after(p); !found; q = t.after(q) {
			if k, found = t.passed(p, q); found {
				break
			}
			if !t[q].isFull() {
				return
			}
		}
		t[p].push(openCell(t[q].cells[k]))
		p, full = q, t[q].isFull()
	}
	t[p].take(k)
}

// passed returns a cell of group q that belongs in p or before, given that all groups between were full.
func (t cells) passed(p, q int) (k int, found bool) {
	for k, cell := range t[q].cells[:t[q].len()] {
		hash, _ := openCell(cell)
		if t.distance(t.home(hash), q) >= t.distance(p, q) {
			return k, true
		}
	}
	return 0, false
}

// distance is how many steps there are from one group to another.
func (t cells) distance(from, to int) int {
	if d := to - from; d >= 0 {
		return d
	}
	return to - from + len(t)
}
