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

// eachPlace calls fn for each place of the id, the same one perhaps repeatedly.
func (t *trait) eachPlace(fn func(place uint32)) {
	for i := range uint64(t.places) / 3 {
		a, b, c := t.triple(i)
		fn(a)
		fn(b)
		fn(c)
	}
}

// foldTo is the cell of a place in a table of m cells, which takes any m: a place
// loses its highest bits until it is one. So in a table of m cells the ones from m
// on are missing, and each is added to the one that has its highest bit not set.
func foldTo(place uint32, m int) uint32 {
	width := bits.Len32(uint32(m - 1))
	x := place & (1<<width - 1)
	if int(x) >= m {
		x &^= 1 << (width - 1)
	}
	return x
}

// table is an invertible Bloom lookup table.
type table []cell

// add puts an id in, or takes it out with sign −1.
func (t table) add(id uint64, sign int32) {
	tr := traitOf(id)
	t.put(&tr, uint32(sign)*tr.check)
}

func (t table) put(tr *trait, check uint32) {
	tr.eachPlace(func(place uint32) {
		c := &t[foldTo(place, len(t))]
		c.id ^= tr.id
		c.check += check
	})
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
	out := slices.Clone(t[:m])
	for i := m; i < len(t); i++ {
		out[foldTo(uint32(i), m)].merge(&t[i], 1)
	}
	return out
}

// extend makes t longer by the cells that a longer table has behind its end.
// What is in these was in t's before.
func (t table) extend(more table) table {
	m := len(t)
	t = append(t, more...)
	for i := m; i < len(t); i++ {
		t[foldTo(uint32(i), m)].merge(&t[i], ^uint32(0))
	}
	return t
}

func (c *cell) merge(o *cell, sign uint32) {
	c.id ^= o.id
	c.check += sign * o.check
}

// decoded is an id that is in one of two tables only.
type decoded struct {
	id   uint64
	sign int // 1: in the first, −1: in the one that was subtracted
}

// decode reads the ids out of t, which is the difference of two tables and is
// cleared as far as it succeeds. ok says that nothing is left: then the ids are
// exactly those that the tables do not share, as each cell was found to be their
// sum by 80 bits, but that ids which both sides have, or one side twice, are not
// seen. The work is linear in len(t), whatever is in it.
func (t table) decode() (out []decoded, ok bool) {
	queue := make([]uint32, 0, len(t))
	for i := range t {
		queue = append(queue, uint32(i))
	}
	for budget := 2*len(t) + 16; len(queue) > 0 && budget > 0; {
		at := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		tr, sign := t.pure(at)
		if sign == 0 {
			continue
		}
		budget--
		out = append(out, decoded{tr.id, sign})
		check := -uint32(sign) * tr.check
		tr.eachPlace(func(place uint32) {
			i := foldTo(place, len(t))
			t[i].id ^= tr.id
			t[i].check += check
			queue = append(queue, i)
		})
	}
	return settle(out), t.isEmpty()
}

// pure says which one id a cell seems to hold, and on which side: sign is zero
// if it holds none or several. Once in some thousand tables it is mistaken. That
// goes wrong elsewhere, and is mostly put right when the cell's true content has
// been found.
func (t table) pure(at uint32) (tr trait, sign int) {
	c := &t[at]
	if c.check&1 == 0 {
		return tr, 0
	}
	tr = traitOf(c.id)
	switch uint16(c.check) {
	case uint16(tr.check):
		sign = 1
	case uint16(-tr.check):
		sign = -1
	default:
		return tr, 0
	}
	here := false
	tr.eachPlace(func(place uint32) { here = here || foldTo(place, len(t)) == at })
	if !here {
		return tr, 0
	}
	return tr, sign
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

// settle sorts by id and drops what was found on both sides: mistakes that were
// put right.
func settle(found []decoded) []decoded {
	slices.SortFunc(found, func(a, b decoded) int {
		if a.id != b.id {
			if a.id < b.id {
				return -1
			}
			return 1
		}
		return a.sign - b.sign
	})
	out := found[:0]
	for _, d := range found {
		if n := len(out); n > 0 && out[n-1].id == d.id && out[n-1].sign != d.sign {
			out = out[:n-1]
			continue
		}
		out = append(out, d)
	}
	return out
}

// append writes cells as they are sent.
func (t table) append(dst []byte) []byte {
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
