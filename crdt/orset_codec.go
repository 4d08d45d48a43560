package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// AppendBinary appends the wire form. It returns a [*TypeError] if E cannot be encoded.
func (s *ORSet[E]) AppendBinary(b []byte) ([]byte, error) {
	if s == nil {
		s = new(ORSet[E])
	}
	c, heads, err := s.sorted()
	if err != nil {
		return b, err
	}
	w := formORSet.begin(b, 2)
	table := writeContext(w, &s.seen)
	w.Array(len(heads))
	for _, i := range heads {
		if err := s.writeElement(w, c, table, i); err != nil {
			return w.Done()[:len(b)], err
		}
	}
	return w.Done(), nil
}

// sorted returns one slot of each element, in canonical order of the elements.
func (s *ORSet[E]) sorted() (codec[E], []uint32, error) {
	c, err := elementCodecOf[E]()
	if err != nil {
		return nil, nil, err
	}
	heads := slices.AppendSeq(make([]uint32, 0, s.live.n), s.live.heads())
	return c, heads, sortElements(c, heads, func(i uint32) E { return s.live.slots[i].elem })
}

// writeElement writes the element of slot i and its dots.
func (s *ORSet[E]) writeElement(w *wire.Writer, c codec[E], table replicaTable, i uint32) error {
	var few [4]vclock.Dot
	dots := few[:0]
	for k := range s.live.ring(i) {
		dots = append(dots, s.live.dot(k))
	}
	slices.SortFunc(dots, vclock.Dot.Compare)
	w.Array(1 + 2*len(dots))
	if err := c.write(w, s.live.slots[i].elem); err != nil {
		return err
	}
	for _, d := range dots {
		writeDot(w, table, d)
	}
	return nil
}

// UnmarshalBinary replaces the set by the one in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError], [*VersionError] or [*TypeError] and changes nothing if b is not an ORSet of E.
func (s *ORSet[E]) UnmarshalBinary(b []byte) error {
	c, err := elementCodecOf[E]()
	if err != nil {
		return err
	}
	r, err := formORSet.openOf(b, 2)
	if err != nil {
		return err
	}
	read := readORSet(r, c)
	if err := formORSet.close(r); err != nil {
		return err
	}
	*s = read
	return nil
}

func readORSet[E comparable](r *wire.Reader, c codec[E]) (s ORSet[E]) {
	seen, table := readContext(r)
	s.seen = seen
	n := r.Array()
	var prev E
	for i := range n {
		values := r.Array()
		if values < 3 || values%2 == 0 {
			r.Fail("element without dots")
		}
		e := c.read(r)
		if i > 0 && r.Err() == nil && c.compare(prev, e) >= 0 {
			r.Fail("elements out of order")
		}
		s.readDots(r, e, table, values/2)
		if r.Err() != nil {
			return s
		}
		prev = e
	}
	if s.live.n != n {
		r.Fail("element twice")
	}
	return s
}

func (s *ORSet[E]) readDots(r *wire.Reader, e E, table replicaTable, n int) {
	var d vclock.Dot
	for range n {
		d = readDot(r, &s.seen, table, d)
		if r.Err() != nil {
			return
		}
		if !s.live.insert(e, d) {
			r.Fail("dot lives twice")
		}
	}
}

// MarshalJSON writes the elements as an array, in canonical order. It returns a [*TypeError] if E cannot be
// encoded.
func (s *ORSet[E]) MarshalJSON() ([]byte, error) {
	if s == nil {
		return []byte("[]"), nil
	}
	_, heads, err := s.sorted()
	if err != nil {
		return nil, err
	}
	elems := make([]E, len(heads))
	for k, i := range heads {
		elems[k] = s.live.slots[i].elem
	}
	return marshalArray(elems)
}
