package store

import (
	"encoding"

	"github.com/eventual-go/eventual/crdt"
)

// A Delta is what an [Update], a deletion or a [Batch] has changed, as it is merged into other stores. The zero Delta
// says that nothing has changed. It belongs to the caller, and may be copied and kept.
type Delta struct {
	key   string
	at    stamp
	value []byte                  // encoded; or
	bare  encoding.BinaryAppender // a state that is not yet, because nobody has asked; or
	kinds *crdt.Kinds             // of it; or
	state []byte                  // the whole, of several keys
}

// IsZero reports whether nothing has changed.
func (d Delta) IsZero() bool { return d.key == "" && d.bare == nil && len(d.value)+len(d.state) == 0 }

// Key is under which key it is to be merged. That of a batch has those of the other keys in it.
func (d Delta) Key() string { return d.key }

// Bytes returns the delta in encoded form, as [Store.Merge] takes it: nothing for the zero Delta. The bytes belong to
// the caller. Where nothing else needed them they are made here, at O(delta); then this may be called by one goroutine at
// a time.
//
// It fails with an *[EncodeError] if the delta has no encoding, as the call that returned it does where it needs one: on
// disk, and where somebody ranges over [Store.Updates].
func (d Delta) Bytes() ([]byte, error) {
	if d.state != nil {
		return d.state, nil
	}
	if d.bare == nil {
		return d.at.seal(d.value), nil
	}
	value, err := d.kinds.Append(make([]byte, 0, deltaRoom), d.bare)
	if err != nil {
		return nil, &EncodeError{Key: d.key, Err: err}
	}
	return d.at.seal(value), nil
}

// deltaRoom is what most deltas take.
const deltaRoom = 64
