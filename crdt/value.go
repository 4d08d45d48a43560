package crdt

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"github.com/eventual-go/eventual/internal/wire"
	"github.com/eventual-go/eventual/vclock"
)

// A Value is what one key holds: at most one state of each kind. So two replicas that begin a counter and a set
// under one key at the same time do not conflict: the key then holds both, and each is found by its type.
//
// The zero Value is empty and ready to use; merge only values of one [Kinds] table. It may be read by several
// goroutines, but not while one changes it or a state in it; copy it by Clone.
type Value struct{ parts []component } // sorted by tag

const valueName = "value"

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
	def, known := k.byType[reflect.TypeFor[P]()]
	if !known {
		return state, false
	}
	if i, found := v.search(def.tag); found {
		return stateOf[P](v.parts[i])
	}
	return state, false
}

// Ensure returns the state of type P in v, and puts in an empty one if there is none. It is the state itself,
// not a copy. It fails with an [*UnknownKindError] if k has no kind for P.
func Ensure[P State[P]](k *Kinds, v *Value) (state P, err error) {
	def, known := k.byType[reflect.TypeFor[P]()]
	if !known {
		return state, &UnknownKindError{Type: reflect.TypeFor[P]()}
	}
	i, found := v.search(def.tag)
	if !found {
		v.parts = slices.Insert(v.parts, i, def.fresh())
	}
	state, ok := stateOf[P](v.parts[i])
	if !ok {
		return state, &UnknownKindError{Type: reflect.TypeFor[P]()}
	}
	return state, nil
}

// Wrap returns a value that holds state, a delta for instance. It is the state itself, not a copy; from a nil
// state comes an empty value. It fails with an [*UnknownKindError] if k has no kind for P.
func Wrap[P State[P]](k *Kinds, state P) (*Value, error) {
	def, known := k.byType[reflect.TypeFor[P]()]
	if !known {
		return nil, &UnknownKindError{Type: reflect.TypeFor[P]()}
	}
	var none P
	if any(state) == any(none) {
		return new(Value), nil
	}
	return &Value{parts: []component{&boxed[P]{def: def, state: state}}}, nil
}

func stateOf[P State[P]](c component) (state P, ok bool) {
	b, ok := c.(*boxed[P])
	if !ok {
		return state, false
	}
	return b.state, true
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

// Reset resets each state as far as it is known here and returns the delta. If one of them is not empty and its
// type has no method Reset() of its own type, nothing changes and the error is [ErrGrowOnly].
func (v *Value) Reset() (delta *Value, err error) {
	delta = new(Value)
	for _, c := range v.list() {
		if !c.canReset() && !c.empty() {
			return delta, ErrGrowOnly
		}
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

// AppendBinary appends the wire form: nothing if every state is as new, otherwise an array of kind tags and
// states by turns. It fails if a state does.
func (v *Value) AppendBinary(b []byte) ([]byte, error) {
	type field struct {
		tag  uint64
		body []byte
	}
	var fields []field
	for _, c := range v.list() {
		body, err := c.append(nil)
		if err != nil {
			return b, err
		}
		if !bytes.Equal(body, c.kind().bottom) {
			fields = append(fields, field{c.kind().tag, body})
		}
	}
	if len(fields) == 0 {
		return b, nil
	}
	w := wire.NewWriter(b)
	w.Array(2 * len(fields))
	for _, f := range fields {
		w.Uint(f.tag)
		w.Bytes(f.body)
	}
	return w.Done(), nil
}

// Decode returns the value in b, of which it keeps nothing; no bytes are an empty value. The error is a
// [*CorruptError], an [*UnknownKindError], or one from a state.
func (k *Kinds) Decode(b []byte) (*Value, error) {
	v := new(Value)
	if len(b) == 0 {
		return v, nil
	}
	r, err := wire.NewReader(b)
	if err != nil {
		return nil, corrupt(valueName, err)
	}
	n := fields(r, 2)
	if n == 0 {
		r.Fail("no states")
	}
	last := uint64(0)
	for range n {
		tag, body := r.Uint(), r.Bytes()
		if tag <= last {
			r.Fail("kinds out of order")
		}
		if r.Err() != nil {
			break
		}
		c, err := k.decode(tag, body)
		if err != nil {
			return nil, shift(err, r.Offset()-len(body))
		}
		v.parts = append(v.parts, c)
		last = tag
	}
	if err := r.Close(); err != nil {
		return nil, corrupt(valueName, err)
	}
	return v, nil
}

func (k *Kinds) decode(tag uint64, body []byte) (component, error) {
	def, known := k.byTag[tag]
	if !known {
		return nil, &UnknownKindError{Tag: tag}
	}
	if bytes.Equal(body, def.bottom) {
		return nil, &CorruptError{Kind: def.name, Reason: "empty state"}
	}
	c := def.fresh()
	return c, c.unmarshal(body)
}

// shift makes the offset of a CorruptError count from the start of the whole value.
func shift(err error, by int) error {
	if e, ok := errors.AsType[*CorruptError](err); ok {
		return &CorruptError{Kind: e.Kind, Offset: e.Offset + by, Reason: e.Reason}
	}
	return err
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
