package crdt

import (
	"slices"
	"unsafe"

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
	places := make([]uint64, len(s.live.lanes)) // of the lanes' replicas in the table
	for k := range places {
		places[k] = table.index(s.live.lanes[k].replica)
	}
	w.Array(len(heads))
	for _, i := range heads {
		if err := s.writeElement(w, c, places, i); err != nil {
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
	if _, ok := c.(cast[E, string, strs]); ok {
		s.sortTexts(heads)
		return c, heads, nil
	}
	return c, heads, sortElements(c, heads, s.live.elem)
}

func (s *ORSet[E]) sortTexts(heads []uint32) {
	list := make([]text, len(heads))
	for k, i := range heads {
		list[k].slot = i
	}
	t := texts{of: func(i uint32) string { return as[string](s.live.at(i).elem) }}
	t.sort(list, 0)
	for k := range list {
		heads[k] = list[k].slot
	}
}

// writeElement writes the element of slot i and its dots.
func (s *ORSet[E]) writeElement(w *wire.Writer, c codec[E], places []uint64, i uint32) error {
	at := s.live.at(i)
	if at.isShared() {
		return s.writeShared(w, c, places, i)
	}
	w.Array(3)
	if err := c.write(w, at.elem); err != nil {
		return err
	}
	w.Uint(places[at.lane])
	w.Uint(s.live.lanes[at.lane].seq(at.low))
	return nil
}

// writeShared does so for an element with several dots.
func (s *ORSet[E]) writeShared(w *wire.Writer, c codec[E], places []uint64, i uint32) error {
	ring := slices.Collect(s.live.ring(i))
	slices.SortFunc(ring, func(a, b uint32) int { return s.live.dot(a).Compare(s.live.dot(b)) })
	w.Array(1 + 2*len(ring))
	if err := c.write(w, s.live.at(i).elem); err != nil {
		return err
	}
	for _, k := range ring {
		w.Uint(places[s.live.at(k).lane&^shared])
		w.Uint(s.live.dot(k).Seq)
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
	b := newBulk(&s.live, roomFor[E](n, r.Left()))
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
		s.readDots(r, b, e, table, values/2)
		if r.Err() != nil {
			return s
		}
		prev = e
	}
	if fault := b.finish(); fault != "" {
		r.Fail(fault)
	}
	return s
}

// leastElement is how many bytes an element takes at least: two heads and a dot.
const leastElement = 4

// roomFor is for how many of n elements to make room before they are read, where so many bytes are left. Those pay
// for it: what they claim costs no more than a multiple of them, however large an element is in memory. That is enough
// for all strings and numbers, and others get their room as they come.
func roomFor[E comparable](n, left int) int {
	const payment = 20 // for 4 bytes the slot of a string and its part of the index
	size := unsafe.Sizeof(slot[E]{}) + 2*unsafe.Sizeof(group[E]{})/groupSize
	return min(n, left/leastElement, payment*left/int(size))
}

func (s *ORSet[E]) readDots(r *wire.Reader, b *bulk[E], e E, table replicaTable, n int) {
	var d vclock.Dot
	for k := range n {
		d = readDot(r, &s.seen, table, d)
		if r.Err() != nil {
			return
		}
		b.add(e, d, k > 0)
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
		elems[k] = s.live.elem(i)
	}
	return marshalArray(elems)
}
