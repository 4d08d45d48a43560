package merkle

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// Difference is a range of positions in which two trees hold different elements.
// Mine and Theirs are both true where a key is in different states.
type Difference struct {
	// Range is one position where that is known, and else the positions with the
	// same first 32 bits, as far as they lie in the ranges compared: rarely more
	// than one key's. Ranges of different differences do not overlap.
	Range Range

	Keys   []string // own keys there that the peer does not have in this state, ascending
	Mine   bool     // this side holds something there that the peer does not: push Keys
	Theirs bool     // the peer holds something there that this side does not: pull
}

// listed is an element as it is sent.
type listed struct {
	pos Position // the first of a block, unless the range listed is within one
	sum short
}

func (l listed) compare(m listed) int {
	if c := cmp.Compare(l.pos, m.pos); c != 0 {
		return c
	}
	return bytes.Compare(l.sum[:], m.sum[:])
}

// owned is an element of one's own, as it is compared with listed ones.
type owned struct {
	listed
	key string
}

// grain is the depth to which the positions of r are listed: short names where
// those tell most keys apart, whole positions further down.
func grain(r Range) int {
	if r.depth() < idDepth {
		return idDepth
	}
	return maxDepth
}

// elements returns what the tree holds in r in the order in which it is sent.
func elements(t *Tree, r Range, width int) []owned {
	out := make([]owned, 0, listMax)
	depth := grain(r)
	for e := range t.entries(r) {
		out = append(out, owned{listed: listed{pos: block(e.pos, depth).From, sum: e.sum.short(width)}, key: e.key})
	}
	slices.SortStableFunc(out, func(a, b owned) int { return a.compare(b.listed) })
	return out
}

// suffix is which bytes of a position tell those of r apart, as far as they are
// listed.
func suffix(r Range) (from, to int) { return r.depth() / 2, grain(r) / 2 }

// listedSize is what an element of r takes in a list.
func listedSize(r Range, width int) int {
	from, to := suffix(r)
	return to - from + width
}

// list is the data of an opList.
func list(t *Tree, r Range, width int) []byte {
	from, to := suffix(r)
	all := elements(t, r, width)
	out := make([]byte, 0, len(all)*(to-from+width))
	for _, e := range all {
		var pos [8]byte
		binary.BigEndian.PutUint64(pos[:], uint64(e.pos))
		out = append(out, pos[from:to]...)
		out = e.sum.append(out, width)
	}
	return out
}

// readList is list's inverse. It reports whether data is what list can make.
func readList(r Range, width int, data []byte) ([]listed, bool) {
	from, to := suffix(r)
	size := to - from + width
	if len(data)%size != 0 {
		return nil, false
	}
	depth := grain(r)
	out := make([]listed, 0, len(data)/size)
	for ; len(data) > 0; data = data[size:] {
		var pos [8]byte
		binary.BigEndian.PutUint64(pos[:], uint64(block(r.From, depth).From))
		copy(pos[from:to], data)
		l := listed{pos: Position(binary.BigEndian.Uint64(pos[:])), sum: shortOf(data[to-from : size])}
		if block(l.pos, depth).clip(r).isEmpty() || len(out) > 0 && l.compare(out[len(out)-1]) < 0 {
			return nil, false
		}
		out = append(out, l)
	}
	return out, true
}

// sums is the data of an opParts.
func sums(t *Tree, r Range, width int) []byte {
	mine := t.partSums(r)
	out := make([]byte, 0, len(mine)*width)
	for _, sum := range mine {
		out = sum.short(width).append(out, width)
	}
	return out
}

// compare returns the differences between two lists of r, by position. Elements
// pair off one to one, so a sum that one side holds twice is not lost.
func compare(r Range, mine []owned, theirs []listed) []Difference {
	out, depth := differences{}, grain(r)
	at := func(p Position) *Difference { return out.at(block(p, depth).clip(r)) }
	for len(mine) > 0 || len(theirs) > 0 {
		switch c := first(mine, theirs); {
		case c < 0:
			at(mine[0].pos).mine(mine[0].key)
			mine = mine[1:]
		case c > 0:
			at(theirs[0].pos).Theirs = true
			theirs = theirs[1:]
		default:
			mine, theirs = mine[1:], theirs[1:]
		}
	}
	return out.sorted()
}

// first compares the heads of two lists; an empty list comes last.
func first(mine []owned, theirs []listed) int {
	switch {
	case len(theirs) == 0:
		return -1
	case len(mine) == 0:
		return 1
	default:
		return mine[0].compare(theirs[0])
	}
}

// differences are put together range by range, ascending.
type differences []Difference

func (ds *differences) at(r Range) *Difference {
	if n := len(*ds); n == 0 || (*ds)[n-1].Range != r {
		*ds = append(*ds, Difference{Range: r})
	}
	return &(*ds)[len(*ds)-1]
}

func (d *Difference) mine(key string) { d.Mine, d.Keys = true, append(d.Keys, key) }

func (ds differences) sorted() []Difference {
	for _, d := range ds {
		slices.Sort(d.Keys)
	}
	return ds
}
