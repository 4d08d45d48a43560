package merkle

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
)

// This file is the rung of the ladder on which sketches are compared: the messages,
// and when to leave it for ranges. See sketch.go for the sketch.

const (
	hintCells   = 8 // told at once: enough for one difference
	maxGrowths  = 3 // of a table that could not be read
	maxRestarts = 2 // because the peer's tree changed
)

// wish asks for a table of to cells, of which those below from are there already if
// the peer is in the same state.
type wish struct {
	state    []byte
	from, to int
}

func (w *wish) append(dst []byte) []byte {
	dst = append(dst, w.state...)
	dst = binary.AppendUvarint(dst, uint64(w.from))
	return binary.AppendUvarint(dst, uint64(w.to))
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
	w.from, w.to = int(from&math.MaxInt32), int(to&math.MaxInt32)
	return w, m > 0 && n+m == len(data) && from < to && to <= 1<<placeBits
}

// sketch answers an opSketch. Where there is no sketch, ranges are compared.
func (o *replier) sketch(it *item) bool {
	equal := o.tree.Root().short(maxWidth) == shortOf(it.data)
	if equal || !o.tree.sketchable() {
		return o.piece(it.r, equal)
	}
	s := o.tree.sketch
	data := append([]byte{byte(bits.Len(uint(s.cells())) - 1)}, s.counts[:]...)
	return o.only(item{op: opSketch, r: it.r, data: s.fold(hintCells).append(data)})
}

// only answers a question that is alone in its message.
func (o *replier) only(it item) bool {
	o.named, o.answered = append(o.named, it), o.answered+1
	return true
}

const sketchSize = 1 + estimators + hintCells*cellSize

// cells answers an opCells: with as many as fit, of a table that ends with them; or
// with none, where the sketch is too small for the wish.
func (o *replier) cells(it *item) item {
	w, _ := readWish(it.data)
	if !bytes.Equal(w.state, stateOf(o.tree)) {
		w.from = 0
	}
	if !o.tree.sketchable() || w.to > o.tree.sketch.cells() {
		return item{op: opCells, r: it.r}
	}
	m := min(w.to, w.from+(o.room-sizeOf(it.r, 0)-2)/cellSize) // 2: of a long head of data
	return item{op: opCells, r: it.r, data: o.tree.sketch.fold(m)[w.from:].append(nil)}
}

// climb is the state of a session on this rung.
type climb struct {
	theirs   table  // the peer's sketch, as far as it was sent
	state    []byte // of the peer, whose cells these are
	most     int    // so many cells have both
	want     int
	estimate int
	growths  int
	restarts int
}

// sketched takes what the peer says of its sketch.
func (s *Session) sketched(res *result) []task {
	data := res.item.data
	mine := s.tree.sketch
	var theirs estimator
	copy(theirs[:], data[1:])
	c := &climb{
		state:    s.last,
		most:     min(1<<data[0], mine.cells()),
		estimate: mine.counts.difference(&theirs),
	}
	c.theirs = readTable(data[1+estimators:])
	c.want = min(c.wanted(), c.most)
	s.climb = c
	read := readSome
	if c.estimate <= hintCells {
		read = s.decode()
	}
	switch {
	case read == readAll:
		return nil
	case read == readWrong, 5*c.estimate > 4*c.most:
		return s.descend()
	}
	return []task{{Full, taskCells}}
}

// wanted is how many cells the estimated number of differences needs. Estimates are
// off by an eighth, and small tables need more cells for each difference. What is
// added here and at each growth makes four of five tables readable at the first
// attempt and 99 of 100 at the second, for any number of differences.
func (c *climb) wanted() int {
	d := float64(c.estimate)
	return max(2*hintCells, int(1.08*(1.16*d+1.3*math.Sqrt(d)))+12)
}

// ask is the question for the cells that are missing.
func (c *climb) ask() item {
	w := wish{state: c.state, from: len(c.theirs), to: c.want}
	return item{op: opCells, r: Full, data: w.append(nil)}
}

