package merkle

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/eventual-go/eventual/internal/planted"
)

// This file is the rung of the ladder on which sketches are compared: the initiator's
// side, and when to leave it for ranges. See sketch.go for the sketch, scan.go for the
// answers.

const (
	hintCells   = 8 // told at once: enough for one difference
	maxGrowths  = 3 // of a table that could not be read
	maxRestarts = 2 // because the peer's tree changed

	keysPerDifference = 1 << 10 // more of a large range are not read: ranges find few faster
)

// climb is the state of a session in one range on this rung.
type climb struct {
	depth    int    // of the sample for an estimate; −1 where the kept sketches tell
	theirs   table  // the peer's cells, as far as they were sent
	state    []byte // of the peer's range, whose cells these are
	most     int    // so many cells there can be
	want     int
	growths  int
	restarts int
	guessed  bool // of a larger range it was known that it differs, and by how much
	again    bool // what was guessed was wrong
}

// begin is the first task about a range.
func (s *Session) begin(r Range) task {
	c := &climb{depth: -1}
	if _, n := s.tree.Sum(r); n < minSketched {
		return task{r: r, kind: taskRoot}
	}
	if s.tree.kept(r, 0) == nil {
		c.depth = s.tree.sampling(r)
	}
	return task{r: r, kind: taskSketch, climb: c}
}

// first is the data of the first question about a range with a sum.
func (c *climb) first(sum Fingerprint) []byte {
	data := sum.short(maxWidth).append(nil, maxWidth)
	if c.depth >= 0 {
		data = append(data, byte(c.depth))
	}
	return data
}

// sketched takes what the peer says of its sketch.
func (s *Session) sketched(res *result) []task {
	c, data := res.climb, res.item.data
	c.most, c.state = 1<<data[0], bytes.Clone(data[1:1+stateSize])
	data = data[1+stateSize:]
	c.theirs = readTable(data[estimators:])
	d, whole := s.estimate(res.r, c, (*estimator)(data))
	if c.depth < 0 {
		s.claims += d
	}
	if whole && d <= hintCells {
		switch s.decode(res.r, c) {
		case readAll:
			return nil
		case readWrong:
			return s.descend(res.r, c.depth < 0)
		case readNone:
			return s.descend(res.r, false)
		}
	}
	return s.choose(res.r, c, d, whole)
}

// estimate returns about how many ids differ in r, and whether that and the cells are
// of all of r rather than of a sample.
func (s *Session) estimate(r Range, c *climb, theirs *estimator) (d int, whole bool) {
	if c.depth < 0 {
		counts := s.tree.survey(r)
		c.most = min(c.most, s.tree.sound().cells())
		return counts.difference(theirs), true
	}
	sample := sampleOf(r, c.depth)
	counts := s.tree.survey(sample)
	d = counts.difference(theirs)
	_, n := s.tree.Sum(r)
	_, k := s.tree.Sum(sample)
	return d * n / max(k, 1), sample == r
}

// choose decides how to go on in r, of which about d ids differ.
func (s *Session) choose(r Range, c *climb, d int, whole bool) []task {
	_, n := s.tree.Sum(r)
	switch {
	case d > n:
		s.checks = append(s.checks, r)
		return lists(r, n)
	case whole && 5*d <= 4*c.most:
		c.want = min(wanted(d), c.most)
		return []task{{r: r, kind: taskCells, climb: c}}
	case n <= keysPerDifference*d:
		return s.split(r, d, n, c.again)
	}
	return s.descend(r, false)
}

// wanted is how many cells d differences need, as they are estimated. Estimates are off
// by an eighth, and small tables need more cells for each difference. What is added
// here and at each growth makes four of five tables readable at the first attempt and
// 99 of 100 at the second, for any number of differences.
func wanted(d int) int {
	f := float64(d)
	return max(2*hintCells, int(1.08*(1.16*f+1.3*math.Sqrt(f)))+12)
}

