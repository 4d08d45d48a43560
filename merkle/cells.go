package merkle

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// This file is an invertible Bloom lookup table: a linear sum of ids in cells,
// out of which the ids that two tables do not share can be read again. An id
// stands in few cells or in many (irregular degrees), and a table of any number
// of cells is one of more cells folded, so one maintained table serves them all.

// cell is the sum of the ids that stand in it: their XOR, and the sum of their
// checks. Checks are odd, so the sum's parity tells that of the number of ids,
// and its sign the side.
type cell struct {
	id    uint64
	check uint32
}

const (
	cellSize = 10 // on the wire: the id and the last 16 bits of the check

	fewPlaces, manyPlaces = 3, 15 // of an id in a table
	manyOf256             = 38    // so many of 256 ids have many: 15 %

	placeBits = 21 // a table has at most 2^21 cells; three places come out of one number
)

// mix spreads the bits of x over all of the result (Steele, Lea, Flood: Fast
// splittable pseudorandom number generators, OOPSLA 2014). Ids are keyed hashes,
// so nobody without the secret chooses what it is applied to.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// trait is what an id determines: its check and where it stands, in a table and
// in an estimator.
type trait struct {
	id      uint64
	check   uint32
	places  uint8
	counter uint8
	sign    uint8 // 1 or −1
}

func traitOf(id uint64) trait {
	h := mix(id)
	t := trait{
		id:      id,
		check:   uint32(h) | 1,
		places:  fewPlaces,
		counter: uint8(h>>32) % estimators,
		sign:    1 - uint8(h>>39)&1*2,
	}
	if h>>56 < manyOf256 {
		t.places = manyPlaces
	}
	return t
}

// triple returns the ith three places of the id.
func (t *trait) triple(i uint64) (a, b, c uint32) {
	const most = 1<<placeBits - 1
	h := mix(t.id + (i+1)*0x9e3779b97f4a7c15)
	return uint32(h) & most, uint32(h>>placeBits) & most, uint32(h>>(2*placeBits)) & most
}

// cells stores the cells of the id in a table, the same one perhaps repeatedly, and
// returns how many they are.
func (t *trait) cells(f folding, out *[manyPlaces]uint32) int {
	for i := range uint64(t.places) / 3 {
		a, b, c := t.triple(i)
		out[3*i], out[3*i+1], out[3*i+2] = f.at(a), f.at(b), f.at(c)
	}
	return int(t.places)
}

// folding finds the cell of a place in a table of m cells, which takes any m: a place
// loses its highest bits until it is one. So in a table of m cells the ones from m
// on are missing, and each is added to the one that has its highest bit not set.
type folding struct{ m, mask, top uint32 }

func foldingTo(m int) folding {
	width := bits.Len32(uint32(m - 1))
	return folding{m: uint32(m), mask: 1<<width - 1, top: 1 << width >> 1}
}

func (f folding) at(place uint32) uint32 {
	x := place & f.mask
	if x >= f.m {
		x -= f.top
	}
	return x
}

// run returns the cell of a place and for how many places on they go together.
func (f folding) run(place uint32) (at uint32, n int) {
	x := place & f.mask
	if x < f.m {
		return x, int(f.m - x)
	}
	return x - f.top, int(f.mask + 1 - x)
}

// table is an invertible Bloom lookup table.
type table []cell

// put adds an id to the cells from one on of a table.
func (t table) put(tr *trait, f folding, from uint32) {
	var room [manyPlaces]uint32
	for _, i := range room[:tr.cells(f, &room)] {
		if i >= from {
			t[i-from].id ^= tr.id
			t[i-from].check += tr.check
		}
	}
}

// subtract makes t the table of what it has and u has not, less the other way
// round. Both have the same length.
func (t table) subtract(u table) {
	for i := range t {
		t[i].id ^= u[i].id
		t[i].check -= u[i].check
	}
}