// valid reports whether data is an answer to ask in a state of the peer.
func (c *climb) valid(data, state []byte) bool {
	from := 0
	if bytes.Equal(state, c.state) {
		from = len(c.theirs)
	}
	return len(data)%cellSize == 0 && len(data)/cellSize <= c.want-from
}

// fetched takes more cells.
func (s *Session) fetched(res *result) []task {
	c := s.climb
	if len(res.item.data) == 0 {
		return s.descend()
	}
	if !bytes.Equal(c.state, s.last) { // the answer starts anew
		c.restarts++
		c.theirs, c.state = nil, s.last
	}
	c.theirs = c.theirs.extend(readTable(res.item.data))
	if len(c.theirs) == c.want {
		switch read := s.decode(); {
		case read == readAll:
			return nil
		case read == readWrong, c.want == c.most, c.growths == maxGrowths:
			return s.descend()
		}
		c.want = min(c.most, c.want+(c.want/4+20)<<c.growths)
		c.growths++
	}
	if c.restarts > maxRestarts {
		return s.descend()
	}
	return []task{{Full, taskCells}}
}

type reading uint8

const (
	readSome  reading = iota // more cells are needed
	readAll                  // the differences are reported
	readWrong                // cells cannot tell: two keys have one id, or the peer lies
)

// decode reads the differences out of the cells, if they go with the tree.
func (s *Session) decode() reading {
	diff := s.tree.sketch.fold(len(s.climb.theirs))
	diff.subtract(s.climb.theirs)
	mine, theirs, ok := diff.decode()
	if !ok {
		return readSome
	}
	if len(mine)+len(theirs) == 0 { // but the roots differ
		return readWrong
	}
	keys, ok := s.resolve(mine)
	if !ok {
		return readWrong
	}
	s.found = differing(mine, keys, theirs)
	return readAll
}

// resolve finds the keys of own ids. It reports false where one is not clear: an id
// that two keys have, or none.
func (s *Session) resolve(ids []uint64) (keys []string, ok bool) {
	keys = make([]string, len(ids))
	for i, id := range ids {
		key, held := s.tree.withID(id)
		if held == 0 { // the sketch has what the tree has not, unless the peer lies
			s.tree.sketch.suspect.Store(true)
		}
		if held != 1 {
			return nil, false
		}
		keys[i] = key
	}
	return keys, true
}

// differing puts ids together by their blocks.
func differing(mine []uint64, keys []string, theirs []uint64) []Difference {
	out := make(differences, 0, len(mine)+len(theirs))
	for len(mine) > 0 || len(theirs) > 0 {
		if len(theirs) == 0 || len(mine) > 0 && mine[0] <= theirs[0] {
			d := out.at(blockOf(Position(mine[0])))
			if d.Keys == nil {
				d.Keys, d.Mine = keys[:1:1], true
			} else {
				d.mine(keys[0])
			}
			mine, keys = mine[1:], keys[1:]
			continue
		}
		out.at(blockOf(Position(theirs[0]))).Theirs = true
		theirs = theirs[1:]
	}
	return out.sorted()
}

// withID returns how many keys have an id, and one of them.
func (t *Tree) withID(id uint64) (key string, held int) {
	for _, e := range t.root.near(blockOf(Position(id))) {
		if t.hasher.sketchID(e.pos, e.sum) == id {
			key, held = e.key, held+1
		}
	}
	return key, held
}

// descend goes on with ranges: because there is too much difference for a sketch,
// or too little, where the sketches are equal and the roots are not.
func (s *Session) descend() []task {
	c := s.climb
	s.climb = nil
	if !bytes.Equal(s.last, s.state) { // perhaps the two are equal by now
		s.state, s.moved = nil, false
		return []task{{Full, taskRoot}}
	}
	s.checks = append(s.checks, Full)
	if n := s.tree.Len(); 5*c.estimate > 2*n {
		return lists(n)
	}
	return []task{{Full, taskDiffers}}
}

// lists is a task for each of the blocks in which n keys are listed, some hundred at
// a time.
func lists(n int) (out []task) {
	depth := 0
	for ; n > 256; n /= radix {
		depth++
	}
	for i := range Position(1) << (4 * depth) {
		out = append(out, task{block(i<<(64-4*depth), depth), taskList})
	}
	return out
}
