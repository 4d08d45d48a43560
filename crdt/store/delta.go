package store

// A Delta is what an [Update], a deletion or a [Batch] has changed, as it is merged into other stores. The zero Delta
// says that nothing has changed. It belongs to the caller, and may be copied.
type Delta struct {
	key   string
	at    stamp
	value []byte // encoded
	state []byte // or the whole
}

// IsZero reports whether nothing has changed.
func (d Delta) IsZero() bool { return len(d.value)+len(d.state) == 0 }

// Key is under which key it is to be merged. That of a batch has those of the other keys in it.
func (d Delta) Key() string { return d.key }

// Bytes returns the delta in encoded form, as [Store.Merge] takes it: nothing for the zero Delta. The bytes belong to
// the caller.
func (d Delta) Bytes() ([]byte, error) {
	if d.state != nil {
		return d.state, nil
	}
	return d.at.seal(d.value), nil
}
