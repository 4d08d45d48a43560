package crdt

import (
	"bytes"
	"encoding"
	"errors"
	"reflect"

	"github.com/eventual-go/eventual/internal/wire"
)

const valueName = "value"

// AppendBinary appends the wire form: nothing if every state is as new, otherwise an array of kind tags and
// states by turns. It fails if a state does.
func (v *Value) AppendBinary(b []byte) ([]byte, error) {
	f := beginFields(b)
	for _, c := range v.list() {
		var err error
		if f, err = c.append(f); err != nil {
			return b, err
		}
	}
	return f.end(b), nil
}

// Append appends the wire form of a [Value] that holds state and nothing else: that of [Wrap], without making one. So it
// appends nothing if the state is as new, or a nil pointer. It fails with an [*UnknownKindError] if k has no kind for the
// type of state, or as the state does, and then returns b.
func (k *Kinds) Append(b []byte, state encoding.BinaryAppender) ([]byte, error) {
	def, err := k.kindFor(reflect.TypeOf(state))
	if err != nil || reflect.ValueOf(state).IsNil() {
		return b, err
	}
	f, err := beginFields(b).with(def, state)
	if err != nil {
		return b, err
	}
	return f.end(b), nil
}

// valueFields is the array of tags and states that a value is, while it is written.
type valueFields struct {
	b  []byte
	at int // where the array begins
	n  int // states
}

func beginFields(b []byte) valueFields {
	b = wire.BeginArray(b)
	return valueFields{b: b, at: len(b)}
}

// with appends a state unless it is as new.
func (f valueFields) with(def *kindDef, state encoding.BinaryAppender) (valueFields, error) {
	b := wire.BeginBytes(wire.AppendUint(f.b, def.tag))
	at := len(b)
	b, err := state.AppendBinary(b)
	if err != nil || bytes.Equal(b[at:], def.bottom) {
		return f, err
	}
	return valueFields{b: wire.EndBytes(b, at), at: f.at, n: f.n + 1}, nil
}

// end returns the bytes, and those that were there before if nothing came.
func (f valueFields) end(before []byte) []byte {
	if f.n == 0 {
		return before
	}
	return wire.EndArray(f.b, f.at, 2*f.n)
}

// Decode returns the value in b, of which it keeps nothing; no bytes are an empty value. The error is a
// [*CorruptError], an [*UnknownKindError], or one from a state.
func (k *Kinds) Decode(b []byte) (*Value, error) {
	if len(b) == 0 {
		return new(Value), nil
	}
	r, err := wire.NewReader(b)
	if err != nil {
		return nil, corrupt(valueName, err)
	}
	n := fields(r, 2)
	if n == 0 {
		r.Fail("no states")
	}
	v := valueFor(min(n, r.Left()/leastState))
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

// leastState is how many bytes a state takes at least, with its tag.
const leastState = 6

// valueFor returns an empty value with room for so many states. For one it is one piece of memory.
func valueFor(states int) *Value {
	if states != 1 {
		return &Value{parts: make([]component, 0, states)}
	}
	v := new(struct {
		Value
		parts [1]component
	})
	v.Value.parts = v.parts[:0]
	return &v.Value
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
