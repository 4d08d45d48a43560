package merkle

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
)

// Difference is a position at which two trees hold different elements. Mine
// and Theirs are both true where a key is in different states.
type Difference struct {
	Position Position
	Keys     []string // own keys there that the peer does not have in this state, ascending
	Mine     bool     // this side holds something there that the peer does not: push Keys
	Theirs   bool     // the peer holds something there that this side does not: pull
}

// listed is an element as it is sent.
type listed struct {
	pos Position
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

// elements returns what the tree holds in r in the order in which it is sent.
func elements(t *Tree, r Range, width int) []owned {
	out := make([]owned, 0, listMax)
	for e := range t.entries(r) {
		out = append(out, owned{listed: listed{pos: e.pos, sum: e.sum.short(width)}, key: e.key})
	}
	slices.SortStableFunc(out, func(a, b owned) int { return a.compare(b.listed) })
	return out
}

// suffixSize is how many bytes tell the positions of r apart.
func suffixSize(r Range) int {
	if depth, ok := r.aligned(); ok {
		return (maxDepth - depth + 1) / 2
	}
	return 8
}

// list is the data of an opList.
func list(t *Tree, r Range, width int) []byte {
	size, all := suffixSize(r), elements(t, r, width)
	out := make([]byte, 0, len(all)*(size+width))
	for _, e := range all {
		var pos [8]byte
		binary.BigEndian.PutUint64(pos[:], uint64(e.pos))
		out = append(out, pos[8-size:]...)
		out = e.sum.append(out, width)
	}
	return out
}

// readList is list's inverse. It reports whether data is what list can make.
func readList(r Range, width int, data []byte) ([]listed, bool) {
	size := suffixSize(r)
	if len(data)%(size+width) != 0 {
		return nil, false
	}
	out := make([]listed, 0, len(data)/(size+width))
	for len(data) > 0 {
		var pos [8]byte
		binary.BigEndian.PutUint64(pos[:], uint64(r.From))
		copy(pos[8-size:], data)
		l := listed{pos: Position(binary.BigEndian.Uint64(pos[:])), sum: shortOf(data[size : size+width])}
		if !r.Contains(l.pos) || len(out) > 0 && l.compare(out[len(out)-1]) < 0 {
			return nil, false
		}
		out, data = append(out, l), data[size+width:]
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

// compare returns the differences between two lists, by position. Elements
// pair off one to one, so a sum that one side holds twice is not lost.
func compare(mine []owned, theirs []listed) []Difference {
	var out differences
	for len(mine) > 0 || len(theirs) > 0 {
		switch c := first(mine, theirs); {
		case c < 0:
			out.mine(mine[0])
			mine = mine[1:]
		case c > 0:
			out.theirs(theirs[0])
			theirs = theirs[1:]
		default:
			mine, theirs = mine[1:], theirs[1:]
		}
	}
	for _, d := range out {
		slices.Sort(d.Keys)
	}
	return out
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

type differences []Difference

func (ds *differences) at(p Position) *Difference {
	if n := len(*ds); n == 0 || (*ds)[n-1].Position != p {
		*ds = append(*ds, Difference{Position: p})
	}
	return &(*ds)[len(*ds)-1]
}

func (ds *differences) mine(e owned) {
	d := ds.at(e.pos)
	d.Mine, d.Keys = true, append(d.Keys, e.key)
}

func (ds *differences) theirs(e listed) { ds.at(e.pos).Theirs = true }