// split is the questions for the tables of parts of r, each of which is likely to have
// room in a message. It guesses that the differences are where the n keys are.
func (s *Session) split(r Range, d, n int, again bool) (next []task) {
	most := min(maxCells, (s.cfg.MaxMessage-headSize-sizeOf(r, stateSize)-2)/cellSize)
	switch {
	case n < minSketched || r.depth() >= idDepth:
		return []task{{r: r, kind: taskRoot}}
	case 5*d <= 4*most:
		c := &climb{most: maxCells, want: min(wanted(d), most), guessed: true, again: again}
		return []task{{r: r, kind: taskCells, climb: c}}
	}
	for _, part := range r.parts() {
		_, k := s.tree.Sum(part)
		next = append(next, s.split(part, d*k/n, k, again)...)
	}
	return next
}

// unseen reports whether nothing is known of the range but what was guessed.
func (c *climb) unseen() bool { return c.guessed && c.state == nil }

// ask is the question for the cells that are missing.
func (c *climb) ask(r Range, sum Fingerprint) item {
	w := wish{state: make([]byte, stateSize), from: len(c.theirs), to: c.want}
	copy(w.state, c.state)
	if c.unseen() {
		w.sum = sum.short(maxWidth).append(nil, maxWidth)
	}
	return item{op: opCells, r: r, data: w.append(nil)}
}

// valid reports whether data is an answer to ask.
func (c *climb) valid(data []byte) bool {
	if len(data) == 0 {
		return true
	}
	cells, from := len(data)-stateSize, 0
	if cells > 0 && bytes.Equal(data[:stateSize], c.state) {
		from = len(c.theirs)
	}
	return cells > 0 && cells%cellSize == 0 && cells/cellSize <= c.want-from
}

// fetched takes more cells.
func (s *Session) fetched(res *result) []task {
	c, data := res.climb, res.item.data
	if len(data) == 0 {
		return s.descend(res.r, false)
	}
	c.take(bytes.Clone(data[:stateSize]), readTable(data[stateSize:]))
	if len(c.theirs) == c.want {
		switch read := s.decode(res.r, c); {
		case read == readAll:
			return nil
		case read == readNone:
			return s.descend(res.r, false)
		case c.guessed && !c.again && c.growths > 0 && read == readSome:
			return s.estimateAgain(res.r)
		case read == readWrong, c.want == c.most, c.growths == maxGrowths:
			return s.descend(res.r, c.depth < 0)
		}
		c.want = min(c.most, c.want+(c.want/4+20)<<c.growths)
		c.growths++
	}
	if c.restarts > maxRestarts {
		return s.descend(res.r, false)
	}
	return []task{{r: res.r, kind: taskCells, climb: c}}
}

// estimateAgain is for a part in which far more differs than was guessed, as differences
// are where they are when a part of a ring has moved.
func (s *Session) estimateAgain(r Range) []task {
	t := s.begin(r)
	t.climb.again = true
	return []task{t}
}

// take adds cells of a state; if it is another one they start anew.
func (c *climb) take(state []byte, cells table) {
	if !bytes.Equal(c.state, state) {
		if c.state != nil {
			c.restarts++
		}
		c.theirs, c.state = nil, state
	}
	c.theirs = c.theirs.extend(cells)
}

type reading uint8

const (
	readSome  reading = iota // more cells are needed
	readAll                  // the differences are reported
	readNone                 // the cells are equal: they cannot tell what differs
	readWrong                // what the cells tell is not so
)

// decode reads the differences in r out of the cells, if they go with the tree.
func (s *Session) decode(r Range, c *climb) reading {
	diff := s.tree.table(r, 0, len(c.theirs), math.MaxInt)
	diff.subtract(c.theirs)
	mine, theirs, ok := diff.decode()
	if !ok {
		return readSome
	}
	if !s.accounts(r, c.state, mine, theirs) && planted.Bug != planted.PoisonedSketch {
		return readWrong
	}
	if len(mine)+len(theirs) == 0 {
		return readNone
	}
	keys, ok := s.resolve(r, mine)
	if !ok {
		return readWrong
	}
	found, ok := differing(r, mine, keys, theirs)
	if !ok {
		return readWrong
	}
	s.found = append(s.found, found...)
	s.count += len(found)
	return readAll
}

