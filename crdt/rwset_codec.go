package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

var formRWSet = form{"rwset", 10}

// AppendBinary appends the wire form. It returns a [*TypeError] if E cannot be encoded.
func (s *RWSet[E]) AppendBinary(b []byte) ([]byte, error) {
	if s == nil {
		s = new(RWSet[E])
	}
	c, elems, err := s.sorted()
	if err != nil {
		return b, err
	}
	w := formRWSet.begin(b, 2)
	table := writeContext(w, &s.seen)
	w.Array(3 * len(elems))
	for _, e := range elems {
		if err := c.write(w, e); err != nil {
			return w.Done()[:len(b)], err
		}
		s.writeMark(w, table, mark[E]{e, false})
		s.writeMark(w, table, mark[E]{e, true})
	}
	return w.Done(), nil
}

// sorted returns the elements that have any mark, in canonical order.
func (s *RWSet[E]) sorted() (codec[E], []E, error) {
	c, err := elementCodecOf[E]()
	if err != nil {
		return nil, nil, err
	}
	elems := make([]E, 0, s.live.n)
	for i := range s.live.heads() {
		m := s.live.elem(i)
		if !m.removal || !s.hasMark(mark[E]{m.elem, false}) {
			elems = append(elems, m.elem)
		}
	}
	return c, elems, sortElements(c, elems, identity[E])
}

// writeMark writes the dots of m.
func (s *RWSet[E]) writeMark(w *wire.Writer, table replicaTable, m mark[E]) {
	var few [4]vclock.Dot
	dots := s.dots(m, few[:0])
	w.Array(2 * len(dots))
	for _, d := range dots {
		writeDot(w, table, d)
	}
}

// UnmarshalBinary replaces the set by the one in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError], [*VersionError] or [*TypeError] and changes nothing if b is not an RWSet of E.
func (s *RWSet[E]) UnmarshalBinary(b []byte) error {
	c, err := elementCodecOf[E]()
	if err != nil {
		return err
	}
	r, err := formRWSet.openOf(b, 2)
	if err != nil {
		return err
	}
	read := readRWSet(r, c)
	if err := formRWSet.close(r); err != nil {
		return err
	}
	*s = read
	return nil
}

func readRWSet[E comparable](r *wire.Reader, c codec[E]) (s RWSet[E]) {
	seen, table := readContext(r)
	s.seen = seen
	marks := 0
	var prev E
	for i := range fields(r, 3) {
		e := c.read(r)
		if i > 0 && r.Err() == nil && c.compare(prev, e) >= 0 {
			r.Fail("elements out of order")
		}
		added := s.readMark(r, table, mark[E]{e, false})
		removed := s.readMark(r, table, mark[E]{e, true})
		if added+removed == 0 {
			r.Fail("element without dots")
		}
		if r.Err() != nil {
			return s
		}
		marks += min(added, 1) + min(removed, 1)
		prev = e
	}
	if s.live.n != marks {
		r.Fail("element twice")
	}
	return s
}

// readMark reads the dots of m and returns their number.
func (s *RWSet[E]) readMark(r *wire.Reader, table replicaTable, m mark[E]) int {
	var d vclock.Dot
	n := fields(r, 2)
	for range n {
		d = readDot(r, &s.seen, table, d)
		if r.Err() != nil {
			return n
		}
		if !s.insert(m, d) {
			r.Fail("dot lives twice")
		}
	}
	return n
}

// MarshalJSON writes the elements as an array, in canonical order. It returns a [*TypeError] if E cannot be
// encoded.
func (s *RWSet[E]) MarshalJSON() ([]byte, error) {
	if s == nil {
		return []byte("[]"), nil
	}
	_, elems, err := s.sorted()
	if err != nil {
		return nil, err
	}
	return marshalArray(slices.DeleteFunc(elems, func(e E) bool { return !s.Has(e) }))
}
