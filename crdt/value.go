package crdt

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/eventual-go/eventual/vclock"
)

// A Value is what one key holds: at most one state of each kind. So two replicas that begin a counter and a set
// under one key at the same time do not conflict: the key then holds both, and each is found by its type.
//
// The zero Value is empty and ready to use; merge only values of one [Kinds] table. It may be read by several
// goroutines, but not while one changes it or a state in it; copy it by Clone.
type Value struct{ parts []component } // sorted by tag

func (v *Value) search(tag uint64) (int, bool) {
	return slices.BinarySearchFunc(v.list(), tag, func(c component, tag uint64) int {
		return cmp.Compare(c.kind().tag, tag)
	})
}

func (v *Value) list() []component {
	if v == nil {
		return nil
	}
	return v.parts
}

// Component returns the state of type P in v, and whether v has one. It is the state itself, not a copy.
//
//	counter, ok := crdt.Component[*crdt.PNCounter](kinds, v)
func Component[P State[P]](k *Kinds, v *Value) (state P, ok bool) {
	for _, c := range v.list() {
		if b, ok := c.(*boxed[P]); ok && k.has(b.def) {
			return b.state, true
		}
	}
	return state, false
}

// Ensure returns the state of type P in v, and puts in an empty one if there is none. It is the state itself,
// not a copy. It fails with an [*UnknownKindError] if k has no kind for P.
func Ensure[P State[P]](k *Kinds, v *Value) (state P, err error) {
	if state, ok := Component[P](k, v); ok {
		return state, nil
	}
	def, err := kindOf[P](k)
	if err != nil {
		return state, err
	}
	i, found := v.search(def.tag)
	if found { // of another type, so of another table
		return state, &UnknownKindError{Type: reflect.TypeFor[P]()}
	}
	v.parts = slices.Insert(v.parts, i, def.fresh())
	state, _ = Component[P](k, v)
	return state, nil
}

// Wrap returns a value that holds state, a delta for instance. It is the state itself, not a copy; from a nil
// state comes an empty value. It fails with an [*UnknownKindError] if k has no kind for P. See [Kinds.Append] for the
// wire form alone.
func Wrap[P State[P]](k *Kinds, state P) (*Value, error) {
	def, err := kindOf[P](k)
	if err != nil {
		return nil, err
	}
	if isNil(state) {
		return new(Value), nil
	}
	w := new(struct {
		Value
		parts [1]component
		state boxed[P]
	})
	w.state = boxed[P]{def: def, state: state}
	w.parts[0] = &w.state
	w.Value.parts = w.parts[:]
	return &w.Value, nil
}

func isNil[P State[P]](state P) bool {
	var none P
	return any(state) == any(none)
}

// Merge takes in what o knows. See [Lattice].
func (v *Value) Merge(o *Value) (changed bool) {
	for _, theirs := range o.list() {
		changed = v.mergePart(theirs, func(mine component) bool { return mine.merge(theirs) }) || changed
	}
	return changed
}

// mergePart merges into the state of the kind of theirs, which becomes part of v only if that brought something.
func (v *Value) mergePart(theirs component, merge func(mine component) bool) bool {
	i, found := v.search(theirs.kind().tag)
	if found {
		return merge(v.parts[i])
	}
	mine := theirs.kind().fresh()
	if !merge(mine) {
		return false
	}
	v.parts = slices.Insert(v.parts, i, mine)
	return true
}

// MergeNovel merges o and returns what was new in it. See [Delta]. Of a kind that does not implement Delta, the
// whole state is taken for new if any of it was.
func (v *Value) MergeNovel(o *Value) (novel *Value, changed bool) {
	novel = new(Value)
	for _, theirs := range o.list() {
		v.mergePart(theirs, func(mine component) bool {
			part, changed := mine.mergeNovel(theirs)
			if changed {
				novel.parts = append(novel.parts, part)
			}
			return changed
		})
	}
	return novel, len(novel.parts) > 0
}

// Clone returns a value of its own with the same states.
func (v *Value) Clone() *Value {
	parts := slices.Clone(v.list())
	for i := range parts {
		parts[i] = parts[i].clone()
	}
	return &Value{parts}
}

// Empty reports whether no state in v has anything to show: the key is as if it had never been written. What
// has been removed may still be remembered.
func (v *Value) Empty() bool {
	return !slices.ContainsFunc(v.list(), func(c component) bool { return !c.empty() })
}

// Resettable reports whether Reset would succeed.
func (v *Value) Resettable() bool {
	return !slices.ContainsFunc(v.list(), func(c component) bool { return !c.canReset() && !c.empty() })
}

// Reset resets each state as far as it is known here and returns the delta. If one of them is not empty and its
// type has no method Reset() of its own type, nothing changes and the error is [ErrGrowOnly].
func (v *Value) Reset() (delta *Value, err error) {
	delta = new(Value)
	if !v.Resettable() {
		return delta, ErrGrowOnly
	}
	for _, c := range v.list() {
		delta.parts = append(delta.parts, c.reset())
	}
	return delta, nil
}

// Latest returns the latest timestamp in the states that have one: those with a method Latest. A clock should
// observe it.
func (v *Value) Latest() (latest vclock.Timestamp) {
	for _, c := range v.list() {
		if t := c.latest(); t.Compare(latest) > 0 {
			latest = t
		}
	}
	return latest
}

// MarshalJSON writes an object with the states that are not empty by the names of their kinds. Floats that are no
// numbers are text, "NaN", "+Inf" or "-Inf", in all types of this package. It fails, with the name of the kind, where a
// type of the user's cannot be written as JSON.
func (v *Value) MarshalJSON() ([]byte, error) {
	object := make(map[string]json.RawMessage)
	for _, c := range v.list() {
		if c.empty() {
			continue
		}
		text, err := c.json()
		if err != nil {
			return nil, fmt.Errorf("crdt: kind %s: %w", c.kind().name, err)
		}
		object[c.kind().name] = text
	}
	return json.Marshal(object)
}