// accounts reports whether the ids make up for what the sums of r differ by. They have
// the last 32 bits of their elements, and the state is those of the peer's sum.
func (s *Session) accounts(r Range, state []byte, mine, theirs []uint64) bool {
	sum, _ := s.tree.Sum(r)
	left := binary.BigEndian.Uint32(state) - uint32(sum.Lo)
	for _, id := range theirs {
		left -= uint32(id)
	}
	for _, id := range mine {
		left += uint32(id)
	}
	return left&uint32(s.tree.hasher.idMask) == 0
}

// resolve finds the keys of own ids in r, ascending. It reports false where one is not
// clear: an id that two keys have, or none, or that is there twice, as cells can be made
// to say.
func (s *Session) resolve(r Range, ids []uint64) (keys []string, ok bool) {
	keys = make([]string, len(ids))
	for i, id := range ids {
		key, held := s.tree.withID(r, id)
		if held != 1 || i > 0 && ids[i-1] == id {
			return nil, false
		}
		keys[i] = key
	}
	return keys, true
}

// differing puts ids together by their blocks. It reports false where one of the peer's
// is not in r.
func differing(r Range, mine []uint64, keys []string, theirs []uint64) (found []Difference, ok bool) {
	out := make(differences, 0, len(mine)+len(theirs))
	at := func(id uint64) *Difference { return out.at(blockOf(Position(id)).clip(r)) }
	for len(mine) > 0 || len(theirs) > 0 {
		if len(theirs) == 0 || len(mine) > 0 && mine[0] <= theirs[0] {
			d := at(mine[0])
			if d.Keys == nil {
				d.Keys, d.Mine = keys[:1:1], true
			} else {
				d.mine(keys[0])
			}
			mine, keys = mine[1:], keys[1:]
			continue
		}
		d := at(theirs[0])
		if d.Range.isEmpty() {
			return nil, false
		}
		d.Theirs = true
		theirs = theirs[1:]
	}
	return out.sorted(), true
}

// withID returns how many keys in r have an id, and one of them.
func (t *Tree) withID(r Range, id uint64) (key string, held int) {
	for _, e := range t.root.near(blockOf(Position(id))) {
		if r.Contains(e.pos) && t.hasher.sketchID(e.pos, e.sum) == id {
			key, held = e.key, held+1
		}
	}
	return key, held
}

// descend goes on with ranges: because there is too much difference for a sketch, too
// little, or none that it shows; with a doubt, because a sketch is not what it should
// be, and nobody knows whose.
func (s *Session) descend(r Range, doubt bool) (next []task) {
	if doubt {
		next = s.doubt(r)
	}
	if !bytes.Equal(s.last, s.state) { // perhaps the two are equal by now
		s.state, s.moved = nil, false
		return append(next, task{r: r, kind: taskRoot})
	}
	s.checks = append(s.checks, r)
	return append(next, task{r: r, kind: taskDiffers})
}

// doubt has both sides look at their sketches.
func (s *Session) doubt(r Range) []task {
	s.doubted = true
	s.tree.doubt()
	return []task{{r: r, kind: taskDoubt}}
}

// misled reports whether far more was estimated than was found, which no sketch that is
// right says.
func (s *Session) misled() bool { return !s.doubted && s.claims > 4*s.count+256 }

// lists is a task for each of the parts of r in which n keys are listed, some hundred
// at a time.
func lists(r Range, n int) (out []task) {
	parts := r.parts()
	if n <= 256 || r.depth() >= idDepth {
		return []task{{r: r, kind: taskList}}
	}
	for _, part := range parts {
		out = append(out, lists(part, n/len(parts))...)
	}
	return out
}
