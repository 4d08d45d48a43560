package merkle

const (
	pageCells = 64 // what is copied at once after a snapshot: 768 bytes

	minSketched = 256     // trees of fewer keys have no sketch: ranges are as cheap
	maxCells    = 1 << 14 // 192 kB, which read 13,000 differences

	estimators = 128
)

// cellsFor is how many cells a tree of n keys deserves: n/4 to n/2, as from 0.4 n
// differences on a list of all keys is cheaper.
func cellsFor(n int) int {
	if n < minSketched {
		return 0
	}
	cells := minSketched / 2
	for cells < maxCells && 4*cells <= n {
		cells *= 2
	}
	return cells
}

// sketch is the table of a tree's ids that is kept up to date. Nothing that
// another owner may see is changed: pages are copied one by one as they are
// written to.
type sketch struct {
	owner  *owner
	pages  []*page
	mine   []uint64 // bits: which pages are the owner's alone
	counts estimator
	sum    Fingerprint // of the elements that went in, less those taken out
	health *health
}

// page is some cells, laid out without padding.
type page struct {
	ids    [pageCells]uint64
	checks [pageCells]uint32
}

func newSketch(o *owner, cells int) *sketch {
	s := &sketch{
		owner:  o,
		pages:  make([]*page, cells/pageCells),
		mine:   make([]uint64, (cells/pageCells+63)/64),
		health: new(health),
	}
	room := make([]page, len(s.pages))
	for i := range s.pages {
		s.pages[i] = &room[i]
		s.mine[i/64] |= 1 << (i % 64)
	}
	return s
}

func (s *sketch) cells() int {
	if s == nil {
		return 0
	}
	return len(s.pages) * pageCells
}

// own returns s, or a copy that shares its pages if s is another's.
func (s *sketch) own(o *owner) *sketch {
	if s.owner == o {
		return s
	}
	c := *s
	c.owner = o
	c.pages = append([]*page(nil), s.pages...)
	c.mine = make([]uint64, len(s.mine))
	return &c
}

// add puts an id in, or takes it out with sign −1. It must be there then: a
// table cannot tell.
func (s *sketch) add(id uint64, sign int32) {
	tr := traitOf(id)
	s.counts[tr.counter] += uint8(sign) * tr.sign
	check := uint32(sign) * tr.check
	mask := uint32(len(s.pages)*pageCells - 1)
	for i := range uint64(tr.places) / 3 {
		a, b, c := tr.triple(i)
		s.put(a&mask, id, check)
		s.put(b&mask, id, check)
		s.put(c&mask, id, check)
	}
}

func (s *sketch) put(at uint32, id uint64, check uint32) {
	n := at / pageCells
	if s.mine[n/64]>>(n%64)&1 == 0 {
		s.copyPage(n)
	}
	p := s.pages[n]
	p.ids[at%pageCells] ^= id
	p.checks[at%pageCells] += check
}

func (s *sketch) copyPage(n uint32) {
	p := *s.pages[n]
	s.pages[n] = &p
	s.mine[n/64] |= 1 << (n % 64)
}

// fold returns the table of m cells, no more than s has.
func (s *sketch) fold(m int) table {
	if m < pageCells { // few cells that are written to again and again take longer
		return s.fold(pageCells).fold(m)
	}
	out, f := make(table, m), foldingTo(m)
	for i, p := range s.pages {
		for j := 0; j < pageCells; {
			at, n := f.run(uint32(i*pageCells + j))
			n = min(n, pageCells-j)
			out[at:].merge(p.ids[j:j+n], p.checks[j:j+n])
			j += n
		}
	}
	return out
}

// merge adds cells to the first ones of t.
func (t table) merge(ids []uint64, checks []uint32) {
	t, checks = t[:len(ids)], checks[:len(ids)]
	for i := range t {
		t[i].id ^= ids[i]
		t[i].check += checks[i]
	}
}

// estimator is a count sketch of one row: each id adds 1 to one of the counters,
// or takes 1 away. The squares of two estimators' differences add up to the
// number of ids that differ, with a standard deviation of an eighth of it
// (Charikar, Chen, Farach-Colton: Finding frequent items in data streams, 2004).
// As only differences matter, counters are kept modulo 256.
type estimator [estimators]uint8

// difference estimates how many ids differ. It is reliable up to a hundred
// thousand, from where on the counters wrap.
func (e *estimator) difference(o *estimator) int {
	sum := 0
	for i := range e {
		d := int(int8(e[i] - o[i]))
		sum += d * d
	}
	return sum
}

// resketch does to the sketch what by was to the tree: update takes the old ids out
// and puts the new ones in. Where the tree has outgrown the sketch, it is built anew.
func (t *Tree) resketch(o *owner, by change, update func(*sketch)) {
	if t.sketch != nil {
		s := t.current().own(o)
		if t.fork {
			s.health, t.fork = new(health), false
		}
		update(s)
		s.sum = s.sum.Add(by.sum)
		s.health.paid.Add(1)
		s.adopt()
		t.sketch = s
	}
	if cells, n := t.sketch.cells(), t.Len(); cells < cellsFor(n) || n < cells {
		t.sketch = t.build(o, cellsFor(n))
	}
}

// build makes a sketch of all of t, unless it is to have no cells.
func (t *Tree) build(o *owner, cells int) *sketch {
	if cells == 0 {
		return nil
	}
	s := newSketch(o, cells)
	for e := range t.entries(Full) {
		s.add(t.hasher.sketchID(e.pos, e.sum), 1)
	}
	s.sum = t.Root()
	return s
}