// fold returns the table of m cells, no more than t has.
func (t table) fold(m int) table {
	out, f := make(table, m), foldingTo(m)
	for i := range t {
		c := &out[f.at(uint32(i))]
		c.id ^= t[i].id
		c.check += t[i].check
	}
	return out
}

// extend makes t longer by the cells that a longer table has behind its end.
// What is in these was in t's before.
func (t table) extend(more table) table {
	m := len(t)
	if m == 0 {
		return more
	}
	t = append(t, more...)
	f := foldingTo(m)
	for i := m; i < len(t); i++ {
		c := &t[f.at(uint32(i))]
		c.id ^= t[i].id
		c.check -= t[i].check
	}
	return t
}

// decode reads the ids out of t, which is the difference of two tables and is
// cleared as far as it succeeds: those that are in the first one only, and those
// that are in the second one only, each ascending. ok says that nothing is left:
// then the cells were the sum of just these, by 80 bits each. The work is linear in
// len(t), whatever is in it.
func (t table) decode() (first, second []uint64, ok bool) {
	d := decoder{table: t, folding: foldingTo(len(t)), budget: 2*len(t) + 16}
	for side := range d.found {
		d.found[side] = make([]uint64, 0, len(t)/2)
	}
	for i := range t {
		d.peel(uint32(i))
		for n := len(d.queue); n > 0; n = len(d.queue) {
			i := d.queue[n-1]
			d.queue = d.queue[:n-1]
			d.peel(i)
		}
	}
	first, second = settle(d.found[0], d.found[1])
	return first, second, t.isEmpty()
}

// decoder is the state of decode: cells to look at again, and what was found.
type decoder struct {
	table
	folding
	queue  []uint32
	budget int
	found  [2][]uint64
	room   [manyPlaces]uint32
}

// peel takes the id of a cell that holds only one out of all of its cells.
func (d *decoder) peel(at uint32) {
	if d.table[at].check&1 == 0 || d.budget == 0 {
		return
	}
	tr := traitOf(d.table[at].id)
	check, side := tr.check, 0
	switch uint16(d.table[at].check) {
	case uint16(tr.check):
	case uint16(-tr.check):
		check, side = -tr.check, 1
	default:
		return
	}
	cells := d.room[:tr.cells(d.folding, &d.room)]
	if !slices.Contains(cells, at) {
		return
	}
	d.budget--
	d.found[side] = append(d.found[side], tr.id)
	for _, i := range cells {
		d.table[i].id ^= tr.id
		d.table[i].check -= check
		if d.table[i].check&1 != 0 {
			d.queue = append(d.queue, i)
		}
	}
}

// isEmpty reports whether nothing is left of what the wire carries.
func (t table) isEmpty() bool {
	for i := range t {
		if t[i].id != 0 || uint16(t[i].check) != 0 {
			return false
		}
	}
	return true
}

// settle sorts what was found on two sides and drops what was on both. Once in some
// thousand tables a cell is misread. That goes wrong elsewhere, and is mostly put
// right by reading the opposite when the cell's true content has been found.
func settle(a, b []uint64) (first, second []uint64) {
	slices.Sort(a)
	slices.Sort(b)
	first, second = a[:0], b[:0]
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			first, a = append(first, a[0]), a[1:]
		case a[0] > b[0]:
			second, b = append(second, b[0]), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return append(first, a...), append(second, b...)
}

// append writes cells as they are sent.
func (t table) append(dst []byte) []byte {
	dst = slices.Grow(dst, len(t)*cellSize)
	for i := range t {
		dst = binary.BigEndian.AppendUint64(dst, t[i].id)
		dst = binary.BigEndian.AppendUint16(dst, uint16(t[i].check))
	}
	return dst
}

// readTable is append's inverse for whole cells, but for the checks' upper bits.
func readTable(b []byte) table {
	t := make(table, len(b)/cellSize)
	for i := range t {
		c := b[i*cellSize:]
		t[i] = cell{id: binary.BigEndian.Uint64(c), check: uint32(binary.BigEndian.Uint16(c[8:]))}
	}
	return t
}
