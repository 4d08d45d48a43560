package merkle

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
)

// This file is what a tree says of the table of a range: from the sketch that it keeps,
// or for other ranges and larger tables from the elements there, read for the purpose.

const (
	sampleKeys  = 1 << 14 // about so many keys are read for an estimate
	keysPerCell = 1 << 12 // no more are read for each cell answered
)

// kept returns the sketch that t keeps, where that is of r and has m cells.
func (t *Tree) kept(r Range, m int) *sketch {
	if r != Full {
		return nil
	}
	if s := t.sound(); s.cells() >= max(m, 1) {
		return s
	}
	return nil
}

// table returns the cells from one on of the table of m cells of what t holds in r; nil
// where more than most keys would have to be read for that.
func (t *Tree) table(r Range, from, m, most int) table {
	if s := t.kept(r, m); s != nil {
		return s.fold(m)[from:]
	}
	if _, n := t.Sum(r); n > most {
		return nil
	}
	out, f := make(table, m-from), foldingTo(m)
	for e := range t.entries(r) {
		tr := traitOf(t.hasher.sketchID(e.pos, e.sum))
		out.put(&tr, f, uint32(from))
	}
	return out
}

// survey returns the estimator of what t holds in r.
func (t *Tree) survey(r Range) (counts estimator) {
	if s := t.kept(r, 0); s != nil {
		return s.counts
	}
	for e := range t.entries(r) {
		tr := traitOf(t.hasher.sketchID(e.pos, e.sum))
		counts[tr.counter] += tr.sign
	}
	return counts
}

// sampleOf is the part of r of which an estimate is made: the block of a depth about
// its middle, or r where that is as large.
func sampleOf(r Range, depth int) Range { return block(r.From+(r.To-r.From)/2, depth).clip(r) }

// sampling returns the depth of a sample of r with about as many keys as are read.
func (t *Tree) sampling(r Range) (depth int) {
	for depth < idDepth {
		if _, n := t.Sum(sampleOf(r, depth)); n <= sampleKeys {
			break
		}
		depth++
	}
	return depth
}

// stateOf is what tells one state of a range from another: the last bits of its sum.
// Ids have the same bits of an element.
func stateOf(t *Tree, r Range) []byte {
	sum, _ := t.Sum(r)
	return sum.short(stateSize).append(nil, stateSize)
}

// wish asks for a table of to cells, of which those below from are there already if
// the peer is in the same state; with a sum, only where that differs.
type wish struct {
	state    []byte
	from, to int
	sum      []byte
}

func (w *wish) append(dst []byte) []byte {
	dst = append(dst, w.state...)
	dst = binary.AppendUvarint(dst, uint64(w.from))
	return append(binary.AppendUvarint(dst, uint64(w.to)), w.sum...)
}

func readWish(data []byte) (w wish, ok bool) {
	if len(data) < stateSize {
		return w, false
	}
	w.state, data = data[:stateSize], data[stateSize:]
	from, n := binary.Uvarint(data)
	if n <= 0 {
		return w, false
	}
	to, m := binary.Uvarint(data[n:])
	if m <= 0 {
		return w, false
	}
	w.from, w.to, w.sum = int(from&math.MaxInt32), int(to&math.MaxInt32), data[n+m:]
	return w, from < to && to <= maxCells && (len(w.sum) == 0 || len(w.sum) == maxWidth)
}

const sketchSize = 1 + stateSize + estimators + hintCells*cellSize

// sketch answers an opSketch. Where there is no sketch to go by, ranges are compared.
func (o *replier) sketch(it *item) bool {
	sum, n := o.tree.Sum(it.r)
	if equal := sum.short(maxWidth) == shortOf(it.data[:maxWidth]); equal || n < minSketched {
		return o.piece(it.r, equal)
	}
	if o.nameSize > 0 && o.nameSize+sizeOf(it.r, sketchSize) > o.room {
		return false
	}
	said, ok := o.tree.tell(it)
	if !ok {
		return o.piece(it.r, false)
	}
	return o.whole(item{op: opSketch, r: it.r, data: said})
}

// tell returns what an opSketch asks for, if that costs no more than it should.
func (t *Tree) tell(it *item) (said []byte, ok bool) {
	var counts estimator
	var hints table
	most := maxCells
	if len(it.data) > maxWidth {
		sample := sampleOf(it.r, int(it.data[maxWidth]))
		_, n := t.Sum(sample)
		if n > 4*sampleKeys {
			return nil, false
		}
		counts, hints = t.survey(sample), t.table(sample, 0, hintCells, n)
	} else {
		s := t.sound()
		if s == nil {
			return nil, false
		}
		counts, hints, most = s.counts, s.fold(hintCells), s.cells()
	}
	said = append([]byte{byte(bits.Len(uint(most)) - 1)}, stateOf(t, it.r)...)
	said = append(said, counts[:]...)
	return hints.append(said), true
}

// whole adds an answer for which there is room.
func (o *replier) whole(it item) bool {
	o.nameSize += it.size()
	o.named, o.answered = append(o.named, it), o.answered+1
	return true
}

// cells answers an opCells: with as many as fit, of a table that ends with them; or
// with none, where they are too few for the keys that would have to be read. Where a
// sum was told and there are few keys, ranges are compared.
func (o *replier) cells(it *item) bool {
	w, _ := readWish(it.data)
	if len(w.sum) > 0 {
		sum, n := o.tree.Sum(it.r)
		if equal := sum.short(maxWidth) == shortOf(w.sum); equal || n < minSketched {
			return o.piece(it.r, equal)
		}
	}
	state := stateOf(o.tree, it.r)
	if !bytes.Equal(w.state, state) {
		w.from = 0
	}
	fit := (o.room - o.nameSize - sizeOf(it.r, stateSize) - 2) / cellSize // 2: of a long head of data
	if o.nameSize > 0 && fit < w.to-w.from {
		return false
	}
	m := min(w.to, w.from+fit)
	t := o.tree.table(it.r, w.from, m, keysPerCell*(m-w.from))
	if t == nil {
		return o.whole(item{op: opCells, r: it.r})
	}
	return o.whole(item{op: opCells, r: it.r, data: t.append(state)})
}
