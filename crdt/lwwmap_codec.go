package crdt

import (
	"encoding"
	"encoding/json"
	"iter"
	"maps"
	"reflect"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

var formLWWMap = form{"lwwmap", 14}

// AppendBinary appends the wire form. It returns a [*TypeError] if K or V, or one of the values, cannot be
// encoded.
func (m *LWWMap[K, V]) AppendBinary(b []byte) ([]byte, error) {
	c, keys, err := sortedKeys(m.bindings().all(), m.bindings().len())
	if err != nil {
		return b, err
	}
	values, err := codecOf[V]()
	if err != nil {
		return b, err
	}
	w := formLWWMap.begin(b, 2)
	ids := m.replicas()
	writeNames(w, ids)
	w.Array(len(keys))
	for _, k := range keys {
		if err := m.writeBinding(w, c, values, ids, k); err != nil {
			return w.Done()[:len(b)], err
		}
	}
	return w.Done(), nil
}

// sortedKeys returns the keys of n pairs in canonical order.
func sortedKeys[K comparable, B any](all iter.Seq2[K, B], n int) (codec[K], []K, error) {
	c, err := elementCodecOf[K]()
	if err != nil {
		return nil, nil, err
	}
	keys := make([]K, 0, n)
	for k := range all {
		keys = append(keys, k)
	}
	return c, keys, sortElements(c, keys, identity[K])
}

func (m *LWWMap[K, V]) replicas() replicaTable {
	few := make(map[vclock.ReplicaID]struct{})
	for _, b := range m.bindings().all() {
		few[b.at.Replica] = struct{}{}
	}
	return namesOf(slices.Collect(maps.Keys(few)))
}

// writeBinding writes the key, the kind of write, its timestamp, and the value if there is one.
func (m *LWWMap[K, V]) writeBinding(w *wire.Writer, c codec[K], values codec[V], ids replicaTable, k K) error {
	b, _ := m.m.get(k)
	n := 5
	if b.tie == bindingSet {
		n = 6
	}
	w.Array(n)
	if err := c.write(w, k); err != nil {
		return err
	}
	w.Uint(uint64(b.tie))
	w.Int(b.at.Wall)
	w.Uint(uint64(b.at.Logical))
	w.Uint(ids.index(b.at.Replica))
	if b.tie != bindingSet {
		return nil
	}
	return values.write(w, b.value)
}

// UnmarshalBinary replaces the map by the one in b, of which it keeps nothing. It returns a [*CorruptError],
// [*MismatchError], [*VersionError] or [*TypeError] and changes nothing if b is not an LWWMap of K and V.
func (m *LWWMap[K, V]) UnmarshalBinary(b []byte) error {
	keys, err := elementCodecOf[K]()
	if err != nil {
		return err
	}
	values, err := codecOf[V]()
	if err != nil {
		return err
	}
	r, err := formLWWMap.openOf(b, 2)
	if err != nil {
		return err
	}
	read := readLWWMap(r, keys, values)
	if err := formLWWMap.close(r); err != nil {
		return err
	}
	*m = read
	return nil
}

func readLWWMap[K comparable, V any](r *wire.Reader, keys codec[K], values codec[V]) (m LWWMap[K, V]) {
	ids := readNames(r)
	n := r.Array()
	var prev K
	for i := range n {
		fields := r.Array()
		k := keys.read(r)
		if i > 0 && r.Err() == nil && keys.compare(prev, k) >= 0 {
			r.Fail("keys out of order")
		}
		b := readBinding(r, values, &ids, fields)
		if r.Err() != nil {
			return m
		}
		m.join(k, b)
		prev = k
	}
	if m.m.len() != n {
		r.Fail("key twice")
	}
	ids.close(r)
	return m
}

func readBinding[V any](r *wire.Reader, values codec[V], ids *nameReader, fields int) (b binding[V]) {
	tie := r.Uint()
	if tie >= uint64(bindingStates) {
		r.Fail("no such kind of write")
	}
	b.tie = bindingState(tie)
	if want := 5; b.tie == bindingSet && fields != want+1 || b.tie != bindingSet && fields != want {
		r.Fail("wrong number of fields")
	}
	b.at.Wall = r.Int()
	b.at.Logical = uints[uint32]{}.read(r)
	b.at.Replica = ids.read(r)
	if b.tie == bindingSet && r.Err() == nil {
		b.value = values.read(r)
	}
	return b
}

// MarshalJSON writes an object if the keys can be names in one: strings, integers, and what writes itself as
// text. Otherwise it writes an array of pairs of key and value, in canonical order, and returns a [*TypeError] if
// K cannot be encoded. For floats see [Value.MarshalJSON].
func (m *LWWMap[K, V]) MarshalJSON() ([]byte, error) {
	texts := make(map[K]json.RawMessage, m.Len())
	for k, v := range m.All() {
		text, err := textOf(v)
		if err != nil {
			return nil, err
		}
		texts[k] = text
	}
	if canBeName(reflect.TypeFor[K]()) {
		return textOf(texts)
	}
	_, keys, err := sortedKeys(m.All(), m.Len())
	if err != nil {
		return nil, err
	}
	pairs := make([][2]json.RawMessage, len(keys))
	for i, k := range keys {
		name, err := textOf(k)
		if err != nil {
			return nil, err
		}
		pairs[i] = [2]json.RawMessage{name, texts[k]}
	}
	return marshalArray(pairs)
}

// canBeName reports whether package json writes maps with such keys.
func canBeName(t reflect.Type) bool {
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return true
	}
	k := t.Kind()
	return k == reflect.String || k >= reflect.Int && k <= reflect.Uint64
}
