package crdt

import (
	"encoding/json"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// The body is the context and the top map. A map is an array of key, kind and field by turns, in order of keys and
// then of kinds, and so on downwards. The other kinds of fields are arrays of entries in order of dots, all their
// values in one row; a set has by turns an element and an array of its dots, in order of elements.
//
//	counter       replica seq n folded     folded: an array with the distance from each number to the next
//	lwwregister   replica seq wall logical by value    by: nil if the timestamp is by the replica of the dot
//	mvregister    replica seq value
//	flag          replica seq
//
// A replica is its place in the table that comes with the context.

// orWriter writes one map.
type orWriter[K comparable] struct {
	*wire.Writer
	keys  codec[K]
	table replicaTable
	err   error
}

// AppendBinary appends the wire form. It returns a [*TypeError] if K cannot be encoded.
func (m *ORMap[K]) AppendBinary(b []byte) ([]byte, error) {
	keys, err := elementCodecOf[K]()
	if err != nil {
		return b, err
	}
	if m == nil {
		m = new(ORMap[K])
	}
	w := orWriter[K]{Writer: formORMap.begin(b, 2), keys: keys}
	w.table = writeContext(w.Writer, &m.seen)
	w.fields(m.root)
	if w.err != nil {
		return w.Done()[:len(b)], w.err
	}
	return w.Done(), nil
}

// fields writes the fields of a map.
func (w *orWriter[K]) fields(n *orNode[K]) {
	keys, err := n.sorted(w.keys)
	if err != nil {
		w.err = err
	}
	fields := 0
	for _, key := range keys {
		for c := n.under(key); c != nil; c = c.sibling {
			fields++
		}
	}
	w.Array(3 * fields)
	for _, key := range keys {
		for c := n.under(key); c != nil && w.err == nil; c = c.sibling {
			w.err = w.keys.write(w.Writer, key)
			w.Uint(uint64(c.kind))
			w.field(c)
		}
	}
}

// sorted returns the keys of a map in canonical order.
func (n *orNode[K]) sorted(c codec[K]) ([]K, error) {
	if n == nil {
		return nil, nil
	}
	keys := make([]K, 0, n.fields.len())
	for key := range n.fields.all() {
		keys = append(keys, key)
	}
	return keys, sortElements(c, keys, identity[K])
}

// elements returns those of a set in order.
func (n *orNode[K]) elements() []string {
	elems := make([]string, 0, n.elems.len())
	for elem := range n.elems.all() {
		elems = append(elems, elem)
	}
	slices.Sort(elems)
	return elems
}

func (w *orWriter[K]) field(n *orNode[K]) {
	switch n.kind {
	case FieldMap:
		w.fields(n)
	case FieldSet:
		w.Array(2 * n.elems.len())
		for _, elem := range n.elements() {
			w.String(elem)
			w.entries(n.first(elem))
		}
	default:
		w.entries(n.head)
	}
}

// entries writes the entries of one field, or of one element.
func (w *orWriter[K]) entries(first *orEntry[K]) {
	var entries []*orEntry[K]
	walkChain(first, func(e *orEntry[K]) { entries = append(entries, e) })
	slices.SortFunc(entries, func(a, b *orEntry[K]) int { return a.dot.Compare(b.dot) })
	w.Array(len(entries) * width(first.at.kind))
	for _, e := range entries {
		writeDot(w.Writer, w.table, e.dot)
		w.content(e)
	}
}

// width is how many values an entry has on the wire.
func width(k FieldKind) int {
	switch k {
	case FieldCounter:
		return 4
	case FieldLWWRegister:
		return 6
	case FieldMVRegister:
		return 3
	}
	return 2
}

func (w *orWriter[K]) content(e *orEntry[K]) {
	switch e.at.kind {
	case FieldCounter:
		w.Int(e.n)
		w.folded(e.folded())
	case FieldLWWRegister:
		w.Int(e.more.time.Wall)
		w.Uint(uint64(e.more.time.Logical))
		if by := e.more.time.Replica; by == e.dot.Replica {
			w.Nil()
		} else {
			writeReplica(w.Writer, by)
		}
		w.String(e.text)
	case FieldMVRegister:
		w.String(e.text)
	}
}

func (w *orWriter[K]) folded(seqs []uint64) {
	last := uint64(0)
	w.Array(len(seqs))
	for _, seq := range seqs {
		w.Uint(seq - last)
		last = seq
	}
}

// orReader reads one map.
type orReader[K comparable] struct {
	*wire.Reader
	keys  codec[K]
	table replicaTable
	into  *ORMap[K]
}

// UnmarshalBinary replaces the map by the one in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError], [*VersionError] or [*TypeError] and changes nothing if b is not an ORMap of K.
func (m *ORMap[K]) UnmarshalBinary(b []byte) error {
	keys, err := elementCodecOf[K]()
	if err != nil {
		return err
	}
	in, err := formORMap.openOf(b, 2)
	if err != nil {
		return err
	}
	r := orReader[K]{Reader: in, keys: keys, into: new(ORMap[K])}
	r.into.seen, r.table = readContext(in)
	r.into.root = &orNode[K]{kind: FieldMap}
	r.fields(r.into.root, 0)
	if err := formORMap.close(in); err != nil {
		return err
	}
	*m = *r.into
	return nil
}

func (r *orReader[K]) fields(n *orNode[K], depth int) {
	var prev K
	var prevKind FieldKind
	for i := range fields(r.Reader, 3) {
		key := r.keys.read(r.Reader)
		kind := r.Uint()
		switch order := r.compare(prev, key); {
		case r.Err() != nil:
			return
		case kind < uint64(FieldCounter) || kind > uint64(FieldMap):
			r.Fail("no such kind of field")
		case i > 0 && (order > 0 || order == 0 && FieldKind(kind) <= prevKind):
			r.Fail("fields out of order")
		case depth == MapDepth:
			r.Fail("maps nested too deep")
		}
		prev, prevKind = key, FieldKind(kind)
		if r.Err() != nil {
			return
		}
		r.field(n.ensure(key, prevKind), depth+1)
	}
}

func (r *orReader[K]) compare(a, b K) int {
	if r.Err() != nil {
		return 0
	}
	return r.keys.compare(a, b)
}

func (r *orReader[K]) field(n *orNode[K], depth int) {
	switch n.kind {
	case FieldMap:
		r.fields(n, depth)
	case FieldSet:
		r.elements(n)
	default:
		r.entries(n, orEntry[K]{})
	}
	if n.isEmpty() {
		r.Fail("field with nothing in it")
	}
}

func (r *orReader[K]) elements(n *orNode[K]) {
	prev := ""
	for i := range fields(r.Reader, 2) {
		elem := r.String()
		if i > 0 && elem <= prev {
			r.Fail("elements out of order")
		}
		r.entries(n, orEntry[K]{text: elem})
		if r.Err() == nil && n.first(elem) == nil {
			r.Fail("element without dots")
		}
		if r.Err() != nil {
			return
		}
		prev = elem
	}
}

// entries reads the entries of one field, or of the element in e.
func (r *orReader[K]) entries(n *orNode[K], e orEntry[K]) {
	for range fields(r.Reader, width(n.kind)) {
		e.dot = readDot(r.Reader, &r.into.seen, r.table, e.dot)
		r.content(n.kind, &e)
		if r.Err() != nil {
			return
		}
		if !r.into.insert(n, &e) {
			r.Fail("dot lives twice")
		}
	}
}

func (r *orReader[K]) content(kind FieldKind, e *orEntry[K]) {
	switch kind {
	case FieldCounter:
		e.n, e.more = r.Int(), r.folded(e.dot)
		if e.n == 0 && e.more == nil {
			r.Fail("entry without a count")
		}
	case FieldLWWRegister:
		e.more = &orMore{time: r.time(e.dot.Replica)}
		e.text = r.String()
	case FieldMVRegister:
		e.text = r.String()
	}
}

// time reads the timestamp of a write by a replica.
func (r *orReader[K]) time(by vclock.ReplicaID) (t vclock.Timestamp) {
	t.Wall, t.Logical = r.Int(), uints[uint32]{}.read(r.Reader)
	if t.Replica = by; !r.IsNil() {
		if t.Replica = readAnyReplica(r.Reader); t.Replica == by {
			r.Fail("replica of the dot written out")
		}
	}
	return t
}

// folded reads the numbers of the events that the one at d stands for.
func (r *orReader[K]) folded(d vclock.Dot) *orMore {
	n := r.Array()
	if n == 0 {
		return nil
	}
	more := &orMore{folded: make([]uint64, 0, min(n, 1<<12))} // what n claims is not yet paid for
	seq := uint64(0)
	for range n {
		after := seq + r.Uint()
		if r.Err() == nil && (after <= seq || after >= d.Seq) {
			r.Fail("folded events out of order")
		}
		if seq = after; r.Err() == nil && !r.into.seen.Has(vclock.Dot{Replica: d.Replica, Seq: seq}) {
			r.Fail("dot outside of the context")
		}
		if r.Err() != nil {
			return nil
		}
		more.folded = append(more.folded, seq)
	}
	return more
}

// MarshalJSON writes an object of the keys, in canonical order: for a counter a number, for a set and a multi-value
// register an array, for a register its value, for a flag true, for a map an object. Several kinds under one key
// become an object of them by their names. It returns a [*TypeError] if K cannot be encoded.
func (m *ORMap[K]) MarshalJSON() ([]byte, error) {
	keys, err := elementCodecOf[K]()
	if err != nil {
		return nil, err
	}
	return m.top().node().json(nil, keys)
}

func (n *orNode[K]) json(b []byte, c codec[K]) ([]byte, error) {
	keys, err := n.sorted(c)
	if err != nil {
		return nil, err
	}
	b = append(b, '{')
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := textOf(key)
		if err != nil {
			return nil, err
		}
		if name[0] != '"' {
			name, _ = json.Marshal(string(name))
		}
		b = append(append(b, name...), ':')
		if b, err = n.under(key).jsonKinds(b, c); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

// jsonKinds writes the fields under one key.
func (n *orNode[K]) jsonKinds(b []byte, c codec[K]) (_ []byte, err error) {
	if n.sibling == nil {
		return n.jsonField(b, c)
	}
	start := byte('{')
	for ; n != nil; n = n.sibling {
		b = append(append(append(b, start, '"'), n.kind.String()...), '"', ':')
		if b, err = n.jsonField(b, c); err != nil {
			return nil, err
		}
		start = ','
	}
	return append(b, '}'), nil
}

func (n *orNode[K]) jsonField(b []byte, c codec[K]) ([]byte, error) {
	var value any
	switch n.kind {
	case FieldMap:
		return n.json(b, c)
	case FieldCounter:
		value = n.sum()
	case FieldSet:
		value = n.elements()
	case FieldLWWRegister:
		value = n.latest().text
	case FieldMVRegister:
		value = n.texts()
	case FieldFlag:
		value = true
	}
	text, err := json.Marshal(value)
	return append(b, text...), err
}
