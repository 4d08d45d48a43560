package crdt

import (
	"cmp"
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
		writeDots(w, table, &s.added, e)
		writeDots(w, table, &s.removed, e)
	}
	return w.Done(), nil
}

// sorted returns the elements that were added or removed, in canonical order.
func (s *RWSet[E]) sorted() (codec[E], []E, error) {
	c, err := elementCodecOf[E]()
	if err != nil {
		return nil, nil, err
	}
	elems := make([]E, 0, s.added.n+s.removed.n-s.both)
	for i := range s.added.heads() {
		elems = append(elems, s.added.elem(i))
	}
	for i := range s.removed.heads() {
		if e := s.removed.elem(i); !s.added.has(e) {
			elems = append(elems, e)
		}
	}
	return c, elems, sortElements(c, elems, identity[E])
}

// writeDots writes the dots of e.
func writeDots[E comparable](w *wire.Writer, table replicaTable, s *dotStore[E], e E) {
	var few [4]vclock.Dot
	dots := s.appendDots(few[:0], e)
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
	added, removed := newBulk(&s.added, 0), newBulk(&s.removed, 0)
	var prev E
	for i := range fields(r, 3) {
		e := c.read(r)
		if i > 0 && r.Err() == nil && c.compare(prev, e) >= 0 {
			r.Fail("elements out of order")
		}
		adds := s.readDots(r, added, e, table)
		removals := s.readDots(r, removed, e, table)
		if adds+removals == 0 {
			r.Fail("element without dots")
		}
		if r.Err() != nil {
			return s
		}
		if adds > 0 && removals > 0 {
			s.both++
		}
		prev = e
	}
	switch fault := cmp.Or(added.finish(), removed.finish()); {
	case fault != "":
		r.Fail(fault)
	case s.added.living().Intersects(s.removed.living()):
		r.Fail("dot lives twice")
	}
	return s
}

// readDots reads the dots of e and returns their number.
func (s *RWSet[E]) readDots(r *wire.Reader, b *bulk[E], e E, table replicaTable) int {
	var d vclock.Dot
	n := fields(r, 2)
	for k := range n {
		d = readDot(r, &s.seen, table, d)
		if r.Err() != nil {
			return n
		}
		b.add(e, d, k > 0)
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
