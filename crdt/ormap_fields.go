package crdt

import (
	"iter"

	"github.com/eventual-go/eventual/vclock"
)

// orPlace is where a field is, or would be.
type orPlace[K comparable] struct {
	m    *ORMap[K]
	path []K
	kind FieldKind
}

// node returns the field, nil if there is nothing in it.
func (p orPlace[K]) node() *orNode[K] {
	if p.m == nil || len(p.path) == 0 {
		return nil
	}
	n, last := p.m.root, len(p.path)-1
	for _, key := range p.path[:last] {
		n = n.child(key, FieldMap)
	}
	return n.child(p.path[last], p.kind)
}

// ensure is node, and makes the field in m.
func (p orPlace[K]) ensure(m *ORMap[K]) *orNode[K] {
	n, last := m.like(new(orNode[K])), len(p.path)-1
	for _, key := range p.path[:last] {
		n = n.ensure(key, FieldMap)
	}
	return n.ensure(p.path[last], p.kind)
}

// write makes e an event of r in the place of first, which is what it overwrites, together with what is chained to
// that. It returns the delta.
func (p orPlace[K]) write(r vclock.ReplicaID, e orEntry[K], first *orEntry[K]) (delta *ORMap[K]) {
	var killed grave
	delta = new(ORMap[K])
	p.writeTo(delta, r, e, first, &killed)
	killed.into(&delta.seen)
	return delta
}

// writeTo is write for one of several events of a delta. What it overwrites goes to killed.
func (p orPlace[K]) writeTo(delta *ORMap[K], r vclock.ReplicaID, e orEntry[K], first *orEntry[K], killed *grave) {
	if e.dot = p.next(r); e.dot.IsZero() {
		return
	}
	walkChain(first, func(old *orEntry[K]) { p.m.kill(old, killed) })
	for _, m := range []*ORMap[K]{p.m, delta} {
		m.put(p.ensure(m), &e)
	}
}

// next returns the next event of r, the zero Dot if r can write nothing here.
func (p orPlace[K]) next(r vclock.ReplicaID) vclock.Dot {
	if len(p.path) > MapDepth {
		return vclock.Dot{}
	}
	return p.m.seen.Next(r)
}

// reset takes away what is in the field and below.
func (p orPlace[K]) reset() (delta *ORMap[K]) {
	var killed grave
	p.node().walk(func(e *orEntry[K]) { p.m.kill(e, &killed) })
	return named[K](killed)
}

// MapField is a map in an [ORMap]. It is there while something is in it. Its methods are those of ORMap.
type MapField[K comparable] struct {
	m    *ORMap[K]
	path []K
}

func (f MapField[K]) place(key K, kind FieldKind) orPlace[K] {
	path := make([]K, len(f.path)+1)
	copy(path, f.path)
	path[len(f.path)] = key
	return orPlace[K]{f.m, path, kind}
}

// node returns the map, nil if there is nothing in it.
func (f MapField[K]) node() *orNode[K] {
	if f.m == nil {
		return nil
	}
	n := f.m.root
	for _, key := range f.path {
		n = n.child(key, FieldMap)
	}
	return n
}

// Counter returns the counter under key.
func (f MapField[K]) Counter(key K) CounterField[K] {
	return CounterField[K]{f.place(key, FieldCounter)}
}

// Set returns the set under key.
func (f MapField[K]) Set(key K) SetField[K] { return SetField[K]{f.place(key, FieldSet)} }

// LWWRegister returns the register of the last write under key.
func (f MapField[K]) LWWRegister(key K) LWWField[K] {
	return LWWField[K]{f.place(key, FieldLWWRegister)}
}

// MVRegister returns the register of all values that nobody has overwritten, under key.
func (f MapField[K]) MVRegister(key K) MVField[K] {
	return MVField[K]{f.place(key, FieldMVRegister)}
}

// Flag returns the flag under key.
func (f MapField[K]) Flag(key K) FlagField[K] { return FlagField[K]{f.place(key, FieldFlag)} }

// Map returns the map under key.
func (f MapField[K]) Map(key K) MapField[K] {
	return MapField[K]{f.m, f.place(key, FieldMap).path}
}

// Remove takes away what is known here under the keys, of all kinds and with all that is below, and returns the
// delta. See [ORMap.Remove].
func (f MapField[K]) Remove(keys ...K) (delta *ORMap[K]) {
	var killed grave
	for _, key := range keys {
		walkKinds(f.node().under(key), func(e *orEntry[K]) { f.m.kill(e, &killed) })
	}
	return named[K](killed)
}

// Reset takes away everything that is known here in the map, and returns the delta. Other kinds under its key stay.
func (f MapField[K]) Reset() (delta *ORMap[K]) {
	var killed grave
	f.node().walk(func(e *orEntry[K]) { f.m.kill(e, &killed) })
	return named[K](killed)
}

// Has reports whether there is anything under key.
func (f MapField[K]) Has(key K) bool {
	return f.node().under(key) != nil
}

// Len is the number of keys.
func (f MapField[K]) Len() int {
	if n := f.node(); n != nil {
		return n.fields.len()
	}
	return 0
}

// Empty reports whether there are no keys; then there is no such map.
func (f MapField[K]) Empty() bool { return f.Len() == 0 }

// All yields each key with each kind of field under it, in no particular order of keys. The map must not change
// meanwhile.
func (f MapField[K]) All() iter.Seq2[K, FieldKind] {
	return func(yield func(K, FieldKind) bool) {
		n := f.node()
		if n == nil {
			return
		}
		for key, c := range n.fields.all() {
			for ; c != nil; c = c.sibling {
				if !yield(key, c.kind) {
					return
				}
			}
		}
	}
}
