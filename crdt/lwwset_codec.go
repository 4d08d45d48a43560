package crdt

import (
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

var formLWWSet = form{"lwwset", 11}

// AppendBinary appends the wire form. It returns a [*TypeError] if E cannot be encoded.
func (s *LWWSet[E]) AppendBinary(b []byte) ([]byte, error) {
	c, elems, err := s.sorted()
	if err != nil {
		return b, err
	}
	w := formLWWSet.begin(b, 2)
	table := s.table()
	w.Array(len(table))
	for _, id := range table {
		writeReplica(w, id)
	}
	w.Array(5 * len(elems))
	for _, e := range elems {
		if err := c.write(w, e); err != nil {
			return w.Done()[:len(b)], err
		}
		last, _ := s.m.get(e)
		s.writeLast(w, table, last)
	}
	return w.Done(), nil
}

func (s *LWWSet[E]) writeLast(w *wire.Writer, table replicaTable, last lastWrite) {
	w.Int(last.wall)
	w.Uint(uint64(last.logical))
	w.Uint(table.index(s.at(last).Replica))
	w.Bool(last.removal())
}

// table returns the replicas of the writes, of which the roster may have more.
func (s *LWWSet[E]) table() (t replicaTable) {
	if s == nil {
		return nil
	}
	used := make([]bool, len(s.writers.ids))
	for _, last := range s.m.all() {
		used[last.who>>1] = true
	}
	for _, at := range s.writers.order {
		if used[at] {
			t = append(t, s.writers.ids[at])
		}
	}
	return t
}

// sorted returns all elements, in and out, in canonical order.
func (s *LWWSet[E]) sorted() (codec[E], []E, error) {
	c, err := elementCodecOf[E]()
	if err != nil {
		return nil, nil, err
	}
	elems := make([]E, 0, s.writes().len())
	for e := range s.writes().all() {
		elems = append(elems, e)
	}
	return c, elems, sortElements(c, elems, identity[E])
}

// UnmarshalBinary replaces the set by the one in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError], [*VersionError] or [*TypeError] and changes nothing if b is not an LWWSet of E.
func (s *LWWSet[E]) UnmarshalBinary(b []byte) error {
	c, err := elementCodecOf[E]()
	if err != nil {
		return err
	}
	r, err := formLWWSet.openOf(b, 2)
	if err != nil {
		return err
	}
	read := readLWWSet(r, c)
	if err := formLWWSet.close(r); err != nil {
		return err
	}
	*s = read
	return nil
}

func readLWWSet[E comparable](r *wire.Reader, c codec[E]) (s LWWSet[E]) {
	table := readRoster(r)
	var prev E
	n := fields(r, 5)
	for i := range n {
		e := c.read(r)
		if i > 0 && r.Err() == nil && c.compare(prev, e) >= 0 {
			r.Fail("elements out of order")
		}
		at, removal := readTimestamp(r, table), r.Bool()
		if r.Err() != nil {
			return s
		}
		s.put(e, at, removal)
		prev = e
	}
	if s.m.len() != n {
		r.Fail("element twice")
	}
	if len(s.writers.ids) != len(table) {
		r.Fail("replica without a write")
	}
	return s
}

// readRoster reads replicas in order. Other than in a context, the zero replica may be among them.
func readRoster(r *wire.Reader) (table replicaTable) {
	for i := range r.Array() {
		id := readAnyReplica(r)
		if i > 0 && id.Compare(table[i-1]) <= 0 {
			r.Fail("replicas out of order")
		}
		if r.Err() != nil {
			return table
		}
		table = append(table, id)
	}
	return table
}

// readTimestamp reads a timestamp whose replica is a place in table.
func readTimestamp(r *wire.Reader, table replicaTable) (at vclock.Timestamp) {
	at.Wall = r.Int()
	at.Logical = uints[uint32]{}.read(r)
	i := r.Uint()
	if i >= uint64(len(table)) {
		r.Fail("no such replica")
		return at
	}
	at.Replica = table[i]
	return at
}

// MarshalJSON writes the elements that are in as an array, in canonical order. It returns a [*TypeError] if E cannot
// be encoded.
func (s *LWWSet[E]) MarshalJSON() ([]byte, error) {
	_, elems, err := s.sorted()
	if err != nil {
		return nil, err
	}
	return marshalArray(slices.DeleteFunc(elems, func(e E) bool { return !s.Has(e) }))
}
